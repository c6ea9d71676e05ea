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

/// So many frames for single subscribers are always signed: some 0.1 ms.
const OWN_MIN: usize = 8;

/// A frame for all, and the items that it has records of.
struct Shared {
    bytes: Range<usize>,
    items: Range<usize>,
}

/// Sends each of the `subscribers` what it wants of `items`; says how many records were sent.
///
/// `record` makes the record of an item, and `sign` frames of records, giving each frame's bytes and how many records were taken
/// for it. With `room`, how many records a frame has room for, no more frames are signed for single subscribers than all items
/// would fill, or a few; those for whom there is none left get the frames for all that have something of theirs, and with it what they
/// do not want. So whoever asks for many different things takes some of the network, and little of the time in which
/// everybody's frames are signed.
pub(crate) fn deliver<'s, T, R>(
    items: &[T],
    subscribers: impl Iterator<Item = &'s Subscription>,
    wants: impl Fn(&T, &Subscription) -> bool,
    record: impl Fn(&T) -> R,
    mut sign: impl FnMut(&mut dyn Iterator<Item = R>, &mut dyn FnMut(&[u8], usize)),
    room: Option<usize>,
    effects: &mut Effects,
) -> u64 {
    if items.is_empty() {
        return 0;
    }
    let mut sent = 0;
    let filled = |records: usize| room.map_or(0, |room| records.div_ceil(room.max(1)));
    let mut own_left = filled(items.len()).max(OWN_MIN);
    // Most subscribers want everything: those share frames, signed once.
    let mut whole: Option<Vec<Shared>> = None;
    for subscription in subscribers {
        let address = subscription.address;
        let wanted = || items.iter().filter(|item| wants(item, subscription));
        let count = wanted().count();
        if count == items.len() || filled(count) > own_left {
            let frames = whole.get_or_insert_with(|| {
                let (mut frames, mut first) = (Vec::new(), 0);
                sign(&mut items.iter().map(&record), &mut |bytes, taken| {
                    let items = first..first + taken;
                    first = items.end;
                    frames.push(Shared { bytes: effects.keep(bytes), items });
                });
                frames
            });
            for frame in frames.iter() {
                let of_frame = items.get(frame.items.clone()).unwrap_or_default();
                if of_frame.iter().any(|item| wants(item, subscription)) {
                    sent += of_frame.len() as u64;
                    effects.send_kept(address, frame.bytes.clone());
                }
            }
        } else if count > 0 {
            own_left -= filled(count);
            sent += count as u64;
            sign(&mut wanted().map(&record), &mut |bytes, _| effects.send(address, bytes));
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::{Grant, Subscriptions, Wanted};
    use crate::{StreamQuery, SubscriberLimits};
    use centauri_wire::{Header, NodeId, Request, RequestAction, StreamId};
    use std::collections::BTreeMap;

    /// Those who ask for some numbers each, from ports of their own.
    fn subscriptions(asked: &[Vec<u32>]) -> Subscriptions {
        let mut all = Subscriptions::new(SubscriberLimits::default(), 0).unwrap();
        for (place, numbers) in (1..).zip(asked) {
            let header = Header { sender: NodeId(place), receiver: None, timestamp_ns: 0 };
            let action = RequestAction::Start { query: "*", validity_ns: 1, ttl_ns: 1_000, period_ns: 1 };
            let streams = Wanted::Numbers(StreamQuery::of(numbers.iter().copied().map(StreamId)));
            let grant = Grant { streams, count: numbers.len() };
            let from = ([127, 0, 0, 1], u16::try_from(place).unwrap()).into();
            let request = Request { request_id: 1, action };
            let effects = &mut Effects::new();
            all.request(0, from, header, &request, |_, _| Ok(grant), effects).unwrap().granted.unwrap();
        }
        all
    }

    /// Delivers items 0 to `count`, a byte each; gives the frames that each port got and how many were signed.
    fn delivered(
        asked: &[Vec<u32>],
        count: u32,
        room: Option<usize>,
    ) -> (BTreeMap<u16, Vec<Vec<u8>>>, usize) {
        let items: Vec<u32> = (0..count).collect();
        let (mut effects, mut signed) = (Effects::new(), 0);
        let sent = deliver(
            &items,
            subscriptions(asked).live(0).iter(),
            |item, subscription| subscription.wants(StreamId(*item)),
            |item| u8::try_from(*item).unwrap(),
            |records, emit| {
                for frame in records.collect::<Vec<_>>().chunks(4) {
                    signed += 1;
                    emit(frame, frame.len());
                }
            },
            room,
            &mut effects,
        );
        let mut got: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
        for (to, bytes) in effects.sends() {
            got.entry(to.port()).or_default().push(bytes.to_vec());
        }
        assert_eq!(sent, got.values().flatten().map(|frame| frame.len() as u64).sum());
        (got, signed)
    }

    #[test]
    fn each_gets_what_it_wants_and_the_first_nothing_else() {
        let asked = [vec![1, 9], (0..12).collect(), vec![0, 1, 2, 3, 4], vec![10], vec![99]];
        let (got, signed) = delivered(&asked, 12, None);
        assert_eq!(got[&1], [[1, 9]]);
        assert_eq!(got[&2], [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]);
        assert_eq!((&got[&3], &got[&4]), (&vec![vec![0, 1, 2, 3], vec![4]], &vec![vec![10]]));
        assert_eq!((signed, got.len()), (7, 4));
        assert_eq!(delivered(&asked, 12, Some(4)), (got, signed));
        // Eight are signed for single ones: the ninth and tenth get those of all in which theirs are.
        let asked: Vec<Vec<u32>> = (0..10).map(|number| vec![number]).collect();
        let (got, signed) = delivered(&asked, 12, Some(4));
        assert!((0..8_u8).all(|number| got[&(1 + u16::from(number))] == [[number]]));
        assert_eq!(
            (&got[&9], &got[&10], signed),
            (&vec![vec![8, 9, 10, 11]], &vec![vec![8, 9, 10, 11]], 8 + 3)
        );
    }

    #[test]
    fn however_many_different_things_are_asked_for_little_is_signed_and_nothing_is_missing() {
        let asked: Vec<Vec<u32>> =
            (0..200).map(|who| (0..100).filter(|item| item * 7 % 31 != who % 31).collect()).collect();
        let (got, signed) = delivered(&asked, 100, Some(4));
        assert!(signed <= 2 * 25, "{signed}");
        for (port, numbers) in (1..).zip(&asked) {
            let all: Vec<u32> = got[&port].iter().flatten().map(|item| u32::from(*item)).collect();
            assert!(numbers.iter().all(|number| all.iter().filter(|got| *got == number).count() == 1));
        }
    }
}
