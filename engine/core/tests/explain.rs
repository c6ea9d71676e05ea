//! Explanations against what they claim to be: likelihoods by differences of CDFs, and models of one replica less.

use centauri_engine::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn noise() -> Distribution {
    Distribution::normal(0.4, 2.0).expect("legal")
}

fn road(replicas: &[&str], faults: usize, objective: Objective, prior: PriorSpec) -> StreamSpec {
    StreamSpec::builder("road", replicas.iter().copied())
        .faults(faults)
        .objective(objective)
        .support(Support::new(0.0, 1.0, 61).expect("legal"))
        .prior(prior)
        .output(OutputSpec::identity(noise()))
        .link(Link::OnTime(0.9))
        .build()
}

fn session(spec: StreamSpec) -> Session {
    let set = ModelSet { streams: vec![spec], ..ModelSet::default() };
    Session::new(Fleet::compile(&set).expect("a legal model"), Box::new(ScalarBackend::new()))
}

fn decide(spec: StreamSpec, reports: &[Report]) -> Decision {
    let mut session = session(spec);
    session.push(StreamId(0), 1, reports).expect("a legal round");
    *session.flush().expect("a decision").decision(0)
}

fn explain(spec: StreamSpec, reports: &[Report]) -> Explanation {
    let mut session = session(spec).with_explanations(true);
    session.push(StreamId(0), 1, reports).expect("a legal round");
    session.flush().expect("a decision");
    session.explanations()[0].clone()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{found}, expected {expected}");
}

/// `without` against the decision of a model that has only the replicas at `kept`.
fn same(without: &Without, other: &Decision, kept: &[usize]) {
    assert_eq!((without.status, without.value), (other.status, other.value));
    close(without.confidence, other.confidence);
    assert_eq!((without.low, without.high), (other.low, other.high));
    let mapped: Quorum = other.quorum.positions().map(|p| kept[p]).collect();
    assert_eq!(without.quorum, mapped);
}

fn random_reports(rng: &mut ChaCha8Rng, n: usize) -> Vec<Report> {
    let truth = rng.random_range(5.0..55.0);
    (0..n)
        .map(|_| match rng.random_range(0..10) {
            0 => Report::Equivocated,
            1 => Report::Missing,
            2 => Report::Value(rng.random_range(-500.0..500.0)),
            _ => Report::Value(truth + rng.random_range(-4.0..4.0)),
        })
        .collect()
}

#[test]
fn without_a_replica_is_what_a_model_of_one_replica_less_decides() {
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_122);
    let prior = PriorSpec::Fixed(Distribution::normal(30.0, 15.0).expect("legal").into());
    let mut no_quorum = 0;
    for round in 0..400 {
        let n = rng.random_range(1..=5);
        let faults = rng.random_range(0..n);
        let objective = Objective::ALL[round % 4];
        let reports = random_reports(&mut rng, n);
        let explanation = explain(road(&NAMES[..n], faults, objective, prior.clone()), &reports);
        let left: Vec<usize> = (0..n).filter(|&i| reports[i] != Report::Equivocated).collect();
        let faults_left = faults.saturating_sub(n - left.len());
        assert_eq!((explanation.replicas_left, explanation.faults_left), (left.len(), faults_left));
        for (i, reason) in explanation.replicas.iter().enumerate() {
            assert!(!explanation.sentence(i).is_empty());
            if reports[i] == Report::Equivocated {
                assert_eq!(reason.without, Without::from(&explanation.decision));
                continue;
            }
            let kept: Vec<usize> = left.iter().copied().filter(|&p| p != i).collect();
            if kept.is_empty() {
                assert_eq!(reason.without.status, Status::NoQuorum);
                assert_eq!(reason.without.value, 30.0, "the prior's peak");
                no_quorum += 1;
                continue;
            }
            let names: Vec<&str> = kept.iter().map(|&p| NAMES[p]).collect();
            let spec = road(&names, faults_left.min(kept.len() - 1), objective, prior.clone());
            let reports: Vec<Report> = kept.iter().map(|&p| reports[p]).collect();
            same(&reason.without, &decide(spec, &reports), &kept);
        }
    }
    assert!(no_quorum > 5, "{no_quorum} rounds of a lone replica");
}

