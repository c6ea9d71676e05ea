//! The latest decision of every stream, written by the threads that decide and read by whoever asks.

use super::record::{self, Record};
use crate::clock::now_ns;
use crate::serve::Names;
use centauri_roles::Decided;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A slot's first word: twice the number of decisions written to it, and one more while one is being written.
const VERSION: usize = 1;

/// A decision on its way to followers has the stream's index and its version before it.
const WAY: usize = 2;

/// So many words wait between a thread that decides and those who follow, at most: some ten thousand decisions.
const WAITING_WORDS_MAX: usize = 1 << 18;
/// And at least: some hundred.
const WAITING_WORDS_MIN: usize = 1 << 13;

/// A reader that finds a slot being written looks so often again. Writing takes some 50 ns.
const LOOKS_MAX: usize = 10_000;

/// The latest decision of every stream in memory that is laid out once.
///
/// Every slot has one writer, the thread that decides its stream, which never waits. A reader copies and looks whether
/// something was written meanwhile.
#[derive(Debug)]
pub(crate) struct Board {
    names: Arc<[Names]>,
    /// Of the streams that are served, in the order of their names.
    by_name: Box<[u32]>,
    /// Where a stream's slot begins; one more than streams.
    starts: Box<[u32]>,
    slots: Box<[AtomicU64]>,
    /// How many follow a stream.
    followed: Box<[AtomicU32]>,
}

/// A thread's way to write on the board.
#[derive(Debug)]
pub(crate) struct BoardWriter {
    board: Arc<Board>,
    words: Vec<u64>,
    followed: Producer<u64>,
}

/// What a thread wrote on streams that somebody follows.
#[derive(Debug)]
pub(super) struct Followed {
    words: Consumer<u64>,
    held: Vec<u64>,
}

/// A decision on a followed stream.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    /// The stream's index.
    pub(super) stream: u32,
    /// Which decision on this stream it is, from 1.
    pub(super) number: u64,
    /// The decision.
    pub(super) record: Record,
}

impl Board {
    /// An empty board for the streams of a fleet, of which those that `is_served` names are shown.
    pub(crate) fn new(names: Arc<[Names]>, is_served: impl Fn(&str) -> bool) -> Self {
        let mut starts = vec![0];
        let mut end = 0_u32;
        for names in names.iter() {
            let words = VERSION + record::words(names.replicas.len());
            end = end.saturating_add(u32::try_from(words).unwrap_or(u32::MAX));
            starts.push(end);
        }
        let mut by_name: Vec<u32> =
            (0..).zip(names.iter()).filter(|(_, n)| is_served(&n.stream)).map(|(i, _)| i).collect();
        by_name.sort_by_key(|&index| names.get(index as usize).map(|n| &*n.stream));
        Self {
            by_name: by_name.into(),
            starts: starts.into(),
            slots: (0..end).map(|_| AtomicU64::new(0)).collect(),
            followed: names.iter().map(|_| AtomicU32::new(0)).collect(),
            names,
        }
    }

    /// A way to write, and one to what is written on followed streams.
    pub(crate) fn writer(self: &Arc<Self>) -> (BoardWriter, Followed) {
        let waiting = (4 * self.slots.len()).clamp(WAITING_WORDS_MIN, WAITING_WORDS_MAX);
        let (send, receive) = RingBuffer::new(waiting);
        let writer = BoardWriter { board: Arc::clone(self), words: Vec::new(), followed: send };
        (writer, Followed { words: receive, held: Vec::new() })
    }

    /// Names of a stream and its replicas.
    pub(super) fn names(&self, stream: u32) -> Option<&Names> {
        self.names.get(stream as usize)
    }

    /// How many streams the fleet has, those that are not served included.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Streams that are served, in the order of their names.
    pub(super) fn served(&self) -> &[u32] {
        &self.by_name
    }

    /// Where in [`Board::served`] a name is, or would be.
    pub(super) fn place(&self, name: &str) -> Result<usize, usize> {
        let of = |index: &u32| self.names(*index).map_or("", |names| &*names.stream);
        self.by_name.binary_search_by(|index| of(index).cmp(name))
    }

