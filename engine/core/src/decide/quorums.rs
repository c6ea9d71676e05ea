//! The search over quorums: every subset of n' − f' replicas, in lexicographic order of position.

use super::Evidence;
use crate::decision::{Quorum, first_within_tie};
use crate::limits::{QUORUMS_MAX, TIE};
use crate::number::ln_sum_exp;

/// What is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Criteria {
    /// No quorum is asked for, only the hull.
    None,
    /// Peak of P(x given q), then evidence.
    Posterior,
    /// Peak of the score, then evidence.
    Joint,
    /// Evidence, then peak of P(x given q).
    Evidence,
}

/// What the search found. Positions count the replicas that are left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    /// The best quorum; none where every quorum is impossible or none was asked for.
    pub(crate) quorum: Option<Quorum>,
    /// Smallest and largest most probable point over all possible quorums; none where there are too many.
    pub(crate) hull: Option<(usize, usize)>,
    pub(crate) exhaustive: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Sums of the prior and of the rows chosen so far, a row for each number of replicas chosen.
    partial: Vec<f64>,
    candidates: Vec<Candidate>,
    hull: Option<(usize, usize)>,
}

/// A possible quorum with its two criteria.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) quorum: Quorum,
    pub(crate) first: f64,
    pub(crate) second: f64,
}

impl Candidate {
    /// Of `score + ln_rest` for every grid point; none where the quorum is impossible.
    pub(crate) fn new(quorum: Quorum, criteria: Criteria, score: &[f64], ln_rest: f64) -> Option<Self> {
        let top = score.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if top == f64::NEG_INFINITY {
            return None;
        }
        let ln_evidence = ln_sum_exp(score.iter().copied()) + ln_rest;
        let (ln_joint, ln_peak) = (top + ln_rest, top + ln_rest - ln_evidence);
        let (first, second) = match criteria {
            Criteria::Joint => (ln_joint, ln_evidence),
            Criteria::Evidence => (ln_evidence, ln_peak),
            Criteria::Posterior | Criteria::None => (ln_peak, ln_evidence),
        };
        Some(Self { quorum, first, second })
    }
}

impl Search {
    /// Searches the quorums of `evidence`; `start` is a good one to begin with where there are too many to see all.
    pub(crate) fn run(&mut self, evidence: &Evidence, criteria: Criteria, start: Quorum) -> Found {
        self.candidates.clear();
        self.hull = None;
        if count(evidence.units(), evidence.faults) > QUORUMS_MAX {
            return match criteria {
                Criteria::None => Found { quorum: None, hull: None, exhaustive: true },
                _ => super::large::search(evidence, criteria, start),
            };
        }
        let points = evidence.points();
        self.partial.resize((evidence.quorum_size() + 1) * points, 0.0);
        self.partial[..points].copy_from_slice(&evidence.ln_prior);
        let all_left_out = 0.0;
        self.descend(
            evidence,
            criteria,
            Chosen { quorum: Quorum::EMPTY, size: 0, next: 0, ln_rest: all_left_out },
        );
        Found { quorum: best(&self.candidates), hull: self.hull, exhaustive: true }
    }

    /// Chooses for the replica `chosen.next` both ways, in first.
    fn descend(&mut self, evidence: &Evidence, criteria: Criteria, chosen: Chosen) {
        let size = evidence.quorum_size();
        if chosen.size == size {
            let rest: f64 = evidence.ln_faulty[chosen.next..].iter().sum();
            self.judge(evidence, criteria, chosen.quorum, chosen.ln_rest + rest);
            return;
        }
        let points = evidence.points();
        let (known, sums) = self.partial.split_at_mut((chosen.size + 1) * points);
        let known = &known[chosen.size * points..];
        let mut possible = false;
        for ((sum, known), ln) in sums.iter_mut().zip(known).zip(evidence.row(chosen.next)) {
            *sum = known + ln;
            possible |= *sum > f64::NEG_INFINITY;
        }
        if possible {
            self.descend(evidence, criteria, chosen.with_next());
        }
        if evidence.units() - chosen.next > size - chosen.size {
            self.descend(evidence, criteria, chosen.without_next(evidence.ln_faulty[chosen.next]));
        }
    }

    fn judge(&mut self, evidence: &Evidence, criteria: Criteria, quorum: Quorum, ln_rest: f64) {
        let points = evidence.points();
        let score = &self.partial[evidence.quorum_size() * points..][..points];
        if score.iter().all(|&ln| ln == f64::NEG_INFINITY) {
            return;
        }
        let peak = first_within_tie(score);
        self.hull = Some(self.hull.map_or((peak, peak), |(low, high)| (low.min(peak), high.max(peak))));
        if criteria != Criteria::None {
            self.candidates.extend(Candidate::new(quorum, criteria, score, ln_rest));
        }
    }
}

/// Writes `score(q, x)` for every grid point into `score`, and gives the evidence.
pub(crate) fn score_of(evidence: &Evidence, quorum: Quorum, score: &mut Vec<f64>) -> f64 {
    score.clear();
    score.extend_from_slice(&evidence.ln_prior);
    let mut ln_rest = 0.0;
    for i in 0..evidence.units() {
        if quorum.contains(i) {
            score.iter_mut().zip(evidence.row(i)).for_each(|(score, ln)| *score += ln);
        } else {
            ln_rest += evidence.ln_faulty[i];
        }
    }
    score.iter_mut().for_each(|score| *score += ln_rest);
    ln_sum_exp(score.iter().copied())
}

/// A node of the enumeration: what has been decided for the replicas before `next`.
#[derive(Clone, Copy)]
struct Chosen {
    quorum: Quorum,
    size: usize,
    next: usize,
    /// `Σ ln u_i` of those left out so far.
    ln_rest: f64,
}

impl Chosen {
    fn with_next(self) -> Self {
        Self { quorum: self.quorum.with(self.next), size: self.size + 1, next: self.next + 1, ..self }
    }

    fn without_next(self, ln_faulty: f64) -> Self {
        Self { next: self.next + 1, ln_rest: self.ln_rest + ln_faulty, ..self }
    }
}

/// Of the candidates within a tie of the best first criterion those within a tie of the best second one, and of these
/// the first in lexicographic order.
pub(crate) fn best(candidates: &[Candidate]) -> Option<Quorum> {
    let top = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NEG_INFINITY, f64::max);
    let first = top(&mut candidates.iter().map(|c| c.first));
    let tied = || candidates.iter().filter(move |c| c.first >= first - TIE);
    let second = top(&mut tied().map(|c| c.second));
    tied().filter(|c| c.second >= second - TIE).map(|c| c.quorum).max_by_key(|q| precedence(*q))
}

/// Of two quorums of one size the one that comes first in lexicographic order of positions has the greater precedence.
fn precedence(quorum: Quorum) -> u128 {
    quorum.bits().reverse_bits()
}

/// C(n, f), or more than any limit where that overflows.
pub(crate) fn count(n: usize, f: usize) -> u64 {
    let mut quorums: u64 = 1;
    for b in 1..=f as u64 {
        // Exact at every step: b consecutive numbers are divisible by b!.
        match quorums.checked_mul(n as u64 - b + 1) {
            Some(product) => quorums = product / b,
            None => return u64::MAX,
        }
    }
    quorums
}
