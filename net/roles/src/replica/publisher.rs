//! Results on their way to subscribers.

use centauri_wire::{DecisionRecord, QuorumBits, Record, StreamId};

use crate::Effects;
use crate::compute::Certainty;
use crate::requests::{Subscription, Subscriptions, age_us, deliver};
use crate::signer::Signer;
use crate::timing::Windows;

/// A result to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing {
    pub(super) stream: StreamId,
    pub(super) windows: Windows,
    pub(super) round: i64,
    pub(super) nonce: u64,
    pub(super) value: f64,
    pub(super) readings: u32,
    /// Time of the oldest reading, or of the window's opening where there is none.
    pub(super) oldest_ns: i64,
    /// When its window was due.
    pub(super) due_ns: i64,
    /// How sure it is, where it was computed from decisions.
    pub(super) certainty: Option<Certainty>,
}

impl Outgoing {
    fn age_us(&self, now_ns: i64) -> u32 {
        age_us(self.windows, self.round, now_ns)
    }

    fn record(&self, now_ns: i64) -> Record {
        let Self { stream, nonce, round, value, readings, .. } = *self;
        Record { stream, age_us: self.age_us(now_ns), nonce, round, value, readings }
    }

    /// The result as a decision that this replica alone speaks for.
    fn decision(&self, now_ns: i64) -> DecisionRecord {
        /// Half a normal distribution's interval of 95 %, in standard deviations.
        const HALF: f64 = 1.959_963_984_540_054;
        let Certainty { sd, confidence } = self.certainty.unwrap_or(Certainty::OF_A_READING);
        let Self { stream, nonce, round, value, readings, .. } = *self;
        DecisionRecord {
            stream,
            age_us: self.age_us(now_ns),
            nonce,
            round,
            decided: true,
            replicas: 1,
            reported: readings,
            value,
            confidence,
            mean: value,
            sd,
            low: value - HALF * sd,
            high: value + HALF * sd,
            quorum: QuorumBits(1),
        }
    }

    /// By when the window was due, and not by when it is closed: so every replica sends the same rounds.
    fn is_for(&self, subscription: &Subscription) -> bool {
        subscription.wants(self.stream)
            && subscription.is_valid(self.oldest_ns, self.due_ns)
            && subscription.begins_span(self.windows, self.round)
    }
}

/// Sends what each subscriber wants of `outgoing`, in order: results of readings in stream frames, results of decisions in
/// decision frames. Says how many records were sent.
pub(super) fn publish(
    now_ns: i64,
    outgoing: &mut [Outgoing],
    frame_bytes_max: usize,
    subscriptions: &mut Subscriptions,
    signer: &mut Signer,
    effects: &mut Effects,
) -> u64 {
    outgoing.sort_by_key(|result| result.certainty.is_some());
    let (plain, decided) = outgoing.split_at(outgoing.partition_point(|result| result.certainty.is_none()));
    let record = |result: &Outgoing| result.record(now_ns);
    let sent = deliver(
        plain,
        subscriptions.live(now_ns).iter(),
        Outgoing::is_for,
        record,
        |records, emit| signer.records(now_ns, frame_bytes_max, records, emit),
        // What is too old for one must not come to it with what is not.
        None,
        effects,
    );
    let decision = |result: &Outgoing| result.decision(now_ns);
    sent + deliver(
        decided,
        subscriptions.live(now_ns).iter(),
        Outgoing::is_for,
        decision,
        |records, emit| signer.records(now_ns, frame_bytes_max, records, emit),
        // What is too old for one must not come to it with what is not.
        None,
        effects,
    )
}
