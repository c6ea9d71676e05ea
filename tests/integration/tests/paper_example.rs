//! The paper's coin example by hand: three replicas, two coins, reports of 2T, 1T and 0T.

use centauri_engine::*;

/// Probability that a toss's message is in time at a replica: mean delay 20 ms, deadline 30 ms.
fn p() -> f64 {
    1.0 - (-1.5f64).exp()
}

/// Probability that a replica's message is in time at the client: deadline 60 ms.
fn a() -> f64 {
    1.0 - (-3.0f64).exp()
}

fn decide(objective: Objective) -> (Decision, Vec<f64>) {
    let hop = Distribution::exponential(0.020).unwrap();
    let mut output = OutputSpec::new(Computation::Count);
    output.messages = vec![0.0, 0.0];
    output.arrival = Some("hop".into());
    output.deadline = Some(0.03);
    let coin = StreamSpec::builder("coin", ["top", "middle", "bottom"])
        .faults(1)
        .support(Support::new(0.0, 1.0, 3).unwrap())
        .prior(PriorSpec::Fixed(Distribution::binomial(2, 0.5).unwrap().into()))
        .output(output)
        .link(Link::Latency { arrival: "hop".into(), deadline: 0.06 })
        .objective(objective)
        .build();
    let set = ModelSet { distributions: [("hop".to_owned(), hop)].into(), streams: vec![coin] };
    let mut session = Session::new(Fleet::compile(&set).unwrap(), Box::new(ScalarBackend::new()));
    session.push(StreamId(0), 1, &[2.0, 1.0, 0.0].map(Report::Value)).unwrap();
    let decisions = session.flush().unwrap();
    (*decisions.decision(0), decisions.honest(0).unwrap().to_vec())
}

const TOP: usize = 0;
const MIDDLE: usize = 1;
const BOTTOM: usize = 2;

fn check(objective: Objective, value: f64, confidence: f64, quorum: [usize; 2], evidence: f64) {
    let (decision, _) = decide(objective);
    assert_eq!(decision.value, value, "{objective}");
    assert!((decision.confidence - confidence).abs() < 1e-12, "{objective}: {}", decision.confidence);
    assert_eq!(decision.quorum, quorum.into_iter().collect(), "{objective}");
    let found = decision.log_evidence.unwrap();
    assert!((found - evidence.ln()).abs() < 1e-12, "{objective}: {found}, expected {}", evidence.ln());
}

#[test]
fn the_four_objectives_by_hand() {
    let (p, q, a, u) = (p(), 1.0 - p(), a(), 0.3);
    // Sums over x of prior · likelihoods · u of the replica that is left out.
    let top_middle = 0.25 * (a * p * p) * (a * 2.0 * p * q) * u;
    let at_one = 0.5 * (a * p) * (a * q) * u;
    let at_two = 0.25 * (a * 2.0 * p * q) * (a * q * q) * u;
    let middle_bottom = at_one + at_two;
    assert!((top_middle.ln() + 4.25671).abs() < 1e-5 && (middle_bottom.ln() + 3.70315).abs() < 1e-5);

    check(Objective::Posterior, 2.0, 1.0, [TOP, MIDDLE], top_middle);
    check(Objective::Joint, 1.0, at_one / middle_bottom, [MIDDLE, BOTTOM], middle_bottom);
    check(Objective::Evidence, 1.0, at_one / middle_bottom, [MIDDLE, BOTTOM], middle_bottom);

    // Nobody lies (b = 0), or one of three does (b = 1), both with probability ½.
    let nobody_two = 0.5 * 0.25 * (a * p * p) * (a * 2.0 * p * q) * (a * q * q);
    let one = |sum: f64| sum / 6.0;
    let top_bottom = 0.25 * (a * p * p) * (a * q * q) * u;
    let two = nobody_two + one(top_middle + top_bottom + at_two);
    let total = two + one(at_one);
    check(Objective::Marginal, 2.0, two / total, [MIDDLE, BOTTOM], middle_bottom);
    let (_, honest) = decide(Objective::Marginal);
    let expected = [
        (nobody_two + one(top_middle + top_bottom)) / total,
        (nobody_two + one(top_middle + middle_bottom)) / total,
        (nobody_two + one(top_bottom + middle_bottom)) / total,
    ];
    for (found, expected) in honest.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{honest:?}");
    }
}

#[test]
fn the_papers_formulas_and_where_they_differ_from_the_exact_ones() {
    let (p, q) = (p(), 1.0 - p());
    let printed = [0.25 + 0.5 * q + 0.25 * q * q, 0.5 * p + 0.25 * (q + q), 0.25 * p * p];
    let excess = 0.5 * q * q;
    assert!((printed.iter().sum::<f64>() - 1.0 - excess).abs() < 1e-15);

    // P(an honest replica counts v tails), by the model: Σ_x P(x)·g(v | x), without the link.
    let mut output = OutputSpec::new(Computation::Count);
    output.messages = vec![0.0, 0.0];
    output.arrival = Some(Distribution::exponential(0.020).unwrap().into());
    output.deadline = Some(0.03);
    let coin = StreamSpec::builder("coin", ["only"])
        .support(Support::new(0.0, 1.0, 3).unwrap())
        .prior(PriorSpec::Fixed(Distribution::binomial(2, 0.5).unwrap().into()))
        .output(output)
        .build();
    let model = CompiledModel::new(&coin, &Default::default()).unwrap();
    let exact = [0, 1, 2].map(|v| {
        let mut row = [0.0; 3];
        model.likelihood(0, Observation::Bin(v), &mut row);
        row.iter().zip(model.ln_prior()).map(|(l, prior)| (l + prior).exp()).sum::<f64>()
    });
    assert!((exact[0] - printed[0]).abs() < 1e-14);
    assert!((exact[1] - (printed[1] - excess)).abs() < 1e-14);
    assert!((exact[2] - printed[2]).abs() < 1e-14);
}
