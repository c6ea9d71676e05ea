//! The open rounds of all streams: what has been reported, and which is due next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use centauri_engine::{Report, StreamId};

use super::RoundTiming;
pub(super) use super::reports::STREAMS_A_LINE;
use super::reports::{Place, Reports};
use crate::Windows;
use crate::timing::{is_open, slot_of};

/// A stream's place in the client's list.
pub(super) type StreamIndex = u32;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The first value of its replica for the round, or the same once more.
    Reported,
    Repeated,
    /// Another value than before: the replica is proven faulty by this record.
    Equivocated,
    Late,
    Early,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    engine: StreamId,
    /// The round to be closed next: all before it are closed.
    next: i64,
    /// Where its reports are: a ring of rounds, as many as its pace has slots, of `replicas` rows.
    place: Place,
    /// Its pace's place.
    pace: u32,
    replicas: u8,
}

impl Stream {
    fn row(&self, slot: usize, position: u8) -> usize {
        slot * usize::from(self.replicas) + usize::from(position)
    }
}

/// When rounds are due and how many are open at a time; most streams have it in common with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    timing: RoundTiming,
    slots: u16,
}

/// What the clock says of a round, whichever stream of the pace it is of.
#[derive(Debug, Clone, Copy)]
struct Judged {
    now_ns: i64,
    round: i64,
    pace: u32,
    is_late: bool,
    is_early: bool,
    slots: u16,
    slot: usize,
}

impl Judged {
    fn new(now_ns: i64, (at, pace): (u32, &Pace), round: i64, ahead: u32) -> Self {
        let Pace { timing, slots } = *pace;
        let newest = timing.windows.index_of(now_ns).unwrap_or(i64::MAX).saturating_add(i64::from(ahead));
        Self {
            now_ns,
            round,
            pace: at,
            is_late: timing.deadline_ns(round).is_some_and(|deadline| now_ns > deadline),
            is_early: round > newest,
            slots,
            slot: slot_of(round, usize::from(slots)),
        }
    }

    fn is_of(&self, now_ns: i64, pace: u32, round: i64) -> bool {
        self.now_ns == now_ns && self.round == round && self.pace == pace
    }
}

/// A round to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) stream: StreamIndex,
    pub(super) engine: StreamId,
    pub(super) round: i64,
    pub(super) deadline_ns: i64,
    pub(super) windows: Windows,
}

/// The open rounds of all streams. 32 bytes a stream, and 8 for each open round and replica (64 where the streams before
/// and after have another timing or number of replicas).
#[derive(Debug, Default)]
pub(super) struct Rounds {
    streams: Vec<Stream>,
    paces: Vec<Pace>,
    reports: Reports,
    /// The reports of one round side by side; kept, so that a round finds its memory.
    round: Vec<Report>,
    /// The next round of each stream by deadline, then by the stream's place.
    due: BinaryHeap<Reverse<(i64, StreamIndex)>>,
    ahead: u32,
    /// The round judged last. The records of a frame, and of the frames that come with it, mostly are of one round, and
    /// judging takes divisions.
    judged: Option<Judged>,
    /// No round that opens later than this is begun.
    last_opening_ns: Option<i64>,
}

impl Rounds {
    pub(super) fn new(ahead: u32) -> Self {
        Self { ahead, ..Self::default() }
    }

    pub(super) fn add(
        &mut self,
        engine: StreamId,
        timing: RoundTiming,
        (slots, replicas): (u16, u8),
        first: i64,
    ) {
        let pace = Pace { timing, slots };
        let known = self.paces.iter().position(|known| *known == pace);
        let pace_at = known.unwrap_or_else(|| {
            self.paces.push(pace);
            self.paces.len() - 1
        });
        let pace = u32::try_from(pace_at).unwrap_or(u32::MAX);
        let before = self.streams.last().filter(|before| before.pace == pace && before.replicas == replicas);
        let beside = before.map(|before| before.place);
        let place = self.reports.add(usize::from(slots) * usize::from(replicas), beside);
        self.streams.push(Stream { engine, next: first, place, pace, replicas });
        self.schedule(u32::try_from(self.streams.len() - 1).unwrap_or(u32::MAX));
    }

    fn pace(&self, stream: &Stream) -> Option<&Pace> {
        self.paces.get(stream.pace as usize)
    }

