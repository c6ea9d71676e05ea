//! What became of the frames a receiver was given.

use crate::verifier::RecordCounts;
use crate::{MalformedReason, Rejected, SignatureShapeError};

/// Counts of frames and records by what became of them.
///
/// `frames_received` is the sum of `frames_accepted`, all `rejected_…` and the frames that were prechecked
/// but not committed. The three counts of records cover accepted frames only and sum to their records.
///
/// ```
/// use centauri_wire::Counters;
/// let names: Vec<_> = Counters::default().iter().map(|(name, _)| name).collect();
/// assert_eq!(names.first(), Some(&"frames_received"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Frames given to the verifier.
    pub frames_received: u64,
    /// Frames accepted.
    pub frames_accepted: u64,
    /// Records of accepted frames that were fresh.
    pub records_accepted: u64,
    /// Records of accepted frames dropped as replays.
    pub records_replayed: u64,
    /// Records of accepted frames dropped because their stream is not tracked.
    pub records_unknown_stream: u64,
    /// Too short, too long, or not as long as the header says.
    pub rejected_length: u64,
    /// Another version of the protocol.
    pub rejected_version: u64,
    /// Not a frame for any other reason.
    pub rejected_malformed: u64,
    /// Sender not in the registry.
    pub rejected_unknown_sender: u64,
    /// Sender's role may not send this.
    pub rejected_wrong_role: u64,
    /// For another node.
    pub rejected_wrong_receiver: u64,
    /// Timestamp too old.
    pub rejected_stale: u64,
    /// Timestamp in the future.
    pub rejected_future: u64,
    /// Streams not tracked.
    pub rejected_unknown_stream: u64,
    /// Seen before.
    pub rejected_replayed: u64,
    /// The signature's `s` is not below ℓ.
    pub rejected_bad_s: u64,
    /// The signature's `R` is not canonical or is the identity.
    pub rejected_bad_r: u64,
    /// The signature is not the sender's.
    pub rejected_forged: u64,
}

impl Counters {
    /// Names and counts, always all of them and in the same order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, u64)> + use<> {
        [
            ("frames_received", self.frames_received),
            ("frames_accepted", self.frames_accepted),
            ("records_accepted", self.records_accepted),
            ("records_replayed", self.records_replayed),
            ("records_unknown_stream", self.records_unknown_stream),
            ("rejected_length", self.rejected_length),
            ("rejected_version", self.rejected_version),
            ("rejected_malformed", self.rejected_malformed),
            ("rejected_unknown_sender", self.rejected_unknown_sender),
            ("rejected_wrong_role", self.rejected_wrong_role),
            ("rejected_wrong_receiver", self.rejected_wrong_receiver),
            ("rejected_stale", self.rejected_stale),
            ("rejected_future", self.rejected_future),
            ("rejected_unknown_stream", self.rejected_unknown_stream),
            ("rejected_replayed", self.rejected_replayed),
            ("rejected_bad_s", self.rejected_bad_s),
            ("rejected_bad_r", self.rejected_bad_r),
            ("rejected_forged", self.rejected_forged),
        ]
        .into_iter()
    }

    /// Frames rejected for any reason.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.iter().filter(|(name, _)| name.starts_with("rejected_")).map(|(_, count)| count).sum()
    }

    pub(crate) fn count_records(&mut self, counts: &RecordCounts) {
        self.records_accepted += counts.fresh;
        self.records_replayed += counts.replayed;
        self.records_unknown_stream += counts.unknown;
    }

    pub(crate) fn count_rejected(&mut self, rejected: &Rejected) {
        let count = match rejected {
            Rejected::Malformed(
                MalformedReason::FrameLength { .. } | MalformedReason::LengthMismatch { .. },
            ) => &mut self.rejected_length,
            Rejected::Malformed(MalformedReason::Version { .. }) => &mut self.rejected_version,
            Rejected::Malformed(_) => &mut self.rejected_malformed,
            Rejected::UnknownSender(_) => &mut self.rejected_unknown_sender,
            Rejected::WrongRole { .. } => &mut self.rejected_wrong_role,
            Rejected::WrongReceiver { .. } => &mut self.rejected_wrong_receiver,
            Rejected::Stale { .. } => &mut self.rejected_stale,
            Rejected::Future { .. } => &mut self.rejected_future,
            Rejected::UnknownStream => &mut self.rejected_unknown_stream,
            Rejected::Replayed => &mut self.rejected_replayed,
            Rejected::SignatureShape(SignatureShapeError::ScalarNotReduced) => &mut self.rejected_bad_s,
            Rejected::SignatureShape(SignatureShapeError::PointNotCanonical) => &mut self.rejected_bad_r,
            Rejected::Forged => &mut self.rejected_forged,
        };
        *count += 1;
    }
}
