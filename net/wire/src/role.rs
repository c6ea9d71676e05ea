//! Roles of nodes, and which messages each may send.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a node is in the system (the paper's section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Produces data.
    Source,
    /// Computes on data; not trusted.
    Replica,
    /// Publishes distributions.
    Monitor,
    /// Asks for computations and decides on their results.
    Client,
    /// A client's decisions run apart from it, for many clients at once.
    Engine,
}

impl Role {
    /// The role as the registry writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Replica => "replica",
            Self::Monitor => "monitor",
            Self::Client => "client",
            Self::Engine => "engine",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The paper's message types, the two sub types of samples told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageKind {
    /// Start or cancel a computation.
    Request,
    /// Elements of streams.
    Stream,
    /// Output values for the monitor.
    SampleOutput,
    /// Network latencies for the monitor.
    SampleLatency,
    /// A distribution of the monitor.
    Distribution,
    /// Decisions on rounds.
    Decision,
    /// What became of a request.
    Answer,
}

/// Who may send what, as the paper's section 3.2 tells it. Decisions and answers are not in the paper: an engine sends what it
/// decided to those who asked, as a replica does that decides on the stream of a replica set; whoever is asked answers.
///
/// | | request | stream | sample o | sample n | distribution | decision | answer |
/// |---|---|---|---|---|---|---|---|
/// | source | | yes | yes | | | | yes |
/// | replica | yes | yes | yes | yes | | yes | yes |
/// | monitor | | | | | yes | | |
/// | client | yes | | | yes | | | |
/// | engine | yes | | | yes | | yes | yes |
///
/// ```
/// use centauri_wire::{MessageKind, Role, may_send};
/// assert!(!may_send(Role::Replica, MessageKind::Distribution));
/// ```
#[must_use]
pub fn may_send(role: Role, kind: MessageKind) -> bool {
    use MessageKind::{Answer, Decision, Distribution, Request, SampleLatency, SampleOutput, Stream};
    match role {
        Role::Source => matches!(kind, Stream | SampleOutput | Answer),
        Role::Replica => !matches!(kind, Distribution),
        Role::Monitor => matches!(kind, Distribution),
        Role::Client => matches!(kind, Request | SampleLatency),
        Role::Engine => matches!(kind, Request | SampleLatency | Decision | Answer),
    }
}