    /// A served stream by its name.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.place(name).ok().and_then(|place| self.by_name.get(place)).copied()
    }

    /// The latest decision on a stream; `None` if there has been none.
    pub(super) fn read(&self, stream: u32) -> Option<Record> {
        let slot = self.slot(stream)?;
        let (version, words) = slot.split_first()?;
        let mut copy = vec![0; words.len()];
        for look in 0..LOOKS_MAX {
            let before = version.load(Ordering::Acquire);
            if before == 0 {
                return None;
            }
            for (to, from) in copy.iter_mut().zip(words) {
                *to = from.load(Ordering::Relaxed);
            }
            fence(Ordering::Acquire);
            if before % 2 == 0 && version.load(Ordering::Relaxed) == before {
                return record::decode(&copy);
            }
            // The writer may have been put to sleep in the middle of it.
            if look % 64 == 63 { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        None
    }

    /// How many decisions there have been on a stream.
    fn number(&self, stream: u32) -> u64 {
        self.slot(stream)
            .and_then(|slot| slot.first())
            .map_or(0, |version| version.load(Ordering::Acquire) / 2)
    }

    /// From now on decisions on a stream go to [`Followed`], too; gives the number of the last one before, where nobody
    /// has followed it.
    pub(super) fn follow(&self, stream: u32) -> Option<u64> {
        let others = self.followed.get(stream as usize)?.fetch_add(1, Ordering::SeqCst);
        (others == 0).then(|| self.number(stream))
    }

    /// One who followed no longer does.
    pub(super) fn leave(&self, stream: u32) {
        if let Some(count) = self.followed.get(stream as usize) {
            count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn slot(&self, stream: u32) -> Option<&[AtomicU64]> {
        let at = stream as usize;
        let (start, end) = (*self.starts.get(at)?, *self.starts.get(at + 1)?);
        self.slots.get(start as usize..end as usize)
    }

    /// Bytes that a stream takes on average, without its names.
    #[cfg(test)]
    fn bytes_a_stream(&self) -> f64 {
        let bytes = 8 * self.slots.len() + 4 * (self.starts.len() + self.followed.len() + self.by_name.len());
        bytes as f64 / self.len() as f64
    }
}

impl BoardWriter {
    /// Writes a decision in its stream's slot, and puts it on its way to who follows the stream. Waits for nobody: followers
    /// who are behind so far that there is no room are told by their numbers that they have missed something.
    pub(crate) fn publish(&mut self, decided: &Decided<'_>) {
        let Self { board, words, followed } = self;
        let stream = decided.stream.0;
        let Some(slot) = board.slot(stream) else { return };
        let Some((version, rest)) = slot.split_first() else { return };
        let replicas = board.names(stream).map_or(0, |names| names.replicas.len());
        record::encode(decided, replicas, now_ns(), words);
        let number = version.load(Ordering::Relaxed);
        version.store(number + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (to, from) in rest.iter().zip(words.iter()) {
            to.store(*from, Ordering::Relaxed);
        }
        version.store(number + 2, Ordering::Release);
        let is_followed = |count: &AtomicU32| count.load(Ordering::Relaxed) > 0;
        if board.followed.get(stream as usize).is_some_and(is_followed) {
            let head = [u64::from(stream), number / 2 + 1];
            if let Ok(chunk) = followed.write_chunk_uninit(head.len() + words.len()) {
                chunk.fill_from_iter(head.into_iter().chain(words.iter().copied()));
            }
        }
    }
}

impl Followed {
    /// The next decision, if one waits.
    pub(super) fn next(&mut self, board: &Board) -> Option<Event> {
        let Self { words, held } = self;
        let &stream = words.peek().ok()?;
        let stream = u32::try_from(stream).ok()?;
        let replicas = board.names(stream)?.replicas.len();
        held.clear();
        held.resize(WAY + record::words(replicas), 0);
        words.pop_entire_slice(held).ok()?;
        let (head, rest) = held.split_first_chunk::<WAY>()?;
        let &[_, number] = head;
        Some(Event { stream, number, record: record::decode(rest)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use centauri_engine::{Decision, Quorum, Report, Status, StreamId};
    use std::sync::atomic::AtomicBool;

    fn names(count: u32, replicas: usize) -> Arc<[Names]> {
        let replicas: Arc<[String]> = (0..replicas).map(|i| format!("r{i}")).collect();
        (0..count)
            .map(|i| Names {
                stream: format!("road/{i:06}").into(),
                replicas: Arc::clone(&replicas),
                faults: 1,
            })
            .collect()
    }

    /// All of its numbers are `x`.
    fn decision(x: f64) -> Decision {
        Decision {
            status: Status::Decided,
            value: x,
            point: 0,
            confidence: x,
            mean: x,
            sd: x,
            low: x,
            high: x,
            quorum: Quorum::EMPTY.with(0),
            log_evidence: Some(x),
            region: None,
            exhaustive: true,
        }
    }

    fn publish(writer: &mut BoardWriter, stream: u32, x: f64, replicas: usize) {
        let (decision, honest) = (decision(x), vec![x; replicas]);
        let decided = Decided {
            stream: StreamId(stream),
            round: x as i64,
            deadline_ns: 0,
            closed_ns: 0,
            decision: &decision,
            honest: Some(&honest),
            reports: &vec![Report::Value(x); replicas],
        };
        writer.publish(&decided);
    }

    #[test]
    fn the_latest_is_read_and_names_are_found() {
        let board = Arc::new(Board::new(names(3, 4), |name| name != "road/000001"));
        let (mut writer, mut followed) = board.writer();
        assert_eq!(board.read(2), None);
        publish(&mut writer, 2, 5.0, 4);
        publish(&mut writer, 2, 6.0, 4);
        publish(&mut writer, 3, 6.0, 4);
        assert_eq!(board.read(2).map(|record| (record.round, record.reports.len())), Some((6, 4)));
        assert_eq!((board.read(0), board.read(3), followed.next(&board)), (None, None, None));
        assert_eq!((board.find("road/000002"), board.find("road/000001")), (Some(2), None));
        assert_eq!(board.served(), [0, 2]);
    }

    #[test]
    fn followed_streams_are_told_with_their_numbers() {
        let board = Arc::new(Board::new(names(2, 3), |_| true));
        let (mut writer, mut followed) = board.writer();
        publish(&mut writer, 1, 1.0, 3);
        assert_eq!((board.follow(1), board.follow(1)), (Some(1), None));
        publish(&mut writer, 0, 2.0, 3);
        publish(&mut writer, 1, 2.0, 3);
        let event = followed.next(&board).expect("an event");
        assert_eq!((event.stream, event.number, event.record.round), (1, 2, 2));
        assert_eq!(followed.next(&board), None);
        // Nobody reads: what finds no room is gone, and the numbers tell.
        (0..10_000).for_each(|i| publish(&mut writer, 1, f64::from(i), 3));
        let mut count = 0;
        while let Some(event) = followed.next(&board) {
            count += 1;
            assert_eq!(event.number, 2 + count);
        }
        assert!((100..5_000).contains(&count), "{count}");
        publish(&mut writer, 1, 7.0, 3);
        assert_eq!(followed.next(&board).map(|event| event.number), Some(10_003));
        board.leave(1);
        board.leave(1);
        publish(&mut writer, 1, 7.0, 3);
        assert_eq!(followed.next(&board), None);
    }

    #[test]
    fn what_is_read_was_written_at_once() {
        let board = Arc::new(Board::new(names(1, 40), |_| true));
        let (mut writer, _followed) = board.writer();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                let mut last = 0.0;
                while !done.load(Ordering::Relaxed) {
                    let Some(record) = board.read(0) else { continue };
                    let x = record.decision.value;
                    let honest = record.honest.expect("probabilities");
                    assert!(honest.iter().all(|p| *p == x), "{x}: {honest:?}");
                    assert!(record.reports.iter().all(|r| *r == Report::Value(x)));
                    assert!(x >= last, "{x} after {last}");
                    last = x;
                    seen += 1;
                }
                seen
            });
            (0..200_000).for_each(|i| publish(&mut writer, 0, f64::from(i), 40));
            done.store(true, Ordering::Relaxed);
            println!("read {} times", reader.join().expect("the reader ends"));
        });
        assert_eq!(board.read(0).map(|record| record.round), Some(199_999));
    }

    /// What this thread has computed for, whatever else the machine was busy with.
    fn processor_ns() -> Option<u128> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    /// The figures of docs/HTTP.md: `cargo test -p centauri --lib board -- --nocapture`.
    #[test]
    fn a_hundred_thousand_streams_take_little_memory_and_time() {
        let count = 100_000;
        let board = Arc::new(Board::new(names(count, 4), |_| true));
        let (mut writer, _followed) = board.writer();
        let (reports, honest) = ([Report::Value(1.0); 4], [1.0; 4]);
        for round in 0..5 {
            let decision = decision(round as f64);
            let before = processor_ns();
            for stream in 0..count {
                writer.publish(&Decided {
                    stream: StreamId(stream),
                    round,
                    deadline_ns: 0,
                    closed_ns: 0,
                    decision: &decision,
                    honest: Some(&honest),
                    reports: &reports,
                });
            }
            match before.zip(processor_ns()) {
                Some((before, after)) => println!("{} ns an update", (after - before) / u128::from(count)),
                None => println!("skipped: the system does not tell how long a thread has computed"),
            }
        }
        println!("{} bytes a stream", board.bytes_a_stream());
        assert!(board.bytes_a_stream() < 300.0);
        assert_eq!(board.read(count - 1).map(|record| record.round), Some(4));
    }
}
