//! Evaluation by objective and size, compilation of models, masses of distributions.

use centauri_benches::WORKS;
use centauri_engine::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn evaluation(c: &mut Criterion) {
    let mut group = c.benchmark_group("evaluation");
    group.sample_size(10);
    for work in WORKS {
        let rounds = if work.n > 32 { 4 } else { 64 };
        let (fleet, batch) = (work.fleet(), work.batch(rounds, 1));
        let (mut backend, mut decisions) = (ScalarBackend::new(), Decisions::new());
        group.throughput(Throughput::Elements(rounds as u64));
        group.bench_function(format!("scalar/{}", work.name), |b| {
            b.iter(|| backend.evaluate(&fleet, black_box(&batch), &mut decisions).expect("a legal batch"));
        });
    }
}

fn compilation(c: &mut Criterion) {
    let mut group = c.benchmark_group("compilation");
    group.sample_size(10);
    for work in WORKS.iter().filter(|w| w.objective == Objective::Marginal) {
        group.bench_function(work.name, |b| b.iter(|| black_box(work).fleet()));
    }
}

fn masses(c: &mut Criterion) {
    let mut group = c.benchmark_group("ln_mass");
    for (name, distribution) in [
        ("normal", Distribution::normal(0.0, 1.0)),
        ("laplace", Distribution::laplace(0.0, 1.0)),
        ("gamma", Distribution::gamma(3.5, 1.0)),
        ("student_t", Distribution::student_t(4.0, 0.0, 1.0)),
    ] {
        let distribution = distribution.expect("legal parameters");
        let mut at = 0.0;
        group.bench_function(name, |b| {
            b.iter(|| {
                at = if at > 8.0 { -8.0 } else { at + 0.37 };
                distribution.ln_mass(black_box(at), black_box(at + 0.05))
            });
        });
    }
}

criterion_group!(benches, evaluation, compilation, masses);
criterion_main!(benches);
