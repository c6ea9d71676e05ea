//! The inputs kept for the fuzz targets pass, with the functions that the targets run.

#[path = "../fuzz/checks/frame.rs"]
mod frame;

#[path = "../fuzz/checks/reassembler.rs"]
mod reassembler;

use std::path::{Path, PathBuf};

mod common;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).expect("a committed folder");
    let mut inputs: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .map(|path| (path.clone(), std::fs::read(&path).expect("a readable file")))
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} holds no input", folder.display());
    inputs
}

fn run(target: &str, check: fn(&[u8])) {
    for (path, input) in corpus(target) {
        // Shown only if the check panics.
        println!("{}", path.display());
        check(&input);
    }
}

#[test]
fn frames() {
    run("frame", frame::check_input);
}

#[test]
fn streams() {
    run("reassembler", reassembler::check_input);
}

/// The seeds are the golden frames: each is there, and unchanged.
#[test]
fn the_golden_frames_are_seeds() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let seeds = corpus("frame");
    let mut found = 0;
    for entry in std::fs::read_dir(fixtures).expect("a committed folder") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_some_and(|extension| extension == "hex") {
            let golden = common::unhex(&std::fs::read_to_string(&path).expect("a readable file"));
            assert!(seeds.iter().any(|(_, seed)| *seed == golden), "{} is no seed", path.display());
            found += 1;
        }
    }
    assert!(found > 0, "there are golden frames");
}
