//! Decisions as the device writes them.

use crate::counters::Reason;
use crate::plan::{FIELDS, Shape};
use crate::quorums::Quorums;
use crate::settle;
use crate::tables::Loaded;
use centauri_engine::{CompiledModel, Decision, Entry, Quorum, Region, Status};
use std::f64::consts::LN_2;

const SOUND: u32 = 1;
const QUORUM_CERTAIN: u32 = 2;
const EVIDENCE_SOUND: u32 = 4;
const ONE_RIVAL: u32 = 8;

/// The words of one decision.
pub(crate) struct Record<'a> {
    pub(crate) shape: Shape,
    pub(crate) words: &'a mut [u32],
}

impl Record<'_> {
    fn low_half(&self, word: usize) -> usize {
        (self.words[word] & 0xffff) as usize
    }

    fn high_half(&self, word: usize) -> usize {
        (self.words[word] >> 16) as usize
    }

    fn number(&self, word: usize) -> f64 {
        f64::from(f32::from_bits(self.words[word]))
    }

    fn quorum(&self) -> Quorum {
        let bits = &self.words[FIELDS..FIELDS + self.shape.quorum_words()];
        let set = |p: &usize| bits[p / 32] >> (p % 32) & 1 == 1;
        (0..self.shape.replicas).filter(set).collect()
    }

    /// Whether the quorum that was told is chosen before the one that float32 cannot tell from it.
    fn stands_against_its_rival(&self, model: &CompiledModel, entry: &Entry<'_>, quorums: &Quorums) -> bool {
        let rival = quorums.quorum(self.shape.replicas, self.shape.faults, self.high_half(3));
        let objective = entry.objective.unwrap_or(model.objective());
        rival.and_then(|rival| settle::stands(model, entry, objective, self.quorum(), rival)).unwrap_or(false)
    }

    /// Settles value and quorum; says whether it took float64, or why the fallback has to decide.
    pub(crate) fn certify(
        &mut self,
        model: &CompiledModel,
        entry: &Entry<'_>,
        quorums: &Quorums,
    ) -> Result<bool, Reason> {
        let flags = self.words[1] >> 16;
        if flags & SOUND == 0 || flags & EVIDENCE_SOUND == 0 {
            return Err(Reason::Unsound);
        }
        let rival = flags & ONE_RIVAL != 0;
        if flags & QUORUM_CERTAIN == 0 && !(rival && self.stands_against_its_rival(model, entry, quorums)) {
            return Err(Reason::Uncertain);
        }
        let (first, last) = (self.low_half(0), self.low_half(3));
        if first > last || last >= model.support().points() {
            return Err(Reason::Unsound);
        }
        if first == last {
            return Ok(rival);
        }
        let quorum = (self.shape.objective != 0).then(|| self.quorum());
        let value = settle::first(model, entry, quorum, first..=last).ok_or(Reason::Unsound)?;
        self.words[0] = self.words[0] & 0xffff_0000 | value as u32;
        Ok(true)
    }

    /// P(honest) of each replica.
    pub(crate) fn honest(&self, honest: &mut Vec<f64>) {
        let begin = FIELDS + self.shape.quorum_words();
        honest.clear();
        honest.extend((begin..begin + self.shape.replicas).map(|word| self.number(word)));
    }

    pub(crate) fn decision(&self, loaded: &Loaded, entry: &Entry<'_>) -> Decision {
        let support = loaded.model.support();
        let last = support.points() - 1;
        let at = |s: usize| support.point(s.min(last));
        let (ln_faulty, ln_tops) = loaded.ln_constants(entry.observations);
        let tops = if self.shape.evidence_leaves_tops_out() { ln_tops } else { 0.0 };
        let region = (self.low_half(2), self.high_half(2));
        Decision {
            status: Status::Decided,
            value: at(self.low_half(0)),
            point: self.low_half(0),
            confidence: self.number(5).clamp(0.0, 1.0),
            mean: support.min() + self.number(6) * support.step(),
            sd: self.number(7) * support.step(),
            low: at(self.high_half(0)),
            high: at(self.low_half(1)),
            quorum: self.quorum(),
            log_evidence: Some(self.number(4) * LN_2 + ln_faulty + tops + loaded.ln_prior_top),
            region: (self.shape.region && region.0 <= region.1)
                .then(|| Region { low: at(region.0), high: at(region.1) }),
            exhaustive: true,
        }
    }
}
