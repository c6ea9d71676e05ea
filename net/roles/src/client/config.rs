//! What a client is told.

use centauri_engine::Distribution;
use centauri_wire::{Limits, NodeId, StreamId, VerifierChoice};

use super::DistributionPolicy;
use crate::error::check_number;
use crate::health::HealthPolicy;
use crate::{
    ComputationUpstream, ConfigError, OPEN_ROUNDS_MAX, RequestPolicy, SamplePolicy, SubscriberLimits,
    Upstream, Windows,
};

/// When the rounds of a stream open and close. A round's number is its window's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoundTiming {
    /// The windows.
    pub windows: Windows,
    /// When a round is decided, in nanoseconds after its window opens.
    pub close_after_ns: i64,
}

impl RoundTiming {
    /// When a round is decided; `None` where no clock will come that far.
    #[must_use]
    pub fn deadline_ns(&self, round: i64) -> Option<i64> {
        self.windows.after_opening_ns(round, self.close_after_ns)
    }

    /// How many rounds are held at a time.
    pub(crate) fn slots(&self, ahead: u32) -> Result<u16, ConfigError> {
        let key = "close_after_ns";
        check_number(key, self.close_after_ns, self.close_after_ns >= 0, "0 or more")?;
        let slots = self.windows.unfinished(self.close_after_ns).saturating_add(u64::from(ahead));
        let good = slots <= OPEN_ROUNDS_MAX as u64;
        check_number(key, self.close_after_ns, good, "at most 1,024 rounds open at a time")?;
        Ok(u16::try_from(slots).unwrap_or(u16::MAX))
    }
}

/// A logical stream that a client decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientStream {
    /// Its name in the engine's fleet.
    pub name: String,
    /// Its number in the replicas' frames.
    pub stream: StreamId,
    /// The replica set, in the order of the model.
    pub replicas: Vec<NodeId>,
    /// When its rounds open and close.
    pub timing: RoundTiming,
    /// Rounds before this one are not decided; `i64::MIN` for none.
    pub first_round: i64,
}

/// How much a client takes on, and how it judges its own punctuality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Rounds ahead of the one that the clock is in of which reports are kept already, since clocks differ.
    pub rounds_ahead_max: u32,
    /// Closing a round later than this after its deadline is a miss, in nanoseconds.
    pub miss_ns: i64,
    /// The most rounds of one stream that are made up for after a standstill; older ones are skipped.
    pub catch_up_rounds_max: u32,
    /// So many rounds make a batch for the engine.
    pub batch_rounds_max: usize,
    /// The most rounds decided in one tick.
    pub rounds_per_tick_max: usize,
}

impl Default for Pacing {
    /// One round ahead; a millisecond; 1,024 rounds made up for; batches of 4,096; 65,536 a tick.
    fn default() -> Self {
        Self {
            rounds_ahead_max: 1,
            miss_ns: 1_000_000,
            catch_up_rounds_max: 1_024,
            batch_rounds_max: 4_096,
            rounds_per_tick_max: crate::EVENTS_PER_TICK_MAX,
        }
    }
}

/// What a client is told.
#[derive(Debug, Clone, Default)]
pub struct ClientConfig {
    /// The logical streams it decides.
    pub streams: Vec<ClientStream>,
    /// The replicas it asks to stream.
    pub upstreams: Vec<Upstream>,
    /// So many bytes of the frames that came last are kept, for the case that one contradicts another; 0 to keep none. A second
    /// value that comes later than that still convicts its sender here, but cannot be shown to others.
    pub evidence_bytes: usize,
    /// How the health of replicas is judged; without it it is not.
    pub health: Option<HealthPolicy>,
    /// Bounds on the subscriptions to its decisions that it serves.
    pub followers: SubscriberLimits,
    /// Those of the streams whose reports are decisions, and the distributions of their noise: the spread that is reported with them is
    /// added to it, or to what a monitor publishes in its place. It is the median over all replicas of the streams with that noise, of
    /// whom those that have never reported count as 0.
    pub spreads: Vec<(String, String)>,
    /// The computations it asks replicas for.
    pub computations: Vec<ComputationUpstream>,
    /// How it asks them.
    pub request: RequestPolicy,
    /// The distribution to which the latency of a replica's link belongs, in seconds.
    pub latencies: Vec<(NodeId, String)>,
    /// Where those latencies go; `None` to send none.
    pub samples: Option<SamplePolicy>,
    /// How it uses what a monitor publishes.
    pub distributions: DistributionPolicy,
    /// Distributions that were published to an earlier client, by name, and when they came. The fleet is the driver's to make of them;
    /// here they grow older, in the shard of the registry's first monitor.
    pub restored: Vec<(String, Distribution, i64)>,
    /// The acceptance of frames. The bound on tracked streams is set to what the streams need.
    pub limits: Limits,
    /// What verifies signatures. Verdicts are the same, whatever it is.
    pub verifier: VerifierChoice,
    /// How much it takes on.
    pub pacing: Pacing,
}
