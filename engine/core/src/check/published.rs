//! What is foolish in the distributions that a model file publishes.

use super::{Finding, FindingKind};
use crate::spec::ModelSet;
use std::collections::{BTreeMap, BTreeSet};

/// A set without streams publishes distributions for others, and nothing is said of it.
pub(super) fn findings(set: &ModelSet) -> Vec<Finding> {
    if set.streams.is_empty() {
        return Vec::new();
    }
    let used: BTreeSet<&str> = set.streams.iter().flat_map(crate::spec::StreamSpec::names_used).collect();
    let mut first_of: BTreeMap<String, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut found = |name: &str, kind, text| {
        let key = format!("distributions.{name}");
        findings.push(Finding { stream: String::new(), key, kind, text });
    };
    for (name, distribution) in &set.distributions {
        if !used.contains(name.as_str()) {
            found(name, FindingKind::DistributionUnused, "no stream uses it".to_owned());
        }
        // The debug form says every parameter, floats to the last bit.
        match first_of.entry(format!("{distribution:?}")) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(name);
            }
            std::collections::btree_map::Entry::Occupied(entry) => {
                let text = format!("it is the same as {:?}; one name would do", entry.get());
                found(name, FindingKind::DistributionDuplicate, text);
            }
        }
    }
    findings
}
