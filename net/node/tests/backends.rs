//! `centauri backends` and `--backend` as their users run them.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/integration/vectors")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// The command, with the user's cache in `folder`.
fn centauri(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centauri"));
    command.args(arguments).env("XDG_CACHE_HOME", folder).env_remove("CENTAURI_CALIBRATION");
    command
}

/// The command on a machine without any Vulkan driver.
fn without_gpu(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = centauri(folder, arguments);
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        command.env(variable, folder.join("no-driver.json"));
    }
    command.output().expect("the command runs")
}

#[test]
fn backends_tell_what_there_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = without_gpu(folder.path(), &["backends"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let words = String::from_utf8(run.stdout).expect("text");
    for name in ["scalar ", "simd ", "gpu     none", "auto    simd: there is no GPU"] {
        assert!(words.contains(name), "{name}: {words}");
    }
    let run = without_gpu(folder.path(), &["backends", "--json"]);
    let json: Value = serde_json::from_slice(&run.stdout).expect("one JSON object");
    let levels = json["simd"]["levels"].as_array().expect("a list");
    assert!(levels.contains(&json["simd"]["used"]), "{json}");
    #[cfg(target_arch = "x86_64")]
    assert_eq!(levels.iter().any(|level| level == "avx2"), std::arch::is_x86_feature_detected!("avx2"));
    assert!(json["simd"]["threads"].as_u64().is_some_and(|threads| threads >= 1));
    assert_eq!(json["adapters"], serde_json::json!([]));
    assert_eq!(json["auto"]["backend"], "simd");
    assert_eq!(json["calibration"], Value::Null);
    assert_eq!(json["calibration_file"], text(&folder.path().join("centauri/calibration.json")));
    assert!(!folder.path().join("centauri").exists(), "nothing was measured, so nothing is kept");
}

#[test]
fn the_calibration_file_can_be_chosen() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (flag, variable) = (folder.path().join("flag.json"), folder.path().join("variable.json"));
    for (arguments, expected) in [
        (&["backends", "--json"][..], &variable),
        (&["backends", "--json", "--calibration", text(&flag)], &flag),
    ] {
        let mut command = centauri(folder.path(), arguments);
        command.env("CENTAURI_CALIBRATION", &variable).env("VK_DRIVER_FILES", "/no/driver.json");
        let run = command.output().expect("the command runs");
        let json: Value = serde_json::from_slice(&run.stdout).expect("one JSON object");
        assert_eq!(json["calibration_file"], text(expected));
    }
}

#[test]
fn a_software_adapter_is_not_calibrated() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = centauri(folder.path(), &["backends", "--json"]).output().expect("the command runs");
    let json: Value = serde_json::from_slice(&run.stdout).expect("one JSON object");
    let adapters = json["adapters"].as_array().expect("a list");
    if adapters.is_empty() || adapters.iter().any(|adapter| adapter["kind"] != "software") {
        println!("skipped: this machine has no software adapter, or a GPU beside it");
        return;
    }
    assert_eq!(json["auto"]["backend"], "simd");
    assert!(json["auto"]["reason"].as_str().is_some_and(|reason| reason.contains("software")), "{json}");
    assert_eq!(json["calibration"], Value::Null);
    assert!(adapters[0]["limits"].as_object().is_some_and(|limits| !limits.is_empty()), "{json}");
}

/// Decisions of a vector, by a backend.
fn decisions(folder: &Path, case: &str, backend: &str) -> Vec<Value> {
    let (model, input) = (vectors().join(format!("{case}.toml")), vectors().join(format!("{case}.csv")));
    let output = folder.join(format!("{backend}.jsonl"));
    let arguments = [
        "eval",
        "--model",
        text(&model),
        "--input",
        text(&input),
        "--output",
        text(&output),
        "--backend",
        backend,
    ];
    let run = without_gpu(folder, &arguments);
    assert!(run.status.success(), "{backend}: {}", String::from_utf8_lossy(&run.stderr));
    let lines = std::fs::read_to_string(output).expect("decisions");
    lines.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn every_backend_decides_alike() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for case in ["000-identity", "004-last", "008-count", "021-identity", "034-max"] {
        let law = decisions(folder.path(), case, "scalar");
        for backend in ["simd", "auto"] {
            let found = decisions(folder.path(), case, backend);
            assert_eq!(found.len(), law.len());
            for (found, law) in found.iter().zip(&law) {
                for key in ["stream", "round", "status", "value", "quorum"] {
                    assert_eq!(found[key], law[key], "{case} {backend}: {key}");
                }
                let difference = found["confidence"].as_f64().zip(law["confidence"].as_f64());
                assert!(difference.is_some_and(|(a, b)| (a - b).abs() < 1e-4), "{case} {backend}");
            }
        }
    }
}

#[test]
fn a_backend_that_is_not_to_be_had_is_one_line_and_code_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, input) = (vectors().join("coin.toml"), vectors().join("coin.csv"));
    let output = folder.path().join("d.jsonl");
    let eval = ["eval", "--model", text(&model), "--input", text(&input), "--output", text(&output)];
    for (arguments, expected) in [
        ([&eval[..], &["--backend", "gpu"]].concat(), "no adapter"),
        (vec!["demo", "--duration", "1", "--seed", "1", "--backend", "gpu"], "no adapter"),
    ] {
        let run = without_gpu(folder.path(), &arguments);
        let error = String::from_utf8(run.stderr).expect("text");
        assert_eq!(run.status.code(), Some(2), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains("gpu") && error.contains(expected), "{error}");
        assert!(!output.exists(), "nothing is left behind");
    }
    let run = without_gpu(folder.path(), &[&eval[..], &["--backend", "tpu"]].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("auto, scalar, simd, gpu"));
}
