//! Random models and rounds, decided by the scalar backend and by the slow way of `slow/mod.rs`.

mod slow;

use centauri_engine::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEED: u64 = 20_261_122;

fn between(rng: &mut impl Rng, low: f64, high: f64) -> f64 {
    rng.random_range(low..high)
}

fn latency(rng: &mut impl Rng) -> Distribution {
    match rng.random_range(0..4) {
        0 => Distribution::exponential(between(rng, 0.005, 0.05)),
        1 => Distribution::gamma(between(rng, 0.7, 4.0), between(rng, 0.002, 0.02)),
        2 => Distribution::lognormal(between(rng, -4.5, -3.0), between(rng, 0.2, 1.0)),
        _ => Distribution::weibull(between(rng, 0.7, 3.0), between(rng, 0.005, 0.05)),
    }
    .expect("legal parameters")
}

fn noise(rng: &mut impl Rng) -> Distribution {
    let (mean, scale) = (between(rng, -1.0, 1.0), between(rng, 0.4, 3.0));
    match rng.random_range(0..7) {
        0 | 1 => Distribution::normal(mean, scale),
        2 => Distribution::laplace(mean, scale),
        3 => Distribution::logistic(mean, scale),
        4 => Distribution::student_t(between(rng, 3.0, 9.0), mean, scale),
        5 => Distribution::uniform(mean - 3.0 * scale, mean + 3.0 * scale),
        _ => Distribution::mixture(
            vec![2.0, 1.0],
            vec![
                Distribution::normal(mean, scale).expect("legal parameters"),
                Distribution::laplace(0.0, 2.0 * scale).expect("legal parameters"),
            ],
        ),
    }
    .expect("legal parameters")
}

fn output(rng: &mut impl Rng, computation: Computation) -> OutputSpec {
    let mut output = OutputSpec::new(computation);
    let messages = rng.random_range(1..7);
    output.messages = (0..messages).map(|_| between(rng, 0.0, 0.1)).collect();
    if rng.random_bool(0.8) {
        output.arrival = Some(latency(rng).into());
        output.deadline = Some(between(rng, 0.05, 0.15));
    }
    match computation {
        Computation::Identity => output.noise = Some(noise(rng).into()),
        Computation::Count => {}
        Computation::Min | Computation::Max => {
            output.source = Some(Distribution::normal(10.0, between(rng, 2.0, 6.0)).expect("legal").into());
        }
        Computation::Sum | Computation::Mean | Computation::Last => {
            output.source = Some(Distribution::gamma(2.0, between(rng, 0.5, 2.0)).expect("legal").into());
            if rng.random_bool(0.5) {
                output.noise = Some(noise(rng).into());
            }
        }
    }
    output
}

fn model(rng: &mut impl Rng) -> StreamSpec {
    let computation = Computation::ALL[rng.random_range(0..7)];
    let n: usize = rng.random_range(1..7);
    let output = output(rng, computation);
    let support = if computation == Computation::Count {
        Support::new(0.0, 1.0, output.messages.len() + 1)
    } else {
        Support::new(between(rng, -3.0, 3.0), between(rng, 0.3, 1.2), rng.random_range(1..30))
    };
    let support = support.expect("a legal support");
    let centre = support.point(support.points() / 2);
    let prior = match rng.random_range(0..3) {
        0 => PriorSpec::Uniform,
        1 => PriorSpec::Fixed(Distribution::normal(centre, between(rng, 1.0, 9.0)).expect("legal").into()),
        _ => PriorSpec::Fixed(Distribution::logistic(centre, between(rng, 1.0, 9.0)).expect("legal").into()),
    };
    let mut spec = StreamSpec::builder("random", (0..n).map(|i| format!("r{i}")))
        .faults(rng.random_range(0..n))
        .support(support)
        .prior(prior)
        .output(output)
        .silence(between(rng, 0.05, 0.5))
        .credible(between(rng, 0.5, 0.99));
    spec = match rng.random_range(0..3) {
        0 => spec,
        1 => spec.link(Link::OnTime(between(rng, 0.6, 1.0))),
        _ => spec.link(Link::Latency { arrival: latency(rng).into(), deadline: between(rng, 0.02, 0.1) }),
    };
    if rng.random_bool(0.3) {
        // Two groups of any of the replicas, none of which need be neighbours.
        let mut members: [Vec<usize>; 3] = Default::default();
        (0..n).for_each(|i| members[rng.random_range(0..3)].push(i));
        let groups = [("east", 0), ("west", 1)].map(|(name, g)| (name, members[g].clone()));
        let groups: Vec<_> = groups.into_iter().filter(|(_, group)| !group.is_empty()).collect();
        let units = groups.len() + members[2].len();
        spec = groups.into_iter().fold(spec, |spec, (name, group)| spec.group(name, group));
        spec = spec.faults(rng.random_range(0..units));
    }
    if rng.random_bool(0.4) {
        let own = (computation == Computation::Identity).then(|| noise(rng).into());
        spec = spec.replica(0, Some(Link::OnTime(between(rng, 0.5, 1.0))), own);
    }
    spec.build()
}

