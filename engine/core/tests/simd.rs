//! The SIMD backend beside its decisions: how often it needs which precision, that threads and batches change nothing, and
//! that its tables follow the fleet. That it decides as the scalar backend does is the conformance suite's.

use centauri_engine::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

const SEED: u64 = 5;

fn spec(
    name: &str,
    (n, f): (usize, usize),
    objective: Objective,
    noise: impl Into<DistributionRef>,
) -> StreamSpec {
    StreamSpec::builder(name, (0..n).map(|i| format!("r{i}")))
        .faults(f)
        .objective(objective)
        .support(Support::new(0.0, 1.0, 64).unwrap())
        .output(OutputSpec::identity(noise))
        .link(Link::OnTime(0.97))
        .build()
}

fn normal(sd: f64) -> Distribution {
    Distribution::normal(0.0, sd).unwrap()
}

/// Rounds around a truth, some reports missing, in half of the rounds 1 … f liars anywhere.
fn rounds(fleet: &Fleet, count: usize) -> Batch {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut batch = Batch::new();
    for round in 0..count {
        let model = ModelId((round % fleet.models()) as u32);
        let compiled = fleet.model(model).unwrap();
        let (n, f) = (compiled.replicas(), compiled.faults());
        let truth = rng.random_range(15.0..48.0);
        let liars = if round % 2 == 0 && f > 0 { rng.random_range(1..=f) } else { 0 };
        let first = rng.random_range(0..n);
        let observations: Vec<Observation> = (0..n)
            .map(|i| {
                let away = (0..12).map(|_| rng.random_range(-0.5..0.5)).sum::<f64>();
                if rng.random_bool(0.03) {
                    Observation::Missing
                } else if (i + first) % n < liars {
                    Observation::Bin(rng.random_range(0..64))
                } else {
                    Observation::Bin(compiled.support().bin(truth + 3.0 * away))
                }
            })
            .collect();
        batch.push(Entry {
            model,
            objective: None,
            wants_marginal: false,
            wants_region: round % 3 == 0,
            observations: &observations,
            ln_prior: None,
        });
    }
    batch
}

fn fleet(streams: Vec<StreamSpec>) -> Fleet {
    Fleet::compile(&ModelSet { streams, ..ModelSet::default() }).unwrap()
}

#[test]
fn nearly_all_rounds_are_decided_without_the_scalar_code() {
    // `coalition` is always decided by the scalar code.
    for objective in Objective::ALL.into_iter().filter(|o| *o != Objective::Coalition) {
        let fleet =
            fleet(vec![spec("a", (7, 2), objective, normal(3.0)), spec("b", (4, 1), objective, normal(2.5))]);
        let batch = rounds(&fleet, 20_000);
        let mut backend = SimdBackend::new().with_threads(1);
        backend.evaluate(&fleet, &batch, &mut Decisions::new()).unwrap();
        let rungs = backend.rungs();
        println!("{objective}: {rungs:?}");
        assert_eq!(rungs.single + rungs.double + rungs.scalar, 20_000);
        assert!(rungs.scalar < 20, "{objective}: {rungs:?}");
        if objective != Objective::Posterior {
            // Four reports that lie evenly around the middle between two points make an exact tie of those two.
            assert!(rungs.double < 3_000, "{objective}: {rungs:?}");
        }
    }
}

#[test]
fn threads_and_batches_change_nothing() {
    let streams = Objective::ALL.iter().map(|&o| spec(o.name(), (5, 2), o, normal(2.0))).collect();
    let fleet = fleet(streams);
    let batch = rounds(&fleet, 1_000);
    let (mut one, mut many, mut single) = (Decisions::new(), Decisions::new(), Decisions::new());
    SimdBackend::new().with_threads(1).evaluate(&fleet, &batch, &mut one).unwrap();
    let mut backend = SimdBackend::new().with_threads(3);
    backend.evaluate(&fleet, &batch, &mut many).unwrap();
    assert_eq!(one, many);
    for (i, entry) in batch.iter().enumerate().step_by(37) {
        let mut alone = Batch::new();
        alone.push(entry);
        backend.evaluate(&fleet, &alone, &mut single).unwrap();
        assert_eq!(single.decision(0), one.decision(i));
        assert_eq!(single.honest(0), one.honest(i));
    }
}

