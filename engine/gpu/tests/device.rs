//! What happens around the kernels: failures, large batches, changing models, bytes over the bus.

mod common;

use centauri_engine::*;
use centauri_gpu::{
    AdapterChoice, AdapterKind, GpuBackend, GpuError, GpuEvent, GpuOptions, GpuStatus, Reason, adapters,
};
use common::{backend, compare};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

fn stream(name: &str, n: usize, f: usize, points: usize, noise: DistributionRef) -> StreamSpec {
    let names: Vec<String> = (0..n).map(|i| format!("r{i}")).collect();
    let mut output = OutputSpec::new(Computation::Identity);
    output.noise = Some(noise);
    let mut spec = StreamSpec::builder(name, names.iter().map(String::as_str))
        .faults(f)
        .support(Support::new(0.0, 1.0, points).expect("a legal support"))
        .output(output)
        .build();
    spec.link = Some(Link::OnTime(0.97));
    spec
}

fn normal(sd: f64) -> DistributionRef {
    Distribution::normal(0.0, sd).expect("a legal noise").into()
}

fn seven(points: usize) -> Fleet {
    let streams = vec![stream("a", 7, 2, points, normal(2.0))];
    Fleet::compile(&ModelSet { streams, ..ModelSet::default() }).expect("a legal model")
}

/// Rounds of honest reports and silence, in half of which 1 to f replicas lie.
fn rounds(seed: u64, fleet: &Fleet, objective: Objective, rounds: usize) -> Batch {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut batch = Batch::new();
    for round in 0..rounds {
        let model = ModelId(rng.random_range(0..fleet.models() as u32));
        let compiled = fleet.model(model).expect("a model");
        let points = compiled.support().points() as i64;
        let truth = rng.random_range(8.min(points / 2)..(points - 8).max(points / 2 + 1));
        let liars = if round % 2 == 0 { rng.random_range(0..=compiled.faults()) } else { 0 };
        let observations: Vec<Observation> = (0..compiled.replicas())
            .map(|i| {
                let noise: f64 = (0..12).map(|_| rng.random_range(-0.5..0.5)).sum();
                match rng.random_range(0..100) {
                    0..3 => Observation::Missing,
                    _ if i < liars => Observation::Bin(rng.random_range(0..points)),
                    _ => Observation::Bin(truth + (2.0 * noise).round() as i64),
                }
            })
            .collect();
        batch.push(Entry {
            model,
            objective: Some(objective),
            wants_marginal: false,
            wants_region: false,
            observations: &observations,
            ln_prior: None,
        });
    }
    batch
}

#[test]
fn a_lost_device_is_an_event_and_comes_back() {
    let Some(mut gpu) = backend(true) else { return };
    let events: Arc<Mutex<Vec<GpuEvent>>> = Arc::default();
    let seen = events.clone();
    gpu.observe(move |event| seen.lock().expect("no panic elsewhere").push(event.clone()));
    let fleet = seven(64);
    let batch = rounds(1, &fleet, Objective::Marginal, 50);
    compare("before", &mut gpu, &fleet, &batch);
    assert_eq!(gpu.status(), GpuStatus::Running);
    gpu.destroy_device();
    compare("on the lost device", &mut gpu, &fleet, &batch);
    assert!(matches!(gpu.status(), GpuStatus::Resting { .. }), "{gpu:?}");
    assert_eq!(gpu.counters().fallback(Reason::Device), 50);
    compare("resting", &mut gpu, &fleet, &batch);
    compare("back", &mut gpu, &fleet, &batch);
    assert_eq!(gpu.status(), GpuStatus::Running);
    assert_eq!(gpu.counters().fallback(Reason::Device), 100);
    let events = events.lock().expect("no panic elsewhere");
    assert!(matches!(events[..], [GpuEvent::Failed(_), GpuEvent::Restored]), "{events:?}");
}

#[test]
fn a_batch_beyond_one_submission_is_split() {
    let Some(mut gpu) = backend(true) else { return };
    let fleet = seven(16);
    let batch = rounds(2, &fleet, Objective::Marginal, 33_000);
    compare("33,000 rounds", &mut gpu, &fleet, &batch);
    assert_eq!(gpu.counters().submissions, 2);
    assert!(gpu.counters().on_device > 32_000, "{:?}", gpu.counters());
}

