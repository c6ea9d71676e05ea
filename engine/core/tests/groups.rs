//! Laws of fault groups. That every objective computes what it says, groups or not, is checked by `differential.rs`.

use centauri_engine::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn sensors(n: usize) -> StreamSpecBuilder {
    StreamSpec::builder("sensors", NAMES.into_iter().take(n))
        .faults(1)
        .support(Support::new(0.0, 1.0, 61).expect("a legal support"))
        .output(OutputSpec::identity(Distribution::normal(0.0, 2.0).expect("legal")))
        .link(Link::OnTime(0.9))
}

fn fleet(spec: StreamSpec) -> Fleet {
    Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() }).expect("a legal model")
}

/// The decision, P(honest) and the explanation.
fn decide(spec: StreamSpec, reports: &[Report]) -> (Decision, Vec<f64>, Explanation) {
    let mut session = Session::new(fleet(spec), Box::new(ScalarBackend::new())).with_explanations(true);
    session.push(StreamId(0), 1, reports).expect("a legal round");
    session.flush().expect("a legal batch");
    let honest = session.decided().honest(0).unwrap_or_default().to_vec();
    (*session.decided().decision(0), honest, session.explanations()[0].clone())
}

fn values(values: &[f64]) -> Vec<Report> {
    values.iter().map(|&v| Report::Value(v)).collect()
}

fn random_reports(rng: &mut impl Rng, n: usize) -> Vec<Report> {
    let truth = rng.random_range(10.0..50.0);
    let report = |_| match rng.random_range(0..12) {
        0 => Report::Equivocated,
        1 => Report::Missing,
        2 => Report::Value(rng.random_range(-500.0..500.0)),
        _ => Report::Value(truth + rng.random_range(-4.0..4.0)),
    };
    (0..n).map(report).collect()
}

#[test]
fn groups_of_one_are_the_model_without_groups_to_the_last_bit() {
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_126);
    for round in 0..300 {
        let n = rng.random_range(1..=5);
        let objective = Objective::ALL[round % Objective::ALL.len()];
        let plain = sensors(n).faults(rng.random_range(0..n)).objective(objective);
        let named = (0..n).rev().fold(plain.clone(), |spec, i| spec.group(format!("g{i}"), [i]));
        let reports = random_reports(&mut rng, n);
        let (a, b) = (decide(plain.build(), &reports), decide(named.build(), &reports));
        assert_eq!(format!("{a:?}"), format!("{b:?}"), "{reports:?}");
    }
}

#[test]
fn two_who_collude_in_one_group_are_outvoted_and_alone_they_win() {
    // Three honest replicas that know little against two that say the same and claim to know much: if but one may be
    // faulty, one of the three is, and the other two are three standard deviations off.
    let wide = || Some(Distribution::normal(0.0, 8.0).expect("legal").into());
    let spec = (0..3).fold(sensors(5), |spec, i| spec.replica(i, None, wide()));
    let reports = values(&[20.0, 21.0, 22.0, 45.0, 45.0]);
    let (alone, _, _) = decide(spec.clone().build(), &reports);
    assert!((42.0..46.0).contains(&alone.value), "{alone:?}");
    let together = spec.group("rack", [3, 4]).build();
    let (decision, honest, explanation) = decide(together, &reports);
    assert!((19.0..23.0).contains(&decision.value), "{decision:?}");
    assert!(honest[3] < 0.02 && honest[3] == honest[4], "{honest:?}");
    assert!(honest[..3].iter().all(|&p| p > 0.97), "{honest:?}");
    // A quorum is all replicas of three of the four groups.
    assert_eq!(decision.quorum.positions().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!((explanation.replicas_left, explanation.units_left, explanation.faults_left), (5, 4, 1));
}

#[test]
fn a_group_is_in_the_quorum_as_a_whole() {
    let (decision, honest, _) =
        decide(sensors(5).group("rack", [0, 2, 4]).build(), &values(&[20.0, 52.0, 21.0, 22.0, 19.0]));
    assert_eq!(decision.quorum.positions().collect::<Vec<_>>(), [0, 2, 3, 4]);
    assert!(honest[1] < 1e-6 && honest[0] == honest[2] && honest[2] == honest[4], "{honest:?}");
}

#[test]
fn an_equivocation_convicts_the_group_and_takes_one_fault_with_it() {
    let reports = [values(&[20.0, 21.0, 22.0]), vec![Report::Equivocated], values(&[45.0])].concat();
    let grouped = sensors(5).faults(2).group("rack", [3, 4]).build();
    let (decision, honest, explanation) = decide(grouped.clone(), &reports);
    // What is left is a set of three with one fault; the liar of the group says nothing any more.
    let (expected, others, _) = decide(sensors(3).build(), &reports[..3]);
    assert_eq!(
        (decision.value, decision.mean, decision.quorum),
        (expected.value, expected.mean, expected.quorum)
    );
    assert_eq!(honest, [others, vec![0.0, 0.0]].concat());
    assert_eq!((explanation.replicas_left, explanation.units_left, explanation.faults_left), (3, 3, 1));
    assert!(explanation.replicas[4].left_with_group && !explanation.replicas[3].left_with_group);
    assert!(
        explanation.sentence(4).contains("another replica of its fault group"),
        "{}",
        explanation.sentence(4)
    );
    assert_eq!(explanation.replicas[4].without, Without::from(&decision));
    // Two equivocators of one group are one fault.
    let both = [values(&[20.0, 21.0, 22.0]), vec![Report::Equivocated; 2]].concat();
    assert_eq!(decide(grouped, &both).0, decision);
}

#[test]
fn without_one_of_a_group_the_others_of_it_stay() {
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_127);
    for round in 0..100 {
        let objective = Objective::ALL[round % Objective::ALL.len()];
        let reports: Vec<Report> = random_reports(&mut rng, 4)
            .into_iter()
            .map(|r| if r == Report::Equivocated { Report::Missing } else { r })
            .collect();
        let spec = sensors(4).objective(objective).group("rack", [1, 3]).build();
        let (_, _, explanation) = decide(spec, &reports);
        let without = &explanation.replicas[3].without;
        let (expected, _, _) = decide(sensors(3).objective(objective).build(), &reports[..3]);
        assert_eq!((without.value, without.status), (expected.value, expected.status), "{reports:?}");
        assert!((without.confidence - expected.confidence).abs() < 1e-12, "{reports:?}");
        assert_eq!(without.quorum, expected.quorum, "{reports:?}");
    }
}