#[test]
fn each_reason_says_what_was_seen_and_how_likely_that_is() {
    let reports =
        [50.2, 51.7, 11.0].map(Report::Value).into_iter().chain([Report::Missing, Report::Equivocated]);
    let reports: Vec<Report> = reports.collect();
    let explanation = explain(road(&NAMES, 2, Objective::Marginal, PriorSpec::Uniform), &reports);
    let right = explanation.decision.value;
    let seen: Vec<Report> = explanation.replicas.iter().map(|r| r.report).collect();
    assert_eq!(seen, reports);
    for (reason, bin) in explanation.replicas.iter().zip([50.0, 52.0, 11.0]) {
        // The bin's mass by differences of the error function, on the side where nothing cancels.
        let scale = 2.0 * std::f64::consts::SQRT_2;
        let (near, far) = ((bin - right - 0.4).abs() - 0.5, (bin - right - 0.4).abs() + 0.5);
        let mass = (libm::erfc(near / scale) - libm::erfc(far / scale)) / 2.0;
        close(reason.ln_likelihood.expect("possible"), (0.9 * mass).ln());
        close(reason.ln_faulty.expect("a value"), (0.9f64 / 61.0).ln());
        close(reason.expected.expect("identity").0, right + 0.4);
        close(reason.expected.expect("identity").1, 2.0);
        assert_eq!(reason.best_fit.expect("possible").0, bin);
    }
    let [near, _, liar, silent, forked] = explanation.replicas.as_slice() else { panic!("five replicas") };
    assert!(near.in_quorum && near.honest.expect("decided") > 0.9);
    assert!(!liar.in_quorum && liar.honest.expect("decided") < 1e-20);
    close(silent.ln_likelihood.expect("possible"), 0.1f64.ln());
    close(silent.ln_faulty.expect("a silence"), 0.1f64.ln());
    assert_eq!(silent.best_fit, None);
    assert_eq!((forked.ln_likelihood, forked.ln_faulty, forked.honest), (None, None, Some(0.0)));
    assert!(!forked.in_quorum);

    let words = |i: usize, parts: &[&str]| {
        for part in parts {
            assert_contains(&explanation.sentence(i), part);
        }
    };
    words(0, &["in the quorum: its value 50.2 lies", "sd", "without it the decision would be"]);
    words(2, &["left out: its value 11 lies", "sd below", "P(honest)", "e-", "log-likelihood -"]);
    words(
        3,
        &["no message came in time; an honest replica is silent with probability 0.1, a faulty one with 0.1"],
    );
    words(4, &["left out: it signed two different values"]);
    assert_eq!(explanation.sentence(5), "");
}

fn assert_contains(text: &str, part: &str) {
    assert!(text.contains(part), "{text:?} does not say {part:?}");
}

#[test]
fn a_round_without_a_quorum_is_explained_too() {
    let reports = [Report::Value(1e6), Report::Value(-1e6), Report::Value(1e9)];
    let explanation = explain(road(&NAMES[..3], 1, Objective::Marginal, PriorSpec::Uniform), &reports);
    assert_eq!(explanation.decision.status, Status::NoQuorum);
    for (i, reason) in explanation.replicas.iter().enumerate() {
        assert_eq!((reason.ln_likelihood, reason.best_fit, reason.honest), (None, None, None));
        assert_contains(&explanation.sentence(i), "no quorum is possible: its value ");
        assert_contains(&explanation.sentence(i), "no honest replica reports it whatever value is right");
    }
}

#[test]
fn an_honest_replica_that_a_full_quorum_has_no_place_for_is_told_so() {
    let reports = [50.0, 50.0, 50.0, 50.0].map(Report::Value);
    let explanation = explain(road(&NAMES[..4], 1, Objective::Marginal, PriorSpec::Uniform), &reports);
    assert_contains(
        &explanation.sentence(3),
        "left out although it fits (the quorum holds 3 of 4, and the others",
    );
}

/// P(x) moved on by one round, by hand.
fn moved(ln_before: &[f64], step: &Distribution, leak: f64) -> Vec<f64> {
    let points = ln_before.len();
    let to = |x: usize| -> f64 {
        (0..points)
            .map(|from| {
                let d = x as f64 - from as f64;
                (ln_before[from] + step.ln_mass(d - 0.5, d + 0.5)).exp()
            })
            .sum()
    };
    let masses: Vec<f64> = (0..points).map(to).collect();
    let total: f64 = masses.iter().sum();
    masses.iter().map(|mass| ((1.0 - leak) * mass / total + leak / points as f64).ln()).collect()
}

