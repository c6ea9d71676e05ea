//! Laws of the `coalition` objective. That it computes what it says is checked by `differential.rs`.

use centauri_engine::*;

fn sensors(n: usize, faults: usize) -> StreamSpec {
    StreamSpec::builder("sensors", (0..n).map(|i| format!("r{i}")))
        .faults(faults)
        .support(Support::new(-10.0, 0.1, 201).expect("a legal support"))
        .output(OutputSpec::identity(Distribution::normal(0.0, 1.0).expect("legal")))
        .build()
}

/// Means of eight readings, of which the late ones are missed by nearly everybody.
fn windows(computation: Computation, n: usize) -> StreamSpec {
    let output = OutputSpec {
        messages: (0..8).map(|j| 0.1 * f64::from(j)).collect(),
        arrival: Some(Distribution::exponential(0.2).expect("legal").into()),
        deadline: Some(0.8),
        source: Some(Distribution::normal(0.0, 4.0).expect("legal").into()),
        ..OutputSpec::new(computation)
    };
    StreamSpec { output, ..sensors(n, 1) }
}

fn decide(spec: &StreamSpec, objective: Objective, reports: &[Report]) -> (Decision, Vec<f64>) {
    let set = ModelSet { streams: vec![spec.clone()], ..ModelSet::default() };
    let fleet = Fleet::compile(&set).expect("a legal model");
    let mut session = Session::new(fleet, Box::new(ScalarBackend::new())).with_objective(Some(objective));
    session.push(StreamId(0), 1, reports).expect("a legal round");
    let decided = session.flush().expect("a legal batch");
    (*decided.decision(0), decided.honest(0).expect("decided").to_vec())
}

fn values(values: &[f64]) -> Vec<Report> {
    values.iter().map(|&v| Report::Value(v)).collect()
}

fn check_same(a: &Decision, b: &Decision) {
    for (found, expected) in [(a.mean, b.mean), (a.sd, b.sd), (a.confidence, b.confidence)] {
        assert!((found - expected).abs() < 1e-9, "{a:?} {b:?}");
    }
    assert_eq!((a.value, a.low, a.high), (b.value, b.low, b.high));
}

#[test]
fn the_order_of_replicas_makes_no_difference() {
    let spec = sensors(6, 2);
    let reports = values(&[0.3, -0.7, 2.9, 2.9, 1.2, 0.1]);
    let (decision, honest) = decide(&spec, Objective::Coalition, &reports);
    for shift in 1..6 {
        let turned: Vec<Report> = (0..6).map(|i| reports[(i + shift) % 6]).collect();
        let (other, others) = decide(&spec, Objective::Coalition, &turned);
        check_same(&decision, &other);
        for i in 0..6 {
            assert!((honest[(i + shift) % 6] - others[i]).abs() < 1e-9);
        }
    }
}

#[test]
fn without_faults_or_with_flat_lies_it_is_the_marginal_model() {
    let reports = values(&[0.3, -0.7, 1.9, 1.2]);
    let (a, _) = decide(&sensors(4, 0), Objective::Coalition, &reports);
    let (b, _) = decide(&sensors(4, 0), Objective::Marginal, &reports);
    check_same(&a, &b);
    // Of `min` it is not known where lies pay, and if every message arrives nobody errs together.
    let mut spec = windows(Computation::Min, 4);
    (spec.output.arrival, spec.output.deadline) = (None, None);
    let reports = values(&[0.0, 0.0, 0.0, 3.0]);
    let (a, honest) = decide(&spec, Objective::Coalition, &reports);
    let (b, expected) = decide(&spec, Objective::Marginal, &reports);
    check_same(&a, &b);
    honest.iter().zip(expected).for_each(|(p, q)| assert!((p - q).abs() < 1e-9));
}

