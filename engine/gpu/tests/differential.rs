//! Random models and rounds on the device against the scalar backend.

mod common;
mod random;

use centauri_engine::*;
use centauri_gpu::Reason;
use common::{backend, compare};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use random::{batch, stream};

fn fleet(rng: &mut ChaCha8Rng, models: usize, replicas: usize, points: usize) -> Fleet {
    let streams = (0..models).map(|i| stream(rng, &format!("s{i}"), replicas, points)).collect();
    Fleet::compile(&ModelSet { streams, ..ModelSet::default() }).expect("legal models")
}

fn run(seed: u64, models: usize, replicas: usize, points: usize, rounds: usize) {
    for subgroups in [false, true] {
        let Some(mut gpu) = backend(subgroups) else { return };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let fleet = fleet(&mut rng, models, replicas, points);
        let batch = batch(&mut rng, &fleet, rounds, replicas > 32);
        let found = compare(&format!("seed {seed}, subgroups {subgroups}"), &mut gpu, &fleet, &batch);
        let impossible = (0..found.len()).filter(|&i| found.decision(i).status == Status::NoQuorum).count();
        println!("{impossible} without a quorum");
        let counters = gpu.counters();
        println!(
            "{}: {} on device, {} settled, {} bytes up, {} down",
            gpu.adapter().name,
            counters.on_device,
            counters.settled,
            counters.bytes_up,
            counters.bytes_down
        );
        for reason in Reason::ALL {
            println!("  {}: {}", reason.name(), counters.fallback(reason));
        }
        assert!(counters.on_device > rounds as u64 / 4, "most rounds are decided on the device");
    }
}

#[test]
fn small_sets_decide_like_the_scalar_backend() {
    run(1, 60, 8, 40, 3_000);
}

#[test]
fn middling_sets_decide_like_the_scalar_backend() {
    run(2, 40, 16, 100, 300);
}

#[test]
fn large_supports_decide_like_the_scalar_backend() {
    run(3, 12, 9, 700, 200);
}

#[test]
fn large_sets_decide_like_the_scalar_backend() {
    run(4, 20, 90, 30, 150);
}