#[test]
fn what_is_no_grouping_is_refused() {
    let refused = |spec: StreamSpecBuilder, key: &str, text: &str| {
        let set = ModelSet { streams: vec![spec.build()], ..ModelSet::default() };
        let error = Fleet::compile(&set).expect_err("not legal");
        assert_eq!((error.key.as_str(), error.stream.as_str()), (key, "sensors"));
        assert!(error.problem.contains(text), "{error}");
    };
    let spec = || sensors(4);
    refused(spec().group("g", []), "groups.g", "found no replica");
    refused(spec().group("g", [0, 4]), "groups.g", "found replica 4, expected one below 4");
    refused(spec().group("g", [0, 1]).group("h", [1, 2]), "groups.h", "found \"b\" twice");
    refused(spec().group("g", [1, 1]), "groups.g", "found \"b\" twice");
    refused(spec().group("g", [0]).group("g", [1]), "groups.g", "found twice");
    refused(spec().group("g", [0, 1, 2, 3]), "faults", "expected less than the number of fault groups, 1");
    refused(
        spec().faults(2).group("g", [0, 1, 2]),
        "faults",
        "expected less than the number of fault groups, 2",
    );
}

#[test]
fn the_most_replicas_that_may_lie_are_those_of_the_largest_groups() {
    let spec = |faults| sensors(5).faults(faults).group("g", [0, 1]).group("h", [2, 3]).build();
    let most: Vec<usize> = (0..4).map(|faults| spec(faults).faulty_replicas_max()).collect();
    assert_eq!(most, [0, 2, 4, 5]);
    assert_eq!(sensors(5).faults(2).build().faulty_replicas_max(), 2);
}

#[test]
fn streams_with_the_same_groups_under_other_names_share_a_model() {
    let named = |stream: &str, group: &str, members: [usize; 2]| StreamSpec {
        name: stream.to_owned(),
        ..sensors(4).group(group, members).build()
    };
    let streams = vec![named("s", "rack", [1, 2]), named("t", "zone", [1, 2]), named("u", "rack", [2, 3])];
    let fleet = Fleet::compile(&ModelSet { streams, ..ModelSet::default() }).expect("legal");
    assert_eq!(fleet.models(), 2);
    let model = fleet.model(ModelId(0)).expect("there");
    let units: Vec<Vec<usize>> = model.units().map(|unit| unit.positions().collect()).collect();
    assert_eq!(units, [vec![0], vec![1, 2], vec![3]]);
}

#[test]
fn the_simd_backend_leaves_groups_to_the_scalar_code() {
    let fleet = fleet(sensors(4).group("rack", [1, 3]).build());
    let mut batch = Batch::new();
    batch.push(Entry {
        model: ModelId(0),
        objective: None,
        wants_marginal: true,
        wants_region: true,
        observations: &[20, 21, 50, 22].map(Observation::Bin),
        ln_prior: None,
    });
    let (mut simd, mut found, mut law) =
        (SimdBackend::new().with_threads(1), Decisions::new(), Decisions::new());
    simd.evaluate(&fleet, &batch, &mut found).expect("a legal batch");
    ScalarBackend::new().evaluate(&fleet, &batch, &mut law).expect("a legal batch");
    assert_eq!(found, law);
    assert_eq!(simd.rungs().scalar, 1);
}

#[test]
fn a_check_speaks_of_groups() {
    let spec = sensors(5).faults(2).group("rack", [3, 4]).build();
    let checked = check(&ModelSet { streams: vec![spec], ..ModelSet::default() }).expect("legal");
    let words = checked.models[0].facts.words();
    let said = |heading: &str| &words.iter().find(|(h, _)| *h == heading).expect("said").1;
    assert_eq!(said("replicas"), "5 (a, b, c, d, e) in 4 fault groups, of which at most 2 may be faulty");
    assert_eq!(said("quorum"), "2 of 4 fault groups: 6 quorums");
    assert_eq!(
        said("fault groups"),
        "rack (d, e): the replicas of one fail and lie together, as one fault; each of the other 3 replicas is a group of its own"
    );
    let finding = &checked.models[0].findings[0];
    assert_eq!(finding.kind, FindingKind::FaultsHalf);
    assert!(finding.text.starts_with("2 of 4 fault groups may be faulty"), "{}", finding.text);
}
