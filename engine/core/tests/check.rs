//! Every warning fires on a model that is foolish in its way, and none on a sane one.

use centauri_engine::*;
use std::collections::BTreeSet;

fn normal(sd: f64) -> Distribution {
    Distribution::normal(0.0, sd).expect("legal")
}

fn grid(points: usize) -> Support {
    Support::new(0.0, 1.0, points).expect("legal")
}

/// Five replicas, one of which may lie, on a road with a prior that the support holds.
fn sane() -> StreamSpec {
    let prior = Distribution::normal(50.0, 10.0).expect("legal");
    StreamSpec::builder("road", ["a", "b", "c", "d", "e"])
        .faults(1)
        .support(grid(101))
        .prior(PriorSpec::Fixed(prior.into()))
        .output(OutputSpec::identity(normal(2.0)))
        .link(Link::OnTime(0.97))
        .build()
}

/// The same set, counting successes among four messages.
fn counting(support: Support, deadline: f64) -> StreamSpec {
    let mut output = OutputSpec::new(Computation::Count);
    output.messages = vec![0.0, 0.01, 0.02, 0.03];
    output.arrival = Some(Distribution::exponential(0.02).expect("legal").into());
    output.deadline = Some(deadline);
    StreamSpec { output, support, prior: PriorSpec::Uniform, ..sane() }
}

fn following(step: f64, leak: f64) -> StreamSpec {
    let prior = PriorSpec::Following { step: normal(step).into(), initial: None, leak };
    StreamSpec { prior, ..sane() }
}

fn checked(spec: StreamSpec) -> Checked {
    check(&ModelSet { streams: vec![spec], ..ModelSet::default() }).expect("a legal model")
}

fn kinds(spec: StreamSpec) -> Vec<(FindingKind, String)> {
    checked(spec).all_findings().map(|finding| (finding.kind, finding.key.clone())).collect()
}

fn foolish(spec: StreamSpec, kind: FindingKind, key: &str) {
    let found = kinds(spec);
    assert!(found.contains(&(kind, key.to_owned())), "{found:?} does not hold {kind} at {key}");
}

#[test]
fn a_sane_model_has_no_warnings() {
    let cut_nothing = StreamSpec { prior: PriorSpec::Uniform, ..sane() };
    let mut quiet = sane();
    quiet.replicas[1].link = Some(Link::OnTime(0.5));
    quiet.replicas[2].noise = Some(normal(4.0).into());
    let alone = StreamSpec { replicas: vec![ReplicaSpec::new("only")], faults: 0, ..sane() };
    let posterior = StreamSpec { faults: 0, objective: Objective::Posterior, ..sane() };
    for spec in [sane(), cut_nothing, quiet, alone, posterior, counting(grid(5), 0.1), following(2.0, 1e-6)] {
        let found = kinds(spec.clone());
        assert!(found.is_empty(), "{found:?} of {spec:?}");
    }
}

#[test]
fn objectives_and_replica_sets() {
    use FindingKind::*;
    let posterior = |spec| StreamSpec { objective: Objective::Posterior, ..spec };
    foolish(posterior(sane()), PosteriorTies, "objective");
    foolish(posterior(counting(grid(5), 0.1)), PosteriorExtreme, "objective");
    foolish(StreamSpec { faults: 3, ..sane() }, FaultsHalf, "faults");
    let pair = vec![ReplicaSpec::new("a"), ReplicaSpec::new("b")];
    foolish(StreamSpec { replicas: pair, ..sane() }, FaultsHalf, "faults");
    let many = (0..40).map(|i| ReplicaSpec::new(format!("r{i}"))).collect();
    let many = StreamSpec { replicas: many, faults: 12, objective: Objective::Evidence, ..sane() };
    assert_eq!(checked(many.clone()).models[0].facts.quorums, Some(5_586_853_480));
    assert!(kinds(StreamSpec { objective: Objective::Marginal, ..many.clone() }).is_empty());
    foolish(many, QuorumsMany, "faults");
}