    /// Queues the stream's next round, unless it will never be due or is not to be begun any more.
    fn schedule(&mut self, index: StreamIndex) {
        let Some(stream) = self.streams.get(index as usize) else { return };
        let Some(Pace { timing, .. }) = self.pace(stream) else { return };
        let Some(deadline) = timing.deadline_ns(stream.next) else { return };
        let opens = timing.windows.opens_ns(stream.next);
        if opens.zip(self.last_opening_ns).is_none_or(|(opens, last)| opens <= last) {
            self.due.push(Reverse((deadline, index)));
        }
    }

    /// The earliest deadline.
    pub(super) fn next_deadline(&self) -> Option<i64> {
        self.due.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// The round of the earliest deadline, if that is not after `until_ns`. The stream waits for
    /// [`Rounds::finish`].
    pub(super) fn pop(&mut self, until_ns: i64) -> Option<Due> {
        let &Reverse((deadline_ns, index)) = self.due.peek()?;
        if deadline_ns > until_ns {
            return None;
        }
        self.due.pop();
        let stream = self.streams.get(index as usize)?;
        let windows = self.pace(stream)?.timing.windows;
        Some(Due { stream: index, engine: stream.engine, round: stream.next, deadline_ns, windows })
    }

    /// The stream's id in the engine.
    pub(super) fn engine_id(&self, index: StreamIndex) -> Option<StreamId> {
        self.streams.get(index as usize).map(|stream| stream.engine)
    }

    /// The reports of the stream's next round.
    pub(super) fn reports(&mut self, index: StreamIndex) -> &[Report] {
        self.round.clear();
        if let Some((stream, rows)) = self.next_rows(index) {
            self.round.extend(rows.filter_map(|row| self.reports.get(stream.place, row)));
        }
        &self.round
    }

    /// Closes the stream's next round and queues the one after it. Where more than `catch_up_max` rounds
    /// are past due at `now_ns`, the oldest of them are skipped: the first and their number are told.
    pub(super) fn finish(
        &mut self,
        index: StreamIndex,
        now_ns: i64,
        catch_up_max: u32,
    ) -> Option<(i64, u64)> {
        self.clear_next(index);
        let stream = self.streams.get(index as usize)?;
        let Pace { timing, slots } = *self.pace(stream)?;
        let opened = now_ns.checked_sub(timing.close_after_ns);
        let latest = opened.and_then(|opened| timing.windows.index_of(opened));
        let first = stream.next;
        let behind = latest.map_or(0, |latest| i128::from(latest) - i128::from(first) + 1);
        let skip = u64::try_from(behind - i128::from(catch_up_max)).unwrap_or(0);
        if skip > 0 {
            // What the ring holds of skipped rounds must not turn up in later ones.
            for _ in 0..skip.min(u64::from(slots)) {
                self.clear_next(index);
            }
            if let Some(stream) = self.streams.get_mut(index as usize) {
                stream.next = first.saturating_add_unsigned(skip);
            }
        }
        self.schedule(index);
        (skip > 0).then_some((first, skip))
    }

    /// Where the reports of the stream's next round are.
    fn next_rows(&self, index: StreamIndex) -> Option<(Stream, Range<usize>)> {
        let stream = self.streams.get(index as usize)?;
        let slot = slot_of(stream.next, usize::from(self.pace(stream)?.slots));
        Some((*stream, stream.row(slot, 0)..stream.row(slot, stream.replicas)))
    }

    fn clear_next(&mut self, index: StreamIndex) {
        if let Some((stream, rows)) = self.next_rows(index) {
            for row in rows {
                self.reports.change(stream.place, row, |report| *report = Report::Missing);
            }
        }
        let Some(stream) = self.streams.get_mut(index as usize) else { return };
        stream.next = stream.next.saturating_add(1);
    }

    /// Reads where values of a round will go, so that it is at hand.
    pub(super) fn read_ahead(&self, places: impl Iterator<Item = (StreamIndex, u8)>, round: i64) {
        let missing = places.filter(|&(stream, position)| {
            let stream = self.streams.get(stream as usize);
            let row = stream.and_then(|stream| {
                let slots = usize::from(self.pace(stream)?.slots);
                self.reports.get(stream.place, stream.row(slot_of(round, slots), position))
            });
            row.is_some_and(|report| report == Report::Missing)
        });
        // The sum is of no use; that it is asked for keeps the reading from being left out.
        std::hint::black_box(missing.count());
    }

    /// Takes in a value that came at `now_ns`. One that comes at the deadline counts.
    pub(super) fn take(&mut self, now_ns: i64, at: (StreamIndex, u8), round: i64, value: f64) -> Taken {
        let (index, position) = at;
        let Some(stream) = self.streams.get(index as usize) else { return Taken::Late };
        let judged = match &self.judged {
            Some(judged) if judged.is_of(now_ns, stream.pace, round) => judged,
            _ => {
                let Some(pace) = self.pace(stream) else { return Taken::Late };
                let judged = Judged::new(now_ns, (stream.pace, pace), round, self.ahead);
                self.judged.insert(judged)
            }
        };
        if round < stream.next || judged.is_late {
            return Taken::Late;
        }
        if judged.is_early || !is_open(round, stream.next, usize::from(judged.slots)) {
            return Taken::Early;
        }
        let row = stream.row(judged.slot, position);
        match self.reports.change(stream.place, row, |report| report.absorb(value)) {
            None => Taken::Early,
            Some((Report::Missing, _)) => Taken::Reported,
            Some((Report::Value(_), Report::Equivocated)) => Taken::Equivocated,
            Some(_) => Taken::Repeated,
        }
    }

    /// Begins no round that opens after `now_ns`.
    pub(super) fn drain(&mut self, now_ns: i64) {
        let last = self.last_opening_ns.map_or(now_ns, |known| known.min(now_ns));
        self.last_opening_ns = Some(last);
        self.due.clear();
        for index in 0..self.streams.len() {
            self.schedule(u32::try_from(index).unwrap_or(u32::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Two streams of two replicas: rounds of 100 ns, decided 150 ns after they open.
    fn rounds() -> Rounds {
        let timing = RoundTiming { windows: Windows::new(0, 100).unwrap(), close_after_ns: 150 };
        let mut rounds = Rounds::new(1);
        for engine in [StreamId(4), StreamId(2)] {
            rounds.add(engine, timing, (timing.slots(1).unwrap(), 2), 0);
        }
        rounds
    }

    #[test]
    fn boundaries_to_the_nanosecond() {
        let mut rounds = rounds();
        assert_eq!(rounds.take(150, (0, 0), 0, 1.0), Taken::Reported);
        assert_eq!(rounds.take(151, (0, 1), 0, 1.0), Taken::Late);
        assert_eq!(rounds.take(99, (0, 1), 1, 1.0), Taken::Reported);
        assert_eq!(rounds.take(99, (0, 1), 2, 1.0), Taken::Early);
        assert_eq!(rounds.take(100, (0, 1), 2, 1.0), Taken::Reported);
        assert_eq!(rounds.take(100, (0, 1), -1, 1.0), Taken::Late);
        // The clock may be in round 3 already while round 0 has not been closed: the ring is full then.
        assert_eq!(rounds.take(350, (0, 1), 3, 1.0), Taken::Early);
    }

    #[test]
    fn deadlines_come_in_order_and_a_stream_at_a_time() {
        let mut rounds = rounds();
        rounds.take(10, (1, 0), 0, 5.0);
        rounds.take(10, (1, 0), 0, 5.0);
        rounds.take(120, (1, 1), 1, 6.0);
        assert_eq!(rounds.take(120, (1, 1), 1, 6.5), Taken::Equivocated);
        let mut seen = Vec::new();
        assert_eq!(rounds.pop(149), None);
        while let Some(due) = rounds.pop(250) {
            seen.push((due.engine.0, due.round, due.deadline_ns, rounds.reports(due.stream).to_vec()));
            assert_eq!(rounds.finish(due.stream, 250, 8), None);
        }
        use Report::{Equivocated, Missing, Value};
        let expected = [
            (4, 0, 150, vec![Missing, Missing]),
            (2, 0, 150, vec![Value(5.0), Missing]),
            (4, 1, 250, vec![Missing, Missing]),
            (2, 1, 250, vec![Missing, Equivocated]),
        ];
        assert_eq!(seen, expected);
        assert_eq!(rounds.next_deadline(), Some(350));
        assert!(rounds.reports(1).iter().all(|report| *report == Missing));
    }

    #[test]
    fn a_standstill_skips_rounds_and_forgets_their_reports() {
        let mut rounds = rounds();
        rounds.take(99, (0, 0), 1, 7.0);
        let due = rounds.pop(i64::MAX).unwrap();
        assert_eq!(due.round, 0);
        // At 10,050 round 99 is due: 98 and 99 are made up for, 1 to 97 are skipped.
        assert_eq!(rounds.finish(0, 10_050, 2), Some((1, 97)));
        assert_eq!(rounds.reports(0), [Report::Missing; 2]);
        let next = std::iter::from_fn(|| rounds.pop(10_050)).find(|due| due.stream == 0).unwrap();
        assert_eq!((next.round, next.deadline_ns), (98, 9_950));
    }

    #[test]
    fn draining_begins_nothing_new() {
        let mut rounds = rounds();
        rounds.drain(100);
        let mut seen = Vec::new();
        while let Some(due) = rounds.pop(i64::MAX) {
            seen.push(due.round);
            rounds.finish(due.stream, 100, 8);
        }
        assert_eq!(seen, [0, 0, 1, 1]);
        rounds.drain(500);
        assert_eq!(rounds.next_deadline(), None, "what is drained stays drained");
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let mut rounds = Rounds::new(u32::MAX);
        let timing =
            RoundTiming { windows: Windows::new(i64::MAX, i64::MAX).unwrap(), close_after_ns: i64::MAX };
        rounds.add(StreamId(0), timing, (2, 1), i64::MIN);
        rounds.add(StreamId(1), timing, (2, 1), i64::MAX);
        for now in [i64::MIN, 0, i64::MAX] {
            for round in [i64::MIN, -1, 0, i64::MAX] {
                for stream in 0..2 {
                    rounds.take(now, (stream, 0), round, 1.0);
                    rounds.finish(stream, now, 0);
                }
            }
            rounds.drain(now);
        }
    }

    /// The rule by its definition, for times that 64 bits hold: `now` against the round's deadline and the newest round.
    fn judge(timing: (i128, i128, i128), next: i64, slots: i128, now: i64, round: i64) -> Option<Taken> {
        let (epoch, period, close) = timing;
        let (now, ahead) = (i128::from(now), i128::from(round) - i128::from(next));
        let opens = epoch + i128::from(round) * period;
        if ahead < 0 || now > opens + close {
            return Some(Taken::Late);
        }
        // One round ahead: the round before it has opened.
        (now < opens - period || ahead >= slots).then_some(Taken::Early)
    }

    proptest! {
        /// Streams of different paces in turns, at times that go on, stand still and go back.
        #[test]
        fn records_are_taken_as_each_would_be_alone(
            takes in proptest::collection::vec(
                (0_usize..4, 0_u8..2, -2_i64..7, 0_u8..2, prop_oneof![5 => Just(0_i64), 1 => -60_i64..90]), 1..200),
        ) {
            const PACES: [(i64, i64, i64, u16); 4] =
                [(0, 100, 150, 3), (0, 100, 150, 3), (0, 100, 150, 2), (-7, 60, 45, 2)];
            let mut rounds = Rounds::new(1);
            for (engine, (epoch, period, close_after_ns, slots)) in (0..).map(StreamId).zip(PACES) {
                let timing = RoundTiming { windows: Windows::new(epoch, period).unwrap(), close_after_ns };
                rounds.add(engine, timing, (slots, 2), 0);
            }
            let mut reports: BTreeMap<(usize, u8, i64), Vec<f64>> = BTreeMap::new();
            let (mut now, mut next) = (0, [0_i64; 4]);
            for (at, position, round, value, step) in takes {
                now += step;
                // Some rounds are closed in time, others are left past due.
                let index = u32::try_from(at).unwrap();
                if step > 60 {
                    prop_assert_eq!(rounds.finish(index, now, u32::MAX), None);
                    next[at] += 1;
                }
                let value = f64::from(value);
                let (epoch, period, close, slots) = PACES[at];
                let timing = (i128::from(epoch), i128::from(period), i128::from(close));
                let expected = judge(timing, next[at], i128::from(slots), now, round).unwrap_or_else(|| {
                    let values = reports.entry((at, position, round)).or_default();
                    let is_new = !values.contains(&value);
                    values.push(value);
                    match (values.len(), is_new) {
                        (1, _) => Taken::Reported,
                        (_, true) => Taken::Equivocated,
                        (_, false) => Taken::Repeated,
                    }
                });
                let taken = rounds.take(now, (index, position), round, value);
                prop_assert_eq!(taken, expected, "stream {}, round {} at {}", at, round, now);
            }
        }
    }
}
