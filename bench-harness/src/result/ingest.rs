//! Records of taking in signed messages.

use serde::{Deserialize, Serialize};

/// How fast signed messages are taken in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ingest {
    /// What was done: `verify` (signatures alone) or a work from datagram to decided rounds.
    pub work: String,
    /// What verified: `lanes`, `strict`, or a rival.
    pub verifier: String,
    /// What received; none where nothing was.
    pub driver: Option<String>,
    /// Bytes of a datagram, or of a message where signatures alone were verified.
    pub bytes: usize,
    /// Records of a datagram; none where signatures alone were verified.
    pub records: Option<usize>,
    /// Share of the messages that were forged.
    pub forged: f64,
    /// Messages of a sample.
    pub messages: usize,
    /// Samples; what follows are medians.
    pub samples: usize,
    /// Messages in a second of the receiving thread's processor time: received, checked, verified, and their records put
    /// into their rounds.
    pub messages_per_cpu_s: f64,
    /// Records in a second of it.
    pub records_per_cpu_s: Option<f64>,
    /// The same where that thread also decides the rounds, every one at its deadline.
    pub decided_messages_per_cpu_s: Option<f64>,
    /// Decisions for a message.
    pub decisions_per_message: f64,
    /// Spread of the samples about their median: 1.4826 × the median distance, over the median.
    pub spread: f64,
    /// `messages_per_cpu_s` over that of `against`, the median over the samples of one turn.
    pub ratio: Option<f64>,
    /// What it is compared with, measured in turns.
    pub against: Option<String>,
    /// Datagrams lost by the kernel: 0, or the run would not count.
    pub lost: u64,
    /// Hash of what was decided.
    pub digest: Option<String>,
    /// Seed of keys, values and order.
    pub seed: u64,
}
