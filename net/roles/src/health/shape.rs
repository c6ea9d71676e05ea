//! What a ledger has to know of a stream.

use super::error::HealthError;
use centauri_engine::limits::REPLICAS_MAX;
use centauri_engine::{CompiledModel, Quorum};

/// A stream's replica set and its faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamShape {
    pub(super) replicas: usize,
    pub(super) faults: usize,
    /// Units of fault; none where each replica is one.
    pub(super) groups: Vec<Quorum>,
    /// The node of each replica; none where no node is followed.
    pub(super) nodes: Vec<u32>,
}

impl StreamShape {
    /// Nodes are numbered below this.
    pub const NODES_MAX: u32 = 1 << 20;

    /// `replicas` replicas (1 to 128), of which at most `faults` (fewer) lie.
    #[must_use]
    pub fn new(replicas: usize, faults: usize) -> Self {
        Self { replicas, faults, groups: Vec::new(), nodes: Vec::new() }
    }

    /// Of a compiled model, its fault groups included.
    #[must_use]
    pub fn of(model: &CompiledModel) -> Self {
        let groups = if model.is_grouped() { model.units().collect() } else { Vec::new() };
        Self { replicas: model.replicas(), faults: model.faults(), groups, nodes: Vec::new() }
    }

    /// Says which node each replica is, in order of position; a node that serves many streams has one number in all of them.
    #[must_use]
    pub fn with_nodes(mut self, nodes: impl IntoIterator<Item = u32>) -> Self {
        self.nodes = nodes.into_iter().take(REPLICAS_MAX + 1).collect();
        self
    }

    /// Replicas, or fault groups.
    pub(super) fn units(&self) -> usize {
        if self.groups.is_empty() { self.replicas } else { self.groups.len() }
    }

    pub(super) fn check(&self, stream: usize) -> Result<(), HealthError> {
        let wrong = |what, found, expected| Err(HealthError::Shape { stream, what, found, expected });
        if !(1..=REPLICAS_MAX).contains(&self.replicas) {
            return wrong("replicas", self.replicas, "1 to 128");
        }
        if self.faults >= self.units() {
            return wrong("faults", self.faults, "less than the replicas or fault groups");
        }
        if !self.nodes.is_empty() && self.nodes.len() != self.replicas {
            return wrong("nodes", self.nodes.len(), "one for each replica");
        }
        match self.nodes.iter().find(|&&node| node >= Self::NODES_MAX) {
            Some(&node) => wrong("as a node's number", node as usize, "a number below 1048576"),
            None => Ok(()),
        }
    }
}
