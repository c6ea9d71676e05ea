//! What must hold from one start of the client to the next, whatever its disk did in between.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::journal::{Beginning, Kept};
use crate::violation::{Finding, expect};

/// Everything that clients have accepted and decided since the run began.
#[derive(Debug, Default)]
pub(super) struct Incarnations {
    /// Frames that clients before this one accepted, and those that it did.
    earlier: BTreeSet<Rc<[u8]>>,
    own: BTreeSet<Rc<[u8]>>,
    /// The fingerprints of what was decided, by stream's place and round.
    decided: BTreeMap<(u32, i64), u64>,
    /// Rounds that were told to have no decision: place, first and last.
    told: Vec<(u32, i64, i64)>,
    /// By the stream's place, the first round that there can be a decision of.
    first: BTreeMap<u32, i64>,
    /// Whether the client went on beyond what was reserved on its disk, and whether its clock was set back: with both nothing is
    /// promised.
    has_lapsed: bool,
    was_set_back: bool,
}

impl Incarnations {
    pub(super) fn set_clock(&mut self, by_ns: i64) {
        self.was_set_back |= by_ns < 0;
    }

    /// Whether the promises hold: by the disk, or else by the clock.
    pub(super) fn are_promised(&self) -> bool {
        !(self.has_lapsed && self.was_set_back)
    }

    /// The client is called at `now_ns` while this is reserved on its disk.
    pub(super) fn called(&mut self, now_ns: i64, on_disk_ns: Option<i64>) {
        self.has_lapsed |= on_disk_ns.is_none_or(|reserved| now_ns > reserved);
    }

    /// A frame was accepted.
    pub(super) fn accepted(
        &mut self,
        frame: &Rc<[u8]>,
        timestamp_ns: i64,
        now_ns: i64,
        on_disk_ns: Option<i64>,
    ) -> Result<(), Finding> {
        let bound = on_disk_ns.map_or(now_ns, |reserved| reserved.max(now_ns));
        if timestamp_ns > bound {
            let expected = format!("{bound} or before");
            return Err(Finding::new(
                "what is accepted ahead of the clock is reserved on the disk",
                expected,
                timestamp_ns.to_string(),
            ));
        }
        if self.are_promised() && self.earlier.contains(frame) {
            let found = format!("a frame of {timestamp_ns} once more");
            return Err(Finding::new("nothing is accepted again after a restart", "a new frame", found));
        }
        self.own.insert(Rc::clone(frame));
        Ok(())
    }

    /// A round was decided: whether for the first time.
    pub(super) fn decided(&mut self, kept: Kept) -> Result<(), Finding> {
        let known = self.decided.insert((kept.stream, kept.round), kept.digest);
        if self.are_promised() {
            expect("no round is decided again after a restart", None, known)?;
        }
        Ok(())
    }

    pub(super) fn left_out(&mut self, place: u32, first: i64, rounds: u64) {
        self.told.push((place, first, first.saturating_add_unsigned(rounds).saturating_sub(1)));
    }

    /// A client begins, with what its disk has: what is kept is what was decided, and every round without a kept decision has
    /// been told of, and no other.
    pub(super) fn begin(&mut self, beginning: &Beginning) -> Result<(), Finding> {
        self.earlier.append(&mut self.own);
        self.told.extend(&beginning.gap);
        if !self.are_promised() {
            return Ok(());
        }
        for Kept { stream, round, digest } in &beginning.decisions {
            let decided = self.decided.get(&(*stream, *round));
            expect("what is kept is what was decided", decided, Some(digest))?;
        }
        for (place, next) in (0_u32..).zip(&beginning.first_rounds) {
            let kept: BTreeSet<i64> = beginning
                .decisions
                .iter()
                .filter(|kept| kept.stream == place)
                .map(|kept| kept.round)
                .collect();
            if kept.is_empty() {
                // Nothing was ever kept of it: there is nothing to be missed.
                self.first.insert(place, *next);
            }
            let first = *self.first.entry(place).or_insert(*next);
            let told = |round: i64| {
                self.told.iter().any(|(at, first, last)| *at == place && (*first..=*last).contains(&round))
            };
            let without: Vec<i64> = (first..*next).filter(|round| !kept.contains(round)).collect();
            let of_gap: Vec<i64> = (first..*next).filter(|round| told(*round)).collect();
            expect("the rounds without a decision are those that are told", without, of_gap)?;
        }
        Ok(())
    }
}
