//! The edges: smallest and largest shapes, silence, impossible reports, reports far outside, ties.

mod common;

use centauri_engine::*;
use common::{backend, compare};

const NAMES: [&str; 40] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u",
    "v", "w", "x", "y", "z", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "aa", "ab", "ac", "ad",
];

fn fleet(n: usize, f: usize, points: usize, noise: &Distribution, on_time: Option<f64>) -> Fleet {
    let mut spec = StreamSpec::builder("edge", NAMES[..n].iter().copied())
        .faults(f)
        .support(Support::new(-1.0, 0.5, points).expect("a legal support"))
        .output(OutputSpec::identity(noise.clone()))
        .build();
    spec.link = on_time.map(Link::OnTime);
    Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() }).expect("a legal model")
}

fn normal(sd: f64) -> Distribution {
    Distribution::normal(0.0, sd).expect("a legal noise")
}

/// Every objective, with the region and without, of every list of bins; `None` is a missing message.
fn check(what: &str, fleet: &Fleet, rounds: &[&[Option<i64>]]) {
    let mut batch = Batch::new();
    for &bins in rounds {
        let observations: Vec<Observation> =
            bins.iter().map(|bin| bin.map_or(Observation::Missing, Observation::Bin)).collect();
        for objective in Objective::ALL {
            for wants_region in [false, true] {
                batch.push(Entry {
                    model: ModelId(0),
                    objective: Some(objective),
                    wants_marginal: false,
                    wants_region,
                    observations: &observations,
                    ln_prior: None,
                });
            }
        }
    }
    for subgroups in [false, true] {
        let Some(mut gpu) = backend(subgroups) else { return };
        compare(what, &mut gpu, fleet, &batch);
    }
}

#[test]
fn one_replica_and_one_point() {
    for on_time in [None, Some(0.9)] {
        check(
            "1 of 1",
            &fleet(1, 0, 1, &normal(1.0), on_time),
            &[&[Some(0)], &[None], &[Some(1)], &[Some(-1)]],
        );
        check("2 of 3", &fleet(3, 1, 1, &normal(1.0), on_time), &[&[Some(0), Some(0), None], &[None; 3]]);
    }
}

#[test]
fn all_but_one_may_lie() {
    let rounds: [&[Option<i64>]; 3] = [&[Some(3), Some(4), Some(9)], &[None, None, Some(5)], &[None; 3]];
    check("f = n − 1", &fleet(3, 2, 12, &normal(1.0), Some(0.95)), &rounds);
}

#[test]
fn supports_around_the_sizes_of_the_kernels() {
    for points in [63, 64, 65, 257, 1_025] {
        let far = points as i64;
        let rounds: [&[Option<i64>]; 3] = [
            &[Some(far - 1), Some(far - 2), Some(far), Some(0), None],
            &[Some(0), Some(1), Some(0), Some(far / 2), Some(2)],
            &[None; 5],
        ];
        check(&format!("{points} points"), &fleet(5, 1, points, &normal(1.5), Some(0.9)), &rounds);
    }
}

#[test]
fn reports_that_contradict_each_other_and_reports_far_outside() {
    let rounds: [&[Option<i64>]; 4] = [
        &[Some(0), Some(15), Some(30), Some(45), Some(60)],
        &[Some(5), Some(5), Some(90), Some(-40), Some(6)],
        &[Some(5), Some(4), Some(1 << 40), Some(-(1 << 40)), Some(6)],
        &[Some(0), Some(0), Some(0), Some(63), Some(63)],
    ];
    check("narrow", &fleet(5, 2, 64, &normal(0.3), Some(0.9)), &rounds);
    check("wide", &fleet(5, 2, 64, &normal(4.0), Some(0.9)), &rounds);
    let flat = Distribution::uniform(-1.1, 1.1).expect("a legal noise");
    check("flat", &fleet(5, 2, 64, &flat, Some(0.9)), &rounds);
}

#[test]
fn twins_and_mirror_images_tie() {
    let rounds: [&[Option<i64>]; 5] = [
        &[Some(9), Some(9), Some(9), Some(9)],
        &[Some(8), Some(9), Some(9), Some(10)],
        &[Some(8), Some(8), Some(10), Some(10)],
        &[Some(10), Some(8), Some(10), Some(8)],
        &[None, Some(9), None, Some(9)],
    ];
    for faults in [1, 2] {
        check("ties", &fleet(4, faults, 20, &normal(1.0), Some(0.9)), &rounds);
    }
    let laplace = Distribution::laplace(0.0, 1.0).expect("a legal noise");
    check("laplace", &fleet(4, 1, 20, &laplace, None), &rounds);
}

#[test]
fn a_missing_message_that_cannot_be() {
    let rounds: [&[Option<i64>]; 3] =
        [&[Some(9), None, Some(9), Some(10)], &[None, None, Some(9), Some(10)], &[None; 4]];
    check("no link", &fleet(4, 1, 20, &normal(1.0), None), &rounds);
    check("always late", &fleet(4, 1, 20, &normal(1.0), Some(0.0)), &rounds);
}

#[test]
fn sets_beyond_the_bits_of_a_word() {
    let bins: Vec<Option<i64>> = (0..40).map(|i| Some(9 + i % 3 - 1)).collect();
    check("40", &fleet(40, 2, 20, &normal(1.0), Some(0.9)), &[&bins]);
}
