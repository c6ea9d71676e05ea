//! Which crate may depend on which: the data flows one way.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};

/// The workspace's crates and the crates of the workspace each may use, tests and benches aside.
const EDGES: &[(&str, &[&str])] = &[
    ("centauri-engine", &[]),
    ("centauri-files", &["centauri-engine"]),
    ("centauri-fit", &["centauri-engine"]),
    ("centauri-gpu", &["centauri-engine"]),
    ("centauri-wire", &[]),
    ("centauri-uring", &[]),
    ("centauri-roles", &["centauri-engine", "centauri-fit", "centauri-wire"]),
    (
        "centauri",
        &[
            "centauri-engine",
            "centauri-files",
            "centauri-fit",
            "centauri-gpu",
            "centauri-wire",
            "centauri-roles",
            "centauri-uring",
        ],
    ),
    (
        "centauri-bench",
        &[
            "centauri-engine",
            "centauri-files",
            "centauri-fit",
            "centauri-wire",
            "centauri-roles",
            "centauri-uring",
            "centauri",
        ],
    ),
    ("centauri-architecture-tests", &[]),
    ("centauri-conformance", &["centauri-engine", "centauri-files"]),
    ("centauri-integration-tests", &[]),
    ("centauri-sim", &["centauri-engine", "centauri-wire", "centauri-roles"]),
    ("centauri-benches", &["centauri-engine", "centauri-bench"]),
];

#[test]
fn crates_depend_only_on_those_below_them() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let metadata =
        MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata runs");
    let members: BTreeSet<String> = metadata.packages.iter().map(|p| p.name.to_string()).collect();
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let allowed = allowed.get(name).unwrap_or_else(|| panic!("{name} has no line in EDGES"));
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            assert!(
                !members.contains(&dependency.name) || allowed.contains(&dependency.name.as_str()),
                "{name} depends on {}, which it may not",
                dependency.name
            );
        }
    }
}