#[test]
fn supports_and_levels() {
    use FindingKind::*;
    foolish(StreamSpec { credible: 0.2, ..sane() }, CredibleExtreme, "credible");
    foolish(StreamSpec { credible: 0.999_999_9, ..sane() }, CredibleExtreme, "credible");
    foolish(StreamSpec { silence: 1e-5, ..sane() }, SilenceExtreme, "silence");
    foolish(StreamSpec { silence: 0.95, ..sane() }, SilenceExtreme, "silence");
    foolish(
        StreamSpec { support: Support::new(50.0, 1.0, 1).expect("legal"), ..sane() },
        SupportSingle,
        "support.points",
    );
    foolish(StreamSpec { output: OutputSpec::identity(normal(0.4)), ..sane() }, StepCoarse, "support.step");
    foolish(StreamSpec { output: OutputSpec::identity(normal(200.0)), ..sane() }, NoiseWide, "output.noise");
    let mut shared = StreamSpec { output: OutputSpec::identity(normal(0.4)), ..sane() };
    shared.replicas[1].link = Some(Link::OnTime(0.5));
    assert_eq!(
        kinds(shared),
        [(StepCoarse, "support.step".to_owned())],
        "one noise under two links is told once"
    );
    let cauchy = Distribution::student_t(1.0, 0.0, 0.1).expect("legal");
    foolish(StreamSpec { output: OutputSpec::identity(cauchy), ..sane() }, StepCoarse, "support.step");
    let mut output = OutputSpec::new(Computation::Max);
    output.messages = vec![0.0, 0.1];
    output.source = Some(Distribution::normal(50.0, 0.3).expect("legal").into());
    foolish(StreamSpec { output, ..sane() }, StepCoarse, "support.step");
    foolish(counting(grid(4), 0.1), CountSupport, "support");
    foolish(counting(grid(9), 0.1), CountSupport, "support");
    foolish(counting(Support::new(0.5, 1.0, 4).expect("legal"), 0.1), CountSupport, "support");
}

#[test]
fn priors() {
    use FindingKind::*;
    let with = |prior| StreamSpec { prior, ..sane() };
    let off = Distribution::normal(80.0, 10.0).expect("legal");
    foolish(with(PriorSpec::Fixed(off.clone().into())), PriorCut, "prior");
    let facts = checked(with(PriorSpec::Fixed(off.clone().into()))).models[0].facts.prior.clone();
    // Φ(−2.05): the share beyond 100.5.
    assert!((facts.above - 0.020_182_215).abs() < 1e-8 && facts.below < 1e-14, "{facts:?}");
    let initial = Some(off.into());
    let moving = PriorSpec::Following { step: normal(2.0).into(), initial, leak: 1e-6 };
    foolish(with(moving), PriorCut, "prior.initial");
    foolish(
        with(PriorSpec::Fixed(Distribution::normal(50.0, 0.1).expect("legal").into())),
        PriorCertain,
        "prior",
    );
    foolish(following(0.05, 1e-6), PriorStep, "prior.step");
    foolish(following(500.0, 1e-6), PriorStep, "prior.step");
    foolish(following(2.0, 0.0), PriorLeak, "prior.leak");
    foolish(following(2.0, 0.4), PriorLeak, "prior.leak");
}

#[test]
fn links_and_windows() {
    use FindingKind::*;
    let with = |link| StreamSpec { link: Some(link), ..sane() };
    foolish(with(Link::OnTime(0.01)), LinkLate, "link");
    foolish(with(Link::OnTime(0.01)), ReportsFew, "link");
    foolish(with(Link::OnTime(0.0)), ReplicaSilent, "link");
    let mut one = sane();
    let slow = Distribution::exponential(3.0).expect("legal");
    one.replicas[2].link = Some(Link::Latency { arrival: slow.into(), deadline: 0.1 });
    assert_eq!(kinds(one), [(LinkLate, "replica.c.link".to_owned())]);
    foolish(counting(grid(5), 0.025), DeadlineEarly, "output.deadline");
    foolish(counting(grid(5), 0.0305), MessagesLate, "output.arrival");
    let mut same = sane();
    same.replicas[0].link = same.link.clone();
    same.replicas[1].noise = same.output.noise.clone();
    let idle = ["replica.a.link", "replica.b.noise"].map(|key| (OverrideIdle, key.to_owned()));
    assert_eq!(kinds(same), idle);
}

