//! Decisions with extreme numbers, for writers of every format.

use centauri_engine::{Decision, Quorum, Region, Status};

/// Every number reads back only from a writer that loses no bit.
pub(crate) fn decision() -> Decision {
    Decision {
        status: Status::Decided,
        value: 0.1 + 0.2,
        point: 3,
        confidence: 1e-300,
        mean: -0.0,
        sd: 5e-324,
        low: -1.7e308,
        high: 1e21,
        quorum: [0, 2].into_iter().collect(),
        log_evidence: Some(-4.25671),
        region: Some(Region { low: 1.0, high: 2.0 }),
        exhaustive: true,
    }
}

/// The same without a quorum.
pub(crate) fn undecided() -> Decision {
    Decision {
        status: Status::NoQuorum,
        quorum: Quorum::EMPTY,
        log_evidence: None,
        region: None,
        ..decision()
    }
}
