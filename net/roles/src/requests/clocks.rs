//! How far other nodes' clocks are from one's own, from requests and their answers.

use centauri_wire::NodeId;

use crate::{Effects, Note};

/// So many of the newest measurements are looked at: clocks drift.
const KEPT: usize = 8;

/// What is known of a node's clock.
///
/// A request is sent at `t0` and its answer comes at `t1`, by one's own clock; the answer's timestamp `s` is the other's. The
/// other's clock is `s − (t0 + t1)/2` ahead, give or take `(t1 − t0)/2`, whatever the ways there and back took. Of the last eight
/// measurements the one with the shortest way counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockEstimate {
    /// How far the node's clock is ahead, in nanoseconds.
    pub offset_ns: i64,
    /// How wrong that can be, either way, in nanoseconds.
    pub error_ns: i64,
}

/// How far off a clock may be before its node is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockBound {
    /// In nanoseconds, either way.
    pub off_max_ns: i64,
}

impl Default for ClockBound {
    /// A tenth of a second.
    fn default() -> Self {
        Self { off_max_ns: 100_000_000 }
    }
}

/// The measurements of one node's clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    measured: [Option<ClockEstimate>; KEPT],
    next: usize,
    is_off: bool,
}

impl Clock {
    /// Takes in a request's way there and back. Times of an answer that came before it was asked for say nothing.
    pub(crate) fn measure(&mut self, sent_ns: i64, stamped_ns: i64, received_ns: i64) {
        let (sent, stamped, received) =
            (i128::from(sent_ns), i128::from(stamped_ns), i128::from(received_ns));
        if received < sent {
            return;
        }
        let half = (received - sent + 1) / 2;
        let ahead = stamped - (sent + received) / 2;
        if let (Ok(offset_ns), Ok(error_ns)) = (i64::try_from(ahead), i64::try_from(half)) {
            if let Some(place) = self.measured.get_mut(self.next) {
                *place = Some(ClockEstimate { offset_ns, error_ns });
            }
            self.next = (self.next + 1) % KEPT;
        }
    }

    pub(crate) fn estimate(&self) -> Option<ClockEstimate> {
        self.measured.iter().flatten().min_by_key(|estimate| estimate.error_ns).copied()
    }

    /// Names the node if its clock is surely further off than the bound, and says so when it is within the bound again.
    pub(crate) fn judge(&mut self, node: NodeId, bound: ClockBound, effects: &mut Effects) {
        let Some(ClockEstimate { offset_ns, error_ns }) = self.estimate() else { return };
        let off = offset_ns.unsigned_abs().saturating_sub(error_ns.unsigned_abs());
        let is_off = off > bound.off_max_ns.unsigned_abs();
        if is_off != self.is_off {
            self.is_off = is_off;
            let note = if is_off {
                Note::ClockOff { node, offset_ns, error_ns }
            } else {
                Note::ClockBack { node, offset_ns, error_ns }
            };
            effects.note(note);
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.is_off
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the ways take, the truth lies within the error.
        #[test]
        fn the_offset_lies_within_the_error(
            truth in -2_000_000_000_i64..2_000_000_000,
            ways in proptest::collection::vec((0_i64..300_000_000, 0_i64..300_000_000), 1..30),
        ) {
            let mut clock = Clock::default();
            for (turn, (there, back)) in (0_i64..).zip(ways) {
                let sent = turn * 1_000_000_000;
                clock.measure(sent, sent + there + truth, sent + there + back);
                let ClockEstimate { offset_ns, error_ns } = clock.estimate().unwrap();
                prop_assert!((offset_ns - truth).abs() <= error_ns, "{offset_ns} ± {error_ns}, {truth}");
            }
        }
    }

    #[test]
    fn extremes_do_not_overflow_and_a_node_is_named_once() {
        let mut clock = Clock::default();
        for at in [i64::MIN, -1, 0, 1, i64::MAX] {
            for stamp in [i64::MIN, 0, i64::MAX] {
                clock.measure(at, stamp, 0);
                clock.measure(0, stamp, at);
            }
        }
        let (mut clock, mut effects) = (Clock::default(), Effects::new());
        let bound = ClockBound { off_max_ns: 1_000 };
        for _ in 0..3 {
            clock.measure(0, 5_000, 100);
            clock.judge(NodeId(3), bound, &mut effects);
        }
        assert!(clock.is_off() && effects.len() == 1);
        for _ in 0..KEPT {
            clock.measure(0, 50, 100);
        }
        clock.judge(NodeId(3), bound, &mut effects);
        assert!(!clock.is_off() && effects.len() == 2);
        // A way too long to tell names nobody.
        let mut clock = Clock::default();
        clock.measure(0, 5_000, 20_000);
        clock.judge(NodeId(3), bound, &mut effects);
        assert!(!clock.is_off() && effects.len() == 2);
    }
}