#[test]
fn the_influence_of_one_liar_is_bounded_and_redescends() {
    let honest = [-1.2, -0.7, -0.2, 0.2, 0.7, 1.2];
    for prior in [PriorSpec::Uniform, PriorSpec::Fixed(Distribution::normal(0.0, 1.0).expect("legal").into())]
    {
        let spec = StreamSpec { prior, ..sensors(7, 2) };
        let moved = |lie: f64| {
            let reports = values(&[&honest[..], &[lie]].concat());
            decide(&spec, Objective::Coalition, &reports).0.mean
        };
        let most = (0..80).map(|k| moved(0.15 * f64::from(k)).abs()).fold(0.0, f64::max);
        assert!((0.1..0.35).contains(&most), "{most}");
        assert!(moved(6.0).abs() < most / 2.0 && moved(12.0).abs() < 1e-3 && moved(500.0).abs() < 1e-3);
        assert!((moved(2.0) + moved(-2.0)).abs() < 1e-6, "either side alike");
    }
}

#[test]
fn liars_who_say_the_same_are_believed_less_than_two_who_do_not() {
    let spec = sensors(7, 2);
    let with = |a: f64, b: f64| {
        let reports = values(&[-0.9, -0.4, 0.0, 0.3, 1.0, a, b]);
        let (decision, honest) = decide(&spec, Objective::Coalition, &reports);
        let (_, alike) = decide(&spec, Objective::Marginal, &reports);
        (decision.mean, honest[5], alike[5])
    };
    let (together, suspect, marginal) = with(2.6, 2.6);
    let (apart, less_suspect, _) = with(2.1, 3.1);
    assert!(suspect < 0.5 && marginal > 0.8, "{suspect} {marginal}");
    assert!(less_suspect > 1.5 * suspect, "{less_suspect}");
    assert!(together < apart, "{together} {apart}");
}

#[test]
fn three_who_agree_are_found_among_more_reports_than_are_tried_as_leaders() {
    let n = 12;
    let reports: Vec<f64> = (0..n).map(|i| if i < 3 { 2.7 } else { f64::from(i - 3) * 0.35 - 1.4 }).collect();
    let (decision, honest) = decide(&sensors(n as usize, 3), Objective::Coalition, &values(&reports));
    assert!(honest[..3].iter().all(|p| *p < 0.2), "{honest:?}");
    assert!(honest[3..].iter().all(|p| *p > 0.9), "{honest:?}");
    assert!(decision.mean.abs() < 0.15 && (0..3).all(|i| !decision.quorum.contains(i)));
}

#[test]
fn replicas_that_miss_the_same_messages_count_as_fewer() {
    let reports = values(&[1.1, 0.8, 1.6, 1.3, 0.9, 1.4, 1.2]);
    for computation in [Computation::Mean, Computation::Last, Computation::Sum] {
        let spec = windows(computation, 7);
        let set = ModelSet { streams: vec![spec.clone()], ..ModelSet::default() };
        let fleet = Fleet::compile(&set).expect("a legal model");
        let correlation = fleet.model(ModelId(0)).expect("one model").correlation();
        assert!((0.05..0.9).contains(&correlation), "{computation}: {correlation}");
        let (tempered, _) = decide(&spec, Objective::Coalition, &reports);
        let (marginal, _) = decide(&spec, Objective::Marginal, &reports);
        assert!(tempered.sd > 1.1 * marginal.sd, "{computation}: {} {}", tempered.sd, marginal.sd);
    }
}

#[test]
fn a_following_prior_takes_the_distribution_that_was_reported() {
    let step = Distribution::normal(0.0, 0.001).expect("legal");
    let prior = PriorSpec::Following { step: step.into(), initial: None, leak: 0.0 };
    let set = ModelSet { streams: vec![StreamSpec { prior, ..sensors(7, 2) }], ..ModelSet::default() };
    let fleet = Fleet::compile(&set).expect("a legal model");
    let mut session =
        Session::new(fleet, Box::new(ScalarBackend::new())).with_objective(Some(Objective::Coalition));
    session.push(StreamId(0), 1, &values(&[-0.9, -0.4, 0.0, 0.3, 1.0, 2.6, 2.6])).expect("a legal round");
    let first = *session.flush().expect("a legal batch").decision(0);
    // The next round has nothing but equivocations and one quorum's worth of silence: the prior is all there is.
    session.push(StreamId(0), 2, &[Report::Equivocated; 7]).expect("a legal round");
    let second = *session.flush().expect("a legal batch").decision(0);
    assert_eq!(second.status, Status::NoQuorum);
    assert!((first.mean - second.mean).abs() < 1e-9 && (first.sd - second.sd).abs() < 1e-9);
}