#[test]
fn a_round_of_seven_takes_20_bytes_up_and_64_down() {
    let Some(mut gpu) = backend(true) else { return };
    let fleet = seven(64);
    for objective in [Objective::Marginal, Objective::Evidence] {
        compare("bytes", &mut gpu, &fleet, &rounds(3, &fleet, objective, 100));
    }
    assert_eq!((gpu.counters().bytes_up, gpu.counters().bytes_down), (200 * 20, 200 * 64));
}

#[test]
fn few_rounds_of_common_shapes_need_the_fallback() {
    let shapes = [
        ("A", 7, 2, Objective::Evidence, 4_000, 0.05),
        ("B", 7, 2, Objective::Marginal, 4_000, 0.06),
        ("C", 16, 5, Objective::Evidence, 200, 0.2),
        ("D", 64, 21, Objective::Marginal, 100, 0.08),
    ];
    for (name, n, f, objective, count, most) in shapes {
        let Some(mut gpu) = backend(true) else { return };
        let streams = vec![stream(name, n, f, 64, normal(2.0))];
        let fleet = Fleet::compile(&ModelSet { streams, ..ModelSet::default() }).expect("a legal model");
        compare(name, &mut gpu, &fleet, &rounds(4, &fleet, objective, count));
        let counters = gpu.counters();
        println!("{name}: {counters:?}");
        assert!(counters.fallbacks() as f64 <= most * count as f64, "{name}: {counters:?}");
    }
}

#[test]
fn an_update_uploads_what_it_changes() {
    let Some(mut gpu) = backend(true) else { return };
    let sd = |sd| BTreeMap::from([("n".to_owned(), Distribution::normal(0.0, sd).expect("a legal noise"))]);
    let named = DistributionRef::Named("n".to_owned());
    let streams = vec![stream("changes", 7, 2, 64, named), stream("stays", 7, 2, 64, normal(1.5))];
    let set = ModelSet { streams, distributions: sd(2.0) };
    let mut fleet = Fleet::compile(&set).expect("legal models");
    compare("first", &mut gpu, &fleet, &rounds(5, &fleet, Objective::Marginal, 100));
    let first = gpu.counters().table_bytes;
    for round in 0..5 {
        fleet = fleet.published(&sd(2.1 + f64::from(round))).expect("a legal model");
        compare("changed", &mut gpu, &fleet, &rounds(6, &fleet, Objective::Marginal, 100));
        assert_eq!(gpu.counters().table_bytes, first + (u64::from(round as u32) + 1) * first / 2);
        assert_eq!(gpu.models(), 2, "the old tables leave the device");
    }
}

#[test]
fn rounds_that_do_not_fit_are_errors() {
    let Some(mut gpu) = backend(true) else { return };
    let fleet = seven(64);
    let mut batch = Batch::new();
    let entry = |model, observations| Entry {
        model,
        objective: None,
        wants_marginal: false,
        wants_region: false,
        observations,
        ln_prior: None,
    };
    batch.push(entry(ModelId(0), &[Observation::Missing; 6]));
    let mut decisions = Decisions::new();
    let short = gpu.evaluate(&fleet, &batch, &mut decisions);
    assert!(matches!(short, Err(BackendError::Shape { round: 0, found: 6, expected: 7, .. })), "{short:?}");
    batch.clear();
    batch.push(entry(ModelId(9), &[Observation::Missing; 7]));
    let unknown = gpu.evaluate(&fleet, &batch, &mut decisions);
    assert!(matches!(unknown, Err(BackendError::UnknownModel { round: 0, .. })), "{unknown:?}");
}

#[test]
fn an_adapter_that_is_not_there_is_an_error() {
    let adapter = AdapterChoice::Named("no such card".to_owned());
    let opened =
        GpuBackend::open(GpuOptions { adapter, ..GpuOptions::default() }, Box::new(ScalarBackend::new()));
    assert!(matches!(opened, Err(GpuError::NoAdapter { .. })), "{opened:?}");
    for adapter in adapters() {
        println!("{adapter:?}");
        assert!(!adapter.name.is_empty() && adapter.kind <= AdapterKind::Software);
    }
}
