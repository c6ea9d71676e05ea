//! What Mesa's compiler for Radeon cards makes of the kernels, on a machine without such a card.
//!
//! RADV compiles for a card that isn't there where `RADV_FORCE_FAMILY` names one, and says with `RADV_DEBUG=shaderstats`
//! what each program needs. `cargo test -p centauri-gpu --test isa -- --nocapture` prints the table of
//! `shaders/README.md`.

use centauri_engine::ScalarBackend;
use centauri_gpu::{AdapterChoice, GpuBackend, GpuOptions, Variant};
use std::path::Path;
use std::process::Command;

/// Mesa's driver for Radeon cards.
const DRIVER: &str = "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json";
const FAMILIES: [(&str, &str); 2] = [("gfx1100", "Navi 31"), ("navi21", "Navi 21")];

/// Runs in a process of its own, which [`kernels_fit_the_cards`] starts: the driver reads its settings once.
#[test]
#[ignore = "started by kernels_fit_the_cards"]
fn build_every_kernel() {
    let adapter = AdapterChoice::Named("RADV".to_owned());
    for subgroups in [false, true] {
        let options = GpuOptions { adapter: adapter.clone(), subgroups, ..GpuOptions::default() };
        let mut backend =
            GpuBackend::open(options, Box::new(ScalarBackend::new())).expect("the card that isn't there");
        for variant in Variant::all() {
            eprintln!("\nkernel {variant}{}", if subgroups { " subgroups" } else { "" });
            backend.build(variant).expect("the kernel compiles");
        }
    }
}

#[test]
fn kernels_fit_the_cards() {
    if !Path::new(DRIVER).exists() {
        let required = std::env::var("CENTAURI_REQUIRE_GPU").is_ok_and(|v| v == "1");
        assert!(!required, "CENTAURI_REQUIRE_GPU=1, but {DRIVER} is not there");
        println!("skipped: {DRIVER} is not there");
        return;
    }
    for (family, _name) in FAMILIES {
        let output = Command::new(std::env::current_exe().expect("this test's path"))
            .args(["--exact", "build_every_kernel", "--ignored", "--nocapture"])
            .env("VK_DRIVER_FILES", DRIVER)
            .env("VK_ICD_FILENAMES", DRIVER)
            .env("RADV_FORCE_FAMILY", family)
            .env("RADV_DEBUG", "shaderstats,nocache")
            .env("MESA_SHADER_CACHE_DISABLE", "true")
            .output()
            .expect("this test runs");
        println!("{}", String::from_utf8_lossy(&output.stdout));
        println!("{}", String::from_utf8_lossy(&output.stderr));
    }
}
