//! The conformance suite over the engine's own backends: scalar, and SIMD at every level that this machine has.

use centauri_conformance::run_all;
use centauri_engine::{Backend, ScalarBackend, SimdBackend, SimdLevel};

#[test]
fn scalar() {
    run_all(&mut || Box::new(ScalarBackend::new()) as Box<dyn Backend>);
}

fn simd(level: SimdLevel) {
    if !SimdLevel::present().contains(&level) {
        println!("skipped: this machine does not have {}", level.name());
        return;
    }
    run_all(&mut || Box::new(SimdBackend::with_level(level).with_threads(1)) as Box<dyn Backend>);
}

#[test]
fn simd_avx512() {
    simd(SimdLevel::Avx512);
}

#[test]
fn simd_avx2() {
    simd(SimdLevel::Avx2);
}

#[test]
fn simd_neon() {
    simd(SimdLevel::Neon);
}

#[test]
fn simd_baseline() {
    simd(SimdLevel::Baseline);
}
