//! What was asked for, on its way to those who asked: many records under one signature.

use std::ops::Range;

use centauri_wire::Record;

use super::Subscription;
use crate::{Effects, Windows};

/// How old what is sent at `now_ns` of a round is: since its window opened, in microseconds; 0 for one that opens later, and as
/// old as can be told for one that is older.
pub(crate) fn age_us(windows: Windows, round: i64, now_ns: i64) -> u32 {
    let opens = windows.opens_ns(round).unwrap_or(now_ns);
    Record::age_us_between(now_ns, opens).unwrap_or(if opens > now_ns { 0 } else { u32::MAX })
}

/// Sends each of the `subscribers` what it wants of `items`; says how many records were sent.
///
/// `record` makes the record of an item, and `sign` frames of records, giving each frame's bytes.
pub(crate) fn deliver<'s, T, R>(
    items: &[T],
    subscribers: impl Iterator<Item = &'s Subscription>,
    wants: impl Fn(&T, &Subscription) -> bool,
    record: impl Fn(&T) -> R,
    mut sign: impl FnMut(&mut dyn Iterator<Item = R>, &mut dyn FnMut(&[u8])),
    effects: &mut Effects,
) -> u64 {
    if items.is_empty() {
        return 0;
    }
    let mut sent = 0;
    // Most subscribers want everything: those share frames, signed once.
    let mut whole: Option<Vec<Range<usize>>> = None;
    for subscription in subscribers {
        let address = subscription.address;
        let wanted = || items.iter().filter(|item| wants(item, subscription));
        let count = wanted().count();
        let mut records = wanted().map(&record);
        if count == items.len() {
            let frames = whole.get_or_insert_with(|| {
                let mut frames = Vec::new();
                sign(&mut records, &mut |bytes| frames.push(effects.keep(bytes)));
                frames
            });
            for frame in frames.iter() {
                effects.send_kept(address, frame.clone());
            }
        } else if count > 0 {
            sign(&mut records, &mut |bytes| effects.send(address, bytes));
        }
        sent += count as u64;
    }
    sent
}
