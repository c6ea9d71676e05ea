//! The health of replicas: a sequential test of who lies, over all rounds of a stream.
//!
//! A decided round says of each replica with which probability it was honest. One round proves little, so a [`Ledger`] gathers
//! rounds. It holds a statistic M for each stream and replica, in which each round is a bet that the replica lies: the wealth of
//! somebody who begins with 1, bets on every round, and is given 1 again whenever he has less. If the replica is honest and the
//! model right, no bet gains on average, and M reaches A at most once in A rounds on average: the level of false alarms is set,
//! whatever the stream. Formula, theorem and measured delays are in `docs/NUMERICS.md`, section "The health of replicas".
//!
//! | state | begins | ends |
//! |---|---|---|
//! | [`Healthy`](HealthState::Healthy) | with the ledger | suspect at M ≥ √A |
//! | [`Suspect`](HealthState::Suspect) | | faulty at M ≥ A; healthy at M ≤ 1, after the dwell |
//! | [`Faulty`](HealthState::Faulty) | also at once, by proof: two signed values for one round | recovering when the evidence of honesty, gathered in the same way, reaches B and M has been below √A for the dwell |
//! | [`Recovering`](HealthState::Recovering) | | healthy when the evidence of honesty has reached B once more; faulty at M ≥ √A |
//!
//! No state is for ever: whoever is honest again becomes healthy again, see [`HealthPolicy::forgive`]. The ledger judges; it does not
//! act. It reads no clock, and equal inputs give equal states and events.
//!
//! ```
//! use centauri_engine::Quorum;
//! use centauri_roles::health::{HealthPolicy, HealthState, Ledger, StreamShape};
//!
//! let mut ledger = Ledger::new(HealthPolicy::default(), &[StreamShape::new(4, 1)])?;
//! let mut events = Vec::new();
//! for round in 0..20 {
//!     let honest = [0.99, 0.98, 0.99, 1e-6];
//!     ledger.observe(0, round, Some(&honest), Quorum::EMPTY, |event| events.push(event));
//! }
//! assert_eq!(ledger.state(0, 3), Some(HealthState::Faulty));
//! assert_eq!(ledger.state(0, 0), Some(HealthState::Healthy));
//! assert_eq!(events.len(), 2);
//! # Ok::<(), centauri_roles::health::HealthError>(())
//! ```

mod error;
mod evidence;
mod ledger;
mod policy;
mod record;
mod shape;
mod snapshot;

pub use error::{HealthError, SnapshotError};
pub use ledger::{HealthEvent, Ledger, NodeHealth};
pub use policy::HealthPolicy;
pub use shape::StreamShape;

/// What is thought of a replica on one stream, from good to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum HealthState {
    /// Nothing speaks against it.
    #[default]
    Healthy = 0,
    /// It was faulty, and its reports have been those of an honest replica since.
    Recovering = 1,
    /// Much speaks against it: an honest replica is here at most once in √A rounds on average.
    Suspect = 2,
    /// It lies, or is broken, or was proven faulty.
    Faulty = 3,
}

impl HealthState {
    /// All states, from good to bad.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Recovering, Self::Suspect, Self::Faulty];

    /// The name in logs and listings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Recovering => "recovering",
            Self::Suspect => "suspect",
            Self::Faulty => "faulty",
        }
    }
}

impl std::fmt::Display for HealthState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
