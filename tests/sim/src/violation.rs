//! What was not as it must be.

use thiserror::Error;

use crate::Sabotage;

/// An invariant that does not hold, with where to find it again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "seed {seed}, step {step}, {at_ns} ns after the start, node {node}: {rule}\n  expected {expected}\n  found    {found}\n  \
     replay: cargo run -p centauri-sim -- --seed {seed} --verbose{flags}"
)]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// The step, from 1; 0 before the first.
    pub step: u64,
    /// Simulated time.
    pub at_ns: i64,
    /// The node that did it.
    pub node: u32,
    /// Which invariant.
    pub rule: &'static str,
    /// What the simulator's own account says.
    pub expected: String,
    /// What the node did.
    pub found: String,
    /// What the replaying command needs besides.
    pub flags: String,
}

impl Violation {
    /// A finding of a seed's run, not yet with where in it.
    #[must_use]
    pub fn new(seed: u64, finding: Finding, sabotage: Sabotage) -> Self {
        let Finding { rule, expected, found } = finding;
        let flags = match sabotage {
            Sabotage::None => String::new(),
            sabotage => format!(" --sabotage {sabotage}"),
        };
        Self { seed, step: 0, at_ns: 0, node: 0, rule, expected, found, flags }
    }
}

/// A finding before it is known where in the run it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which invariant.
    pub rule: &'static str,
    /// What the simulator's own account says.
    pub expected: String,
    /// What the node did.
    pub found: String,
}

impl Finding {
    /// A finding.
    pub fn new(rule: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { rule, expected: expected.into(), found: found.into() }
    }
}

/// Holds a fact against what is expected of it.
///
/// # Errors
/// The finding, if they differ.
#[expect(clippy::needless_pass_by_value, reason = "what is compared is mostly made for it")]
pub fn expect<T: PartialEq + std::fmt::Debug>(
    rule: &'static str,
    expected: T,
    found: T,
) -> Result<(), Finding> {
    if expected == found {
        Ok(())
    } else {
        Err(Finding::new(rule, format!("{expected:?}"), format!("{found:?}")))
    }
}
