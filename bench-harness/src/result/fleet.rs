//! Records of `centauri serve` under a fleet's traffic.

use serde::{Deserialize, Serialize};

/// How punctual a server was under the traffic of a fleet, and what that took. Times are in microseconds; those of decisions go
/// from the deadline of a round to when its decision had been read, and are quantiles of all rounds that were due: one that lies
/// among rounds without a decision is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// Streams.
    pub streams: usize,
    /// Replicas of each.
    pub replicas: usize,
    /// Faults that the model allows for.
    pub faults: usize,
    /// Replicas that lied.
    pub liars: usize,
    /// Rounds of a stream in a second.
    pub rate: f64,
    /// Moments of a period at which rounds are due.
    pub phases: usize,
    /// Share of the frames that were not sent.
    pub loss: f64,
    /// Measured span, in seconds.
    pub seconds: f64,
    /// What received.
    pub driver: String,
    /// What verified.
    pub verifier: String,
    /// What decided.
    pub backend: String,
    /// Cores of the server and of the traffic; none where they ran where the system put them.
    pub cores: Option<[usize; 2]>,
    /// How many processes wanted a core in the minute before the end (the load average).
    pub load: Option<f64>,
    /// Rounds due in the span.
    pub due: u64,
    /// Of these, rounds with a decision.
    pub decided: u64,
    /// Of these, rounds without one.
    pub missing: u64,
    /// Second decisions on a round.
    pub duplicate: u64,
    /// Decisions before their deadline: 0, or a clock is wrong.
    pub early: u64,
    /// Decisions that were compared with what is true.
    pub sampled: u64,
    /// Of these, decisions that have no room for it.
    pub wrong: u64,
    /// Half of the rounds were decided within this.
    pub p50_us: Option<f64>,
    /// 90 %.
    pub p90_us: Option<f64>,
    /// 99 %.
    pub p99_us: Option<f64>,
    /// 99.9 %.
    pub p999_us: Option<f64>,
    /// All.
    pub max_us: Option<f64>,
    /// Frames sent in a second.
    pub frames_per_s: f64,
    /// Decisions in a second.
    pub decisions_per_s: f64,
    /// The server's processor time for a decision, user and system: its frames received and verified, decided, written.
    pub cpu_us_per_decision: f64,
    /// Share of one core's time that the server took.
    pub cpu_share: f64,
    /// Bytes of memory that another stream takes: against a server of few streams.
    pub bytes_per_stream: Option<f64>,
    /// The server's memory at the end, in bytes.
    pub resident_bytes: u64,
    /// The most memory that it had, reading its configuration included.
    pub peak_bytes: u64,
    /// From its start until it listened, in seconds.
    pub start_s: f64,
    /// How late the traffic's own frames left: 99 % of them within this.
    pub sender_late_p99_us: f64,
    /// All of them.
    pub sender_late_max_us: f64,
    /// Frames sent, before and after the span too.
    pub frames_sent: u64,
    /// Frames that the server accepted.
    pub frames_accepted: u64,
    /// The server's own counters, from its start to its end: the latest that it closed a round after its deadline.
    pub close_late_max_us: f64,
    /// Rounds that it closed more than a millisecond late.
    pub rounds_missed: u64,
    /// Datagrams that the kernel had no room for.
    pub kernel_drops: u64,
    /// Datagrams that the server threw away unread.
    pub datagrams_shed: u64,
    /// Records that came after their round's deadline.
    pub records_late: u64,
    /// Seed of keys, values and sending times.
    pub seed: u64,
}
