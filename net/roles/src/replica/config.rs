//! What a replica is told.

use std::collections::BTreeMap;

use centauri_engine::Computation;
use centauri_wire::{FRAME_BYTES_DATAGRAM, Limits, NodeId, StreamId};

use crate::error::check_number;
use crate::{
    Behaviour, Catalogue, ComputationLimits, ConfigError, OPEN_ROUNDS_MAX, READINGS_PER_WINDOW_MAX,
    RequestPolicy, SamplePolicy, SubscriberLimits, Upstream, Windows,
};

/// What a replica is told.
#[derive(Debug, Clone)]
pub struct ReplicaConfig {
    /// The logical streams it computes.
    pub streams: Vec<ReplicaStream>,
    /// The nodes it asks for source streams.
    pub upstreams: Vec<Upstream>,
    /// How it asks them.
    pub request: RequestPolicy,
    /// Bounds on the subscriptions it serves.
    pub subscribers: SubscriberLimits,
    /// Where its samples go; `None` to send none.
    pub samples: Option<SamplePolicy>,
    /// The acceptance of frames. The bound on tracked streams is set to what the streams need.
    pub limits: Limits,
    /// Frames of results are at most this long, in bytes.
    pub frame_bytes_max: usize,
    /// Windows ahead of the one that the clock is in of which readings are kept already, since clocks differ.
    pub windows_ahead_max: u32,
    /// The names of its streams, by which they can be asked for.
    pub names: BTreeMap<StreamId, String>,
    /// What it can compute from on request; nothing is computed on request where it is empty.
    pub catalogue: Catalogue,
    /// How much it computes on request.
    pub computations: ComputationLimits,
    /// What it tells its clients.
    pub behaviour: Behaviour,
    /// Added to every value that it tells the monitor: 0 for an honest replica.
    pub sample_offset: f64,
}

impl Default for ReplicaConfig {
    /// An honest replica of no streams.
    fn default() -> Self {
        Self {
            streams: Vec::new(),
            upstreams: Vec::new(),
            request: RequestPolicy::default(),
            subscribers: SubscriberLimits::default(),
            samples: None,
            limits: Limits::default(),
            frame_bytes_max: FRAME_BYTES_DATAGRAM,
            windows_ahead_max: 1,
            names: BTreeMap::new(),
            catalogue: Catalogue::default(),
            computations: ComputationLimits::default(),
            behaviour: Behaviour::default(),
            sample_offset: 0.0,
        }
    }
}

/// A stream of a source, and the node that alone may send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceStream {
    /// The node.
    pub node: NodeId,
    /// Its stream.
    pub stream: StreamId,
}

/// A logical stream that a replica computes.
#[derive(Debug, Clone)]
pub struct ReplicaStream {
    /// Its number, under which results are sent.
    pub stream: StreamId,
    /// What it is computed from.
    pub sources: Vec<SourceStream>,
    /// The windows, on source time. A window's index is the result's round.
    pub windows: Windows,
    /// When a result is sent, in nanoseconds after its window opens.
    pub deadline_ns: i64,
    /// What is computed.
    pub computation: Computation,
    /// The most readings of one source in one window: bounds what a faulty source can fill.
    pub readings_per_source_max: usize,
    /// The distribution to which the latencies from the sources belong, in seconds.
    pub latency: Option<String>,
    /// The distribution to which the residuals around a window's mean belong.
    pub residuals: Option<String>,
    /// The distribution to which the steps between one output and the next belong.
    pub steps: Option<String>,
}

impl ReplicaStream {
    /// How many windows are held at a time.
    pub(crate) fn slots(&self, ahead: u32) -> Result<usize, ConfigError> {
        check_number("deadline_ns", self.deadline_ns, self.deadline_ns >= 0, "0 or more")?;
        let slots = self.windows.unfinished(self.deadline_ns).saturating_add(u64::from(ahead));
        let good = slots <= OPEN_ROUNDS_MAX as u64;
        check_number("deadline_ns", self.deadline_ns, good, "at most 1,024 windows open at a time")?;
        let most = self.sources.len().saturating_mul(self.readings_per_source_max);
        let good = (1..=READINGS_PER_WINDOW_MAX).contains(&most);
        check_number("readings_per_source_max", most as i128, good, "1 to 65,536 readings in a window")?;
        Ok(usize::try_from(slots).unwrap_or(OPEN_ROUNDS_MAX))
    }
}
