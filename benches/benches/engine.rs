//! Evaluation by backend, objective and size; compilation of models; tables of distributions.

use centauri_benches::{backends, distributions, label, rounds, table, works};
use centauri_engine::{Decisions, Objective};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn evaluation(c: &mut Criterion) {
    let mut group = c.benchmark_group("evaluation");
    group.sample_size(10);
    let mut contenders = backends().expect("every backend there is can be opened");
    for work in works() {
        let fleet = work.fleet().expect("a legal model");
        let batch = work.batch(rounds(&work), 1).expect("a legal model");
        group.throughput(Throughput::Elements(batch.len() as u64));
        for contender in &mut contenders {
            let name = format!("{}/{}", label(contender), work.name);
            let mut decisions = Decisions::new();
            group.bench_function(name, |b| {
                let backend = &mut contender.backend;
                b.iter(|| {
                    backend.evaluate(&fleet, black_box(&batch), &mut decisions).expect("a legal batch");
                });
            });
        }
    }
}

fn compilation(c: &mut Criterion) {
    let mut group = c.benchmark_group("compilation");
    group.sample_size(10);
    for work in works().iter().filter(|work| work.objective == Objective::Marginal) {
        group.bench_function(&work.name, |b| b.iter(|| black_box(work).fleet().expect("a legal model")));
    }
}

fn tables(c: &mut Criterion) {
    let mut group = c.benchmark_group("table");
    const CELLS: usize = 192;
    group.throughput(Throughput::Elements(CELLS as u64));
    for (name, distribution) in distributions().expect("legal parameters") {
        group.bench_function(name, |b| b.iter(|| table(black_box(&distribution), CELLS)));
    }
}

criterion_group!(benches, evaluation, compilation, tables);
criterion_main!(benches);