#[test]
fn tables_of_many_kinds_are_large() {
    let points = 590;
    let mut output = OutputSpec::new(Computation::Sum);
    output.messages = vec![0.0];
    output.source = Some(normal(5.0).into());
    let mut spec = StreamSpec { output, support: grid(points), prior: PriorSpec::Uniform, ..sane() };
    spec.replicas = (0..34)
        .map(|i| ReplicaSpec {
            link: Some(Link::OnTime(0.5 + f64::from(i) * 0.01)),
            ..ReplicaSpec::new(format!("r{i}"))
        })
        .collect();
    foolish(spec, FindingKind::TablesLarge, "support.points");
}

#[test]
fn published_distributions() {
    let mut spec = sane();
    spec.output = OutputSpec::identity("noise");
    let set = |names: &[(&str, f64)]| ModelSet {
        distributions: names.iter().map(|&(name, sd)| (name.to_owned(), normal(sd))).collect(),
        streams: vec![spec.clone()],
    };
    let found = |set: &ModelSet| -> Vec<_> {
        let checked = check(set).expect("legal");
        checked.findings.iter().map(|f| (f.kind, f.key.clone(), f.stream.clone())).collect()
    };
    assert!(found(&set(&[("noise", 2.0)])).is_empty());
    let key = "distributions.spare".to_owned();
    let unused = (FindingKind::DistributionUnused, key.clone(), String::new());
    let duplicate = (FindingKind::DistributionDuplicate, key, String::new());
    assert_eq!(found(&set(&[("noise", 2.0), ("spare", 3.0)])), std::slice::from_ref(&unused));
    assert_eq!(found(&set(&[("noise", 2.0), ("spare", 2.0)])), [unused, duplicate]);
    let only_published = ModelSet { streams: Vec::new(), ..set(&[("a", 2.0), ("b", 2.0)]) };
    assert!(found(&only_published).is_empty());
}

#[test]
fn streams_that_share_a_model_are_told_once_and_kinds_have_names_of_their_own() {
    let streams: Vec<StreamSpec> = (0..1_000)
        .map(|i| {
            let objective = if i % 2 == 0 { Objective::Marginal } else { Objective::Posterior };
            StreamSpec { name: format!("road/{i}"), objective, ..sane() }
        })
        .collect();
    let checked = check(&ModelSet { streams, ..ModelSet::default() }).expect("legal");
    let sizes: Vec<usize> = checked.models.iter().map(|model| model.streams.len()).collect();
    assert_eq!(sizes, [500, 500]);
    assert_eq!(checked.all_findings().count(), 1);
    assert_eq!(checked.models[1].findings[0].stream, "road/1");
    let names: BTreeSet<&str> = FindingKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), FindingKind::ALL.len());
}

#[test]
fn the_words_say_the_numbers() {
    let mut spec = counting(grid(5), 0.1);
    spec.replicas[1].link = Some(Link::OnTime(0.5));
    let checked = checked(spec);
    let facts = &checked.models[0].facts;
    let in_time: Vec<f64> =
        [0.1, 0.09, 0.08, 0.07].iter().map(|left: &f64| 1.0 - (-left / 0.02).exp()).collect();
    assert!((facts.output.expected_readings - in_time.iter().sum::<f64>()).abs() < 1e-12);
    assert!((facts.kinds[1].missing - 0.5).abs() < 1e-15);
    assert_eq!(facts.kinds[0].positions, [0, 2, 3, 4]);
    let words: String =
        facts.words().iter().map(|(heading, words)| format!("{heading}: {words}\n")).collect();
    for part in [
        "replicas: 5 (a, b, c, d, e), of which at most 1 may be faulty",
        "quorum: 4 of 5 replicas: 5 quorums",
        "support: 0 to 4 in steps of 1: 5 points",
        "prior: every point alike",
        "4 source messages, sent from 0 s to 0.03 s; deadline at 0.1 s, latency exponential (mean 0.02, sd 0.02)",
        "each in time with probability 0.97 to 0.993; 3.93 readings expected",
        "reports: a, c, d, e: in time at the client with probability 0.97; P(missing) 0.03",
        "reports: b: in time at the client with probability 0.5; P(missing) 0.5",
    ] {
        assert!(words.contains(part), "{words}\ndoes not say {part:?}");
    }
}

#[test]
fn an_illegal_model_is_an_error() {
    let error = check(&ModelSet { streams: vec![StreamSpec { faults: 5, ..sane() }], ..ModelSet::default() });
    assert_eq!(
        error.expect_err("illegal").to_string(),
        "stream \"road\": faults: found 5, expected less than the number of replicas, 5"
    );
}