#[test]
fn a_following_prior_is_the_rounds_own_and_explaining_leaves_it_alone() {
    let step = Distribution::normal(0.0, 1.5).expect("legal");
    let prior = PriorSpec::following(step.clone());
    let rounds = [[20.0, 21.0, 40.0], [22.0, 45.0, 41.0], [23.0, 22.0, 23.0]].map(|r| r.map(Report::Value));
    let spec = road(&NAMES[..3], 1, Objective::Marginal, prior.clone());
    let (mut plain, mut told) = (
        session(spec.clone()),
        session(road(&NAMES[..3], 1, Objective::Marginal, prior)).with_explanations(true),
    );
    let mut second = None;
    let mut ln_marginal = Vec::new();
    for (round, reports) in rounds.iter().enumerate() {
        plain.push(StreamId(0), round as i64, reports).expect("in order");
        told.push(StreamId(0), round as i64, reports).expect("in order");
        assert_eq!(plain.flush().expect("decided"), told.flush().expect("decided"));
        assert_eq!(plain.explanations(), []);
        assert_eq!(told.explanations().len(), 1);
        match round {
            0 => ln_marginal = told.decided().ln_marginal(0).to_vec(),
            1 => second = Some(told.explanations()[0].clone()),
            _ => {}
        }
    }

    let ln_prior = moved(&ln_marginal, &step, 1e-6);
    let second = second.expect("the second round");
    for i in 0..3 {
        let kept: Vec<usize> = (0..3).filter(|&p| p != i).collect();
        let names: Vec<&str> = kept.iter().map(|&p| NAMES[p]).collect();
        let set = ModelSet {
            streams: vec![road(&names, 1, Objective::Marginal, PriorSpec::Uniform)],
            ..ModelSet::default()
        };
        let fleet = Fleet::compile(&set).expect("legal");
        let support = *fleet.model(ModelId(0)).expect("one model").support();
        let observations: Vec<Observation> = kept.iter().map(|&p| rounds[1][p].quantise(&support)).collect();
        let mut batch = Batch::new();
        batch.push(Entry {
            model: ModelId(0),
            objective: None,
            wants_marginal: false,
            wants_region: true,
            observations: &observations,
            ln_prior: Some(&ln_prior),
        });
        let mut decisions = Decisions::new();
        ScalarBackend::new().evaluate(&fleet, &batch, &mut decisions).expect("decided");
        same(&second.replicas[i].without, decisions.decision(0), &kept);
    }
}

#[test]
fn what_does_not_fit_the_model_is_refused() {
    let set = ModelSet {
        streams: vec![road(&NAMES[..2], 0, Objective::Marginal, PriorSpec::Uniform)],
        ..ModelSet::default()
    };
    let fleet = Fleet::compile(&set).expect("legal");
    let model = fleet.model(ModelId(0)).expect("one model");
    let decision = decide(set.streams[0].clone(), &[Report::Value(3.0), Report::Missing]);
    let refused = |observations: &[Observation], reports: &[Report], decision: &Decision, words: &str| {
        let entry = Entry {
            model: ModelId(0),
            objective: None,
            wants_marginal: false,
            wants_region: true,
            observations,
            ln_prior: None,
        };
        let decided = Decided { entry, reports, decision, honest: None };
        let error = Explainer::new().explain(model, &decided).expect_err("refused");
        assert_eq!(error.to_string(), words);
    };
    let two = [Observation::Bin(3), Observation::Missing];
    let reports = [Report::Value(3.0), Report::Missing];
    refused(&two[..1], &reports, &decision, "found 1 observations, expected 2");
    refused(&two, &reports[..1], &decision, "found 1 reports, expected 2");
    let beyond = Decision { point: 61, ..decision };
    refused(&two, &reports, &beyond, "found point 61 as the decided one, expected a point below 61");
}

#[test]
fn the_expected_report_is_that_of_enumeration() {
    // Two messages, each in time with its own chance: a count of 0, 1 or 2 of which x are successes.
    let hop = Distribution::exponential(0.02).expect("legal");
    let mut output = OutputSpec::new(Computation::Count);
    output.messages = vec![0.0, 0.02];
    output.arrival = Some(hop.clone().into());
    output.deadline = Some(0.03);
    let spec = StreamSpec::builder("coin", ["a"])
        .support(Support::new(0.0, 1.0, 3).expect("legal"))
        .output(output.clone())
        .build();
    let (p, q) = (hop.cdf(0.03), hop.cdf(0.01));
    let expected = |spec: &StreamSpec, point| {
        CompiledModel::new(spec, &Default::default()).expect("legal").expected_report(0, point)
    };
    let (mean, sd) = expected(&spec, 2).expect("finite");
    close(mean, p + q);
    close(sd, (p * (1.0 - p) + q * (1.0 - q)).sqrt());

    // The sum of what arrived: k readings of m = 2, x shared evenly, variance k(m − k)/m between.
    output.computation = Computation::Sum;
    output.source = Some(Distribution::normal(3.0, 1.5).expect("legal").into());
    let sum = StreamSpec { output, support: Support::new(0.0, 0.5, 20).expect("legal"), ..spec };
    let (one, both) = (p * (1.0 - q) + q * (1.0 - p), p * q);
    let x = 6.0;
    let by_hand = one * x / 2.0 + both * x;
    let second = one * ((x / 2.0f64).powi(2) + 2.25 / 2.0) + both * x * x;
    let (mean, sd) = expected(&sum, 12).expect("finite");
    close(mean, by_hand);
    close(sd, (second - by_hand * by_hand).sqrt());
    assert_eq!(expected(&sum, 20), None, "beyond the support");
}