#[test]
fn tables_follow_what_is_published() {
    let named = |name: &str| DistributionRef::Named(name.to_owned());
    let streams = vec![
        spec("a", (3, 1), Objective::Marginal, named("wide")),
        spec("b", (3, 1), Objective::Evidence, named("narrow")),
    ];
    let distributions = [("wide", 6.0), ("narrow", 1.0)].map(|(name, sd)| (name.to_owned(), normal(sd)));
    let set = ModelSet { streams, distributions: distributions.into_iter().collect() };
    let before = Fleet::compile(&set).unwrap();
    let published: BTreeMap<String, Distribution> = [("narrow".to_owned(), normal(4.0))].into();
    let after = before.published(&published).unwrap();
    let batch = rounds(&before, 200);
    let mut backend = SimdBackend::new();
    for fleet in [&before, &after, &before] {
        let (mut found, mut law) = (Decisions::new(), Decisions::new());
        backend.evaluate(fleet, &batch, &mut found).unwrap();
        ScalarBackend::new().evaluate(fleet, &batch, &mut law).unwrap();
        for i in 0..batch.len() {
            let (a, b) = (found.decision(i), law.decision(i));
            assert_eq!((a.value, a.quorum), (b.value, b.quorum), "round {i}");
            assert!((a.confidence - b.confidence).abs() < 1e-5, "round {i}: {a:?} {b:?}");
        }
    }
}

/// Replica 1 differs from the others by so little that two quorums, or two grid points, lie about one tie (1e-6) apart: some
/// nearer to its edge than float32 can tell.
#[test]
fn at_the_edge_of_a_tie_the_scalar_code_is_followed() {
    // Of many widths, so that float32 rounds otherwise each time.
    let stream = |k: i32| {
        let sd = 2.0 + 0.03 * f64::from(k.rem_euclid(31));
        let mut spec = spec(&format!("s{k}"), (15, 1), Objective::Marginal, normal(sd));
        spec.replicas[1].noise = Some(Distribution::normal(5e-8 * f64::from(k), sd).unwrap().into());
        spec
    };
    let fleet = fleet((-300..300).map(stream).collect());
    let bins = |values: [i64; 15]| values.map(Observation::Bin);
    let quorums_tie = bins([29, 33, 30, 32, 31, 30, 32, 30, 32, 30, 32, 31, 31, 30, 32]);
    let mut points_tie = bins([30, 31, 30, 31, 30, 31, 30, 31, 30, 31, 30, 31, 30, 31, 0]);
    points_tie[14] = Observation::Missing;
    for objective in Objective::ALL {
        let mut batch = Batch::new();
        for model in 0..fleet.models() {
            for observations in [&quorums_tie, &points_tie] {
                batch.push(Entry {
                    model: ModelId(model as u32),
                    objective: Some(objective),
                    wants_marginal: false,
                    wants_region: false,
                    observations,
                    ln_prior: None,
                });
            }
        }
        let (mut found, mut law) = (Decisions::new(), Decisions::new());
        SimdBackend::new().with_threads(1).evaluate(&fleet, &batch, &mut found).unwrap();
        ScalarBackend::new().evaluate(&fleet, &batch, &mut law).unwrap();
        let mut outcomes = std::collections::BTreeSet::new();
        for i in 0..batch.len() {
            let of =
                |decisions: &Decisions| (decisions.decision(i).point, decisions.decision(i).quorum.bits());
            assert_eq!(of(&found), of(&law), "{objective}, round {i}");
            outcomes.insert((i % 2, of(&law)));
        }
        assert!(outcomes.len() > 2, "{objective}: the ties have edges: {outcomes:?}");
    }
}
