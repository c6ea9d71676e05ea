//! The conformance suite over the graphics card, or Mesa's software driver where there is none. Without any adapter it says
//! that it was skipped; `CENTAURI_REQUIRE_GPU=1` makes that a failure.

use centauri_conformance::run_all;
use centauri_engine::{Backend, SimdBackend};
use centauri_gpu::{GpuBackend, GpuError, GpuOptions};

fn open(subgroups: bool) -> Result<GpuBackend, GpuError> {
    let options = GpuOptions { software: true, subgroups, ..GpuOptions::default() };
    GpuBackend::open(options, Box::new(SimdBackend::new().with_threads(1)))
}

fn suite(subgroups: bool) {
    if let Err(error) = open(subgroups) {
        let required = std::env::var("CENTAURI_REQUIRE_GPU").is_ok_and(|v| v == "1");
        assert!(!required, "CENTAURI_REQUIRE_GPU=1, but {error}");
        println!("skipped: {error}");
        return;
    }
    run_all(&mut || Box::new(open(subgroups).expect("it was opened before")) as Box<dyn Backend>);
}

#[test]
fn gpu_with_subgroups() {
    suite(true);
}

#[test]
fn gpu_through_workgroup_memory() {
    suite(false);
}
