//! Results on their way to subscribers: many under one signature.

use std::ops::Range;

use centauri_wire::{Record, StreamId};

use crate::Effects;
use crate::requests::{Subscription, Subscriptions};
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
}

impl Outgoing {
    fn record(&self, now_ns: i64) -> Record {
        let opens = self.windows.opens_ns(self.round).unwrap_or(now_ns);
        let age_us =
            Record::age_us_between(now_ns, opens).unwrap_or(if opens > now_ns { 0 } else { u32::MAX });
        let Self { stream, nonce, round, value, readings, .. } = *self;
        Record { stream, age_us, nonce, round, value, readings }
    }

    fn is_for(&self, subscription: &Subscription, now_ns: i64) -> bool {
        subscription.wants(self.stream)
            && subscription.is_valid(self.oldest_ns, now_ns)
            && subscription.begins_span(self.windows, self.round)
    }
}

/// Sends what each subscriber wants of `outgoing`; says how many records were sent.
pub(super) fn publish(
    now_ns: i64,
    outgoing: &[Outgoing],
    frame_bytes_max: usize,
    subscriptions: &mut Subscriptions,
    signer: &mut Signer,
    effects: &mut Effects,
) -> u64 {
    if outgoing.is_empty() {
        return 0;
    }
    let mut sent = 0;
    // Most subscribers want everything: those share frames, signed once.
    let mut whole: Option<Vec<Range<usize>>> = None;
    for subscription in subscriptions.live(now_ns) {
        let address = subscription.address;
        let wanted = outgoing.iter().filter(|result| result.is_for(subscription, now_ns));
        let count = wanted.clone().count();
        let records = wanted.map(|result| result.record(now_ns));
        if count == outgoing.len() {
            let frames = whole.get_or_insert_with(|| {
                let mut frames = Vec::new();
                signer.stream(now_ns, frame_bytes_max, records, |bytes| frames.push(effects.keep(bytes)));
                frames
            });
            for frame in frames.iter() {
                effects.send_kept(address, frame.clone());
            }
        } else {
            signer.stream(now_ns, frame_bytes_max, records, |bytes| effects.send(address, bytes));
        }
        sent += count as u64;
    }
    sent
}