fn reports(rng: &mut impl Rng, spec: &StreamSpec) -> Vec<Report> {
    let truth = spec.support.point(rng.random_range(0..spec.support.points()));
    let spread = if spec.output.computation == Computation::Count { 0.6 } else { 2.0 };
    let report = |_| match rng.random_range(0..20) {
        0 => Report::Equivocated,
        1..4 => Report::Missing,
        4..7 => Report::Value(truth + between(rng, -60.0, 60.0).round()),
        7..10 => Report::Value(truth),
        _ => Report::Value((truth + spread * between(rng, -1.5, 1.5)).round()),
    };
    (0..spec.replicas.len()).map(report).collect()
}

/// Whether all likelihoods are either impossible or well inside what plain float64 holds, as the slow way needs.
fn within_float64(model: &CompiledModel, observations: &[Observation]) -> bool {
    let mut row = vec![0.0; model.support().points()];
    observations.iter().enumerate().all(|(position, &observation)| {
        model.likelihood(position, observation, &mut row);
        // A group's likelihood is the product of its replicas'.
        row.iter().all(|&ln| ln == f64::NEG_INFINITY || ln > if model.is_grouped() { -100.0 } else { -650.0 })
    })
}

fn check(name: &str, found: f64, expected: f64, slack: f64) {
    assert!((found - expected).abs() <= slack, "{name}: found {found}, expected {expected}");
}

#[test]
fn the_scalar_backend_decides_as_the_slow_way() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let (mut decided, mut clear, mut without, mut other_region, mut grouped) = (0, 0, 0, 0, 0);
    for trial in 0..1_500 {
        let spec = model(&mut rng);
        let reports = reports(&mut rng, &spec);
        let set = ModelSet { streams: vec![spec.clone()], ..ModelSet::default() };
        let fleet = Fleet::compile(&set).unwrap_or_else(|e| panic!("seed {SEED}, trial {trial}: {e}"));
        let model = fleet.model(ModelId(0)).expect("one model");
        let setting = slow::Setting { spec: &spec, ln_prior: model.ln_prior().to_vec() };
        let observations: Vec<Observation> = reports.iter().map(|r| r.quantise(&spec.support)).collect();
        if !within_float64(model, &observations) {
            continue;
        }
        for objective in Objective::ALL {
            let context = format!("seed {SEED}, trial {trial}, {objective}, {reports:?}, {spec:?}");
            let slow = slow::decide(&setting, &observations, objective);
            let mut session =
                Session::new(fleet.clone(), Box::new(ScalarBackend::new())).with_objective(Some(objective));
            session.push(StreamId(0), 1, &reports).expect("a legal round");
            let decisions = session.flush().expect("a legal batch");
            let found = decisions.decision(0);
            assert_eq!(found.status == Status::Decided, slow.decided, "{context}");
            let mean: f64 = slow.ln_reported.iter().zip(spec.support.iter()).map(|(l, x)| l.exp() * x).sum();
            if !slow.decided {
                without += 1;
                check(&context, found.mean, mean, 1e-9);
                continue;
            }
            decided += 1;
            // The errors of the slow way's integrals add up over the replicas of a group.
            let slack = if model.is_grouped() { 1e-7 } else { 1e-8 };
            for (p, q) in decisions.honest(0).expect("decided").iter().zip(&slow.honest) {
                check(&format!("honest, {context}"), *p, *q, slack);
            }
            if slow.gap < 1e-5 {
                continue;
            }
            clear += 1;
            grouped += usize::from(model.is_grouped());
            let quorum: Vec<usize> = found.quorum.positions().collect();
            assert_eq!(quorum, slow.quorum, "{context}");
            check(&format!("mean, {context}"), found.mean, mean, 1e-6);
            check(
                &format!("confidence, {context}"),
                found.confidence,
                slow.ln_reported[found.point].exp(),
                slack,
            );
            match found.log_evidence {
                Some(ln) => {
                    check(&format!("evidence, {context}"), ln, slow.ln_evidence, 1e-6 * ln.abs().max(1.0));
                }
                None => assert_eq!(slow.ln_evidence, f64::NEG_INFINITY, "{context}"),
            }
            let top = slow.ln_reported.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert!(slow.ln_reported[found.point] >= top - 2e-6, "{context}");
            let region = found.region.expect("few quorums");
            let slow_region = slow.region.expect("decided");
            // Peaks that tie within the accuracy of the slow way may fall on either side.
            if region.low != spec.support.point(slow_region.0)
                || region.high != spec.support.point(slow_region.1)
            {
                other_region += 1;
            }
        }
    }
    println!(
        "seed {SEED}: {decided} decided rounds, {clear} with a clear winner, {grouped} of them of fault groups, {without} others"
    );
    assert!(other_region * 100 < clear, "{other_region} regions of {clear} differ");
    assert!(decided > 4_000 && clear > 3_000 && without > 50, "{decided} {clear} {without}");
    assert!(grouped > 300, "{grouped}");
}
