//! Rounds that no decision was kept of, because no server ran or one ended before it had written them.

use super::bytes::Reader;
use super::limits::GAP_RUNS_MAX;

const VERSION: u8 = 1;

/// A gap between what an earlier server left and the first rounds of the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gap {
    /// When the newest decision before the gap was closed, in nanoseconds since the Unix epoch.
    pub from_ns: i64,
    /// The floor of the server that began after it: nothing timestamped before was accepted again.
    pub until_ns: i64,
    /// Streams with the same missing rounds, by their numbers in the journal's list.
    pub runs: Vec<GapRun>,
    /// Streams beyond those, of which the journal says no more.
    pub more: u32,
}

/// Streams one after the other in the journal's list that lack the same rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapRun {
    /// The first stream.
    pub stream: u32,
    /// How many.
    pub count: u32,
    /// The first round without a decision.
    pub first: i64,
    /// The last round without a decision.
    pub last: i64,
}

impl Gap {
    /// Adds a stream, in the order of the list, that lacks the rounds from `first` to `last`.
    pub fn push(&mut self, stream: u32, first: i64, last: i64) {
        if first > last {
            return;
        }
        let has_room = self.runs.len() < GAP_RUNS_MAX;
        match self.runs.last_mut() {
            Some(run)
                if (run.first, run.last) == (first, last)
                    && run.stream.checked_add(run.count) == Some(stream) =>
            {
                run.count += 1;
            }
            _ if has_room => self.runs.push(GapRun { stream, count: 1, first, last }),
            _ => self.more = self.more.saturating_add(1),
        }
    }

    /// How many streams lack rounds.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.count)).sum::<u64>() + u64::from(self.more)
    }

    /// How many rounds are missing, of all streams that the gap tells apart.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        let of = |run: &GapRun| {
            (u64::from(run.count)).saturating_mul(run.last.abs_diff(run.first).saturating_add(1))
        };
        self.runs.iter().map(of).fold(0, u64::saturating_add)
    }

    /// The bytes in the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, 0, 0, 0];
        out.extend_from_slice(&self.more.to_le_bytes());
        out.extend_from_slice(&self.from_ns.to_le_bytes());
        out.extend_from_slice(&self.until_ns.to_le_bytes());
        for run in &self.runs {
            out.extend_from_slice(&run.stream.to_le_bytes());
            out.extend_from_slice(&run.count.to_le_bytes());
            out.extend_from_slice(&run.first.to_le_bytes());
            out.extend_from_slice(&run.last.to_le_bytes());
        }
        out
    }

    /// What [`Gap::encode`] wrote; `None` for other bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        reader.u32().filter(|version| *version == u32::from(VERSION))?;
        let more = reader.u32()?;
        let mut gap = Self { from_ns: reader.i64()?, until_ns: reader.i64()?, runs: Vec::new(), more };
        while !reader.is_empty() && gap.runs.len() < GAP_RUNS_MAX {
            let (stream, count) = (reader.u32()?, reader.u32()?);
            gap.runs.push(GapRun { stream, count, first: reader.i64()?, last: reader.i64()? });
        }
        reader.is_empty().then_some(gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_alike_are_one_run_and_come_back() {
        let mut gap = Gap { from_ns: -5, until_ns: 9, ..Gap::default() };
        for (stream, first, last) in [(0, 3, 5), (1, 3, 5), (2, 4, 5), (3, 6, 5), (5, 4, 5), (6, 4, 5)] {
            gap.push(stream, first, last);
        }
        let runs: Vec<_> = gap.runs.iter().map(|run| (run.stream, run.count, run.first)).collect();
        assert_eq!(runs, [(0, 2, 3), (2, 1, 4), (5, 2, 4)]);
        assert_eq!((gap.streams(), gap.rounds()), (5, 2 * 3 + 2 + 2 * 2));
        let bytes = gap.encode();
        assert_eq!(Gap::decode(&bytes), Some(gap));
        assert_eq!(Gap::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Gap::decode(&[2, 0, 0, 0]), None);
    }

    #[test]
    fn what_is_too_much_to_tell_apart_is_counted() {
        let mut gap = Gap::default();
        (0..GAP_RUNS_MAX as u32 + 7)
            .for_each(|stream| gap.push(stream, i64::MIN + i64::from(stream), i64::MAX));
        assert_eq!((gap.runs.len(), gap.more), (GAP_RUNS_MAX, 7));
        assert_eq!((gap.streams(), gap.rounds()), (GAP_RUNS_MAX as u64 + 7, u64::MAX));
        assert_eq!(Gap::decode(&gap.encode()), Some(gap));
    }
}
