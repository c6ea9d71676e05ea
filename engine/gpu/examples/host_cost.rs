//! What the host spends on a round: time of the calling thread, without the device's.
//!
//! `cargo run --release -p centauri-gpu --example host_cost` (Linux; on the software driver, whose threads are others).

use centauri_engine::*;
use centauri_gpu::{GpuBackend, GpuError, GpuOptions};

/// Rounds of a batch, and batches.
const ROUNDS: usize = 32_768;
const BATCHES: usize = 5;

/// Nanoseconds that this thread has run.
fn thread_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

fn main() -> Result<(), GpuError> {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let noise = Distribution::normal(0.0, 2.0).expect("a legal noise");
    let support = Support::new(0.0, 1.0, 64).expect("a legal support");
    let mut spec = StreamSpec::builder("s", names)
        .faults(2)
        .support(support)
        .output(OutputSpec::identity(noise))
        .build();
    spec.link = Some(Link::OnTime(0.97));
    let fleet =
        Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() }).expect("a legal model");
    let options = GpuOptions { software: true, ..GpuOptions::default() };
    let mut gpu = GpuBackend::open(options, Box::new(SimdBackend::new().with_threads(1)))?;
    println!("{}", gpu.adapter().name);
    for objective in [Objective::Marginal, Objective::Evidence] {
        let mut batch = Batch::new();
        for round in 0..ROUNDS as i64 {
            let report = |i: i64| Observation::Bin(32 + (round * 7 + i * i * (round % 5 + 1)) % 7 - 3);
            batch.push(Entry {
                model: ModelId(0),
                objective: Some(objective),
                wants_marginal: false,
                wants_region: false,
                observations: &std::array::from_fn::<_, 7, _>(|i| report(i as i64)),
                ln_prior: None,
            });
        }
        let mut decisions = Decisions::new();
        let mut costs: Vec<u64> = (0..BATCHES)
            .map(|_| {
                let begin = thread_ns();
                gpu.evaluate(&fleet, &batch, &mut decisions).expect("rounds that fit");
                thread_ns() - begin
            })
            .collect();
        costs.sort_unstable();
        let counters = *gpu.counters();
        println!(
            "{objective:?}: {} ns a round on the host's thread; so far {} on the device, {} settled, {} by the fallback",
            costs[BATCHES / 2] / ROUNDS as u64,
            counters.on_device,
            counters.settled,
            counters.fallbacks()
        );
    }
    Ok(())
}
