//! What became of every round that was due.

use super::lines::subject;
use super::plan::Plan;
use super::truth::{is_plausible, mixed};
use hdrhistogram::Histogram;
use serde::Deserialize;
use std::ops::Range;

/// One decision in so many is read whole and compared with what is true.
const SAMPLED: u64 = 64;

/// The latest that a decision is told apart from others that are late, in nanoseconds.
const LATENCY_MAX_NS: u64 = 600_000_000_000;

/// Counts decisions against the rounds that are due in a span of time. A round that never gets a decision counts as well: it is
/// missing, and every quantile is one of all that were due.
#[derive(Debug)]
pub struct Tally {
    plan: Plan,
    /// Of each phase the rounds that count.
    rounds: Vec<Range<i64>>,
    /// Rounds that count for a stream, at most.
    width: usize,
    seen: Vec<bool>,
    latency: Histogram<u64>,
    /// Rounds due in the span.
    pub due: u64,
    /// Of these, rounds with a decision.
    pub decided: u64,
    /// Further decisions on rounds that had one.
    pub duplicate: u64,
    /// Decisions that came before their deadline; 0, or a clock is wrong.
    pub early: u64,
    /// Decisions that were read whole.
    pub sampled: u64,
    /// Of these, decisions that have no room for what is true, or cannot be read.
    pub wrong: u64,
    /// Decisions on rounds that do not count: before the span and after it.
    pub outside: u64,
    /// Lines that are no decision on a stream of the run.
    pub unreadable: u64,
}

impl Tally {
    /// Expects the decisions on all rounds whose deadlines lie in `span`, in nanoseconds since the Unix epoch.
    ///
    /// # Errors
    /// Nothing that bounds of a plan allow.
    pub fn new(plan: Plan, span: &Range<i64>) -> anyhow::Result<Self> {
        let rounds: Vec<Range<i64>> = (0..plan.phases).map(|phase| plan.rounds_in(phase, span)).collect();
        let width = |rounds: &Range<i64>| usize::try_from(rounds.end - rounds.start).unwrap_or(0);
        let due =
            rounds.iter().enumerate().map(|(phase, rounds)| plan.streams_of(phase).len() * width(rounds));
        let due = due.sum::<usize>() as u64;
        let width = rounds.iter().map(width).max().unwrap_or(0);
        Ok(Self {
            plan,
            rounds,
            width,
            seen: vec![false; width * plan.streams],
            latency: Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3)?,
            due,
            decided: 0,
            duplicate: 0,
            early: 0,
            sampled: 0,
            wrong: 0,
            outside: 0,
            unreadable: 0,
        })
    }

    /// Takes a line of output that was read at `read_ns`.
    pub fn take(&mut self, line: &[u8], read_ns: i64) {
        match subject(line).filter(|(stream, _)| *stream < self.plan.streams) {
            Some((stream, round)) => self.count(stream, round, line, read_ns),
            None => self.unreadable += 1,
        }
    }

    fn count(&mut self, stream: usize, round: i64, line: &[u8], read_ns: i64) {
        let phase = self.plan.phase_of(stream);
        let rounds = self.rounds.get(phase).filter(|rounds| rounds.contains(&round));
        let place = rounds.and_then(|rounds| usize::try_from(round - rounds.start).ok());
        let seen = place.and_then(|place| self.seen.get_mut(stream * self.width + place));
        let Some(seen) = seen else {
            self.outside += 1;
            return;
        };
        if std::mem::replace(seen, true) {
            self.duplicate += 1;
            return;
        }
        self.decided += 1;
        let late_ns = read_ns - self.plan.deadline_ns(phase, round);
        self.early += u64::from(late_ns < 0);
        self.latency.saturating_record(u64::try_from(late_ns).unwrap_or(0));
        if mixed(self.plan.seed, [stream as u64, round.cast_unsigned(), 0x5a3d]).is_multiple_of(SAMPLED) {
            self.sampled += 1;
            self.wrong += u64::from(!self.is_right(stream, round, line));
        }
    }

    fn is_right(&self, stream: usize, round: i64, line: &[u8]) -> bool {
        serde_json::from_slice(line).is_ok_and(|read: Read| {
            read.status == "decided" && is_plausible(&self.plan, stream, round, read.mean, read.sd)
        })
    }

    /// Rounds that were due and have no decision.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.due - self.decided
    }

    /// From the deadline to the decision, in nanoseconds, that this share of the rounds that were due did not exceed; `None`
    /// if fewer than that were decided at all.
    #[must_use]
    pub fn quantile_ns(&self, share: f64) -> Option<u64> {
        let rank = ((share * self.due as f64).ceil() as u64).clamp(1, self.due.max(1));
        quantile(&self.latency, rank)
    }
}

/// The value of a rank, from 1 on.
pub(super) fn quantile(histogram: &Histogram<u64>, rank: u64) -> Option<u64> {
    let mut below = 0;
    histogram.iter_recorded().find_map(|step| {
        below += step.count_since_last_iteration();
        (below >= rank).then(|| step.value_iterated_to())
    })
}

/// What is looked at in a sampled decision.
#[derive(Deserialize)]
struct Read<'a> {
    status: &'a str,
    mean: f64,
    sd: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serving::truth::truth;

    const MS: i64 = 1_000_000;

    fn plan() -> Plan {
        Plan {
            streams: 200,
            replicas: 4,
            faults: 1,
            liars: 0,
            period_ns: 1_000 * MS,
            phases: 10,
            loss: 0.0,
            seed: 5,
        }
    }

    fn line(stream: usize, round: i64, mean: f64) -> Vec<u8> {
        let rest = format!("\"status\":\"decided\",\"value\":1.0,\"mean\":{mean},\"sd\":1.0}}");
        format!("{{\"stream\":\"s{stream:06}\",\"round\":{round},{rest}").into_bytes()
    }

    /// All decisions due in the span, each so long after its deadline, but for those that `has` leaves out.
    fn told(tally: &mut Tally, late_ns: i64, has: impl Fn(usize, i64) -> bool) {
        let plan = tally.plan;
        for stream in 0..plan.streams {
            let phase = plan.phase_of(stream);
            for round in tally.rounds[phase].clone().filter(|round| has(stream, *round)) {
                let mean = truth(plan.seed, stream, round);
                tally.take(&line(stream, round, mean), plan.deadline_ns(phase, round) + late_ns);
            }
        }
    }

    #[test]
    fn every_round_that_is_due_is_decided_missing_or_both_counted_and_told() {
        let span = 100_000 * MS..103_000 * MS;
        let mut tally = Tally::new(plan(), &span).unwrap();
        assert_eq!((tally.due, tally.missing()), (600, 600));
        assert_eq!(tally.quantile_ns(0.5), None, "nothing has come");
        told(&mut tally, 2 * MS, |stream, round| (stream, round % 3) != (17, 0));
        assert_eq!((tally.decided, tally.missing(), tally.duplicate, tally.early), (599, 1, 0, 0));
        let at = |share: f64| tally.quantile_ns(share).map(|ns| (ns as f64 / 2e6 * 100.0).round());
        assert_eq!(at(0.5), Some(100.0));
        assert_eq!(at(0.998), Some(100.0));
        assert_eq!(at(1.0), None, "one never came, so there is no latest");
        assert!(tally.sampled > 0);
        assert_eq!((tally.wrong, tally.unreadable, tally.outside), (0, 0, 0));
    }

    #[test]
    fn quantiles_are_those_of_sorted_latencies() {
        let span = 100_000 * MS..101_000 * MS;
        let mut tally = Tally::new(plan(), &span).unwrap();
        let plan = plan();
        for stream in 0..200 {
            let phase = plan.phase_of(stream);
            let round = tally.rounds[phase].start;
            let late = (stream as i64 + 1) * MS;
            tally.take(&line(stream, round, 0.0), plan.deadline_ns(phase, round) + late);
        }
        for (share, expected_ms) in [(0.005, 1.0), (0.5, 100.0), (0.99, 198.0), (0.999, 200.0), (1.0, 200.0)]
        {
            let found = tally.quantile_ns(share).unwrap() as f64 / 1e6;
            assert!((found / expected_ms - 1.0).abs() < 2e-3, "{share}: {found}");
        }
    }

    #[test]
    fn what_comes_twice_too_early_or_for_no_round_of_the_span_is_told() {
        let span = 100_000 * MS..101_000 * MS;
        let mut tally = Tally::new(plan(), &span).unwrap();
        told(&mut tally, 0, |_, _| true);
        told(&mut tally, 5 * MS, |stream, _| stream < 3);
        assert_eq!((tally.decided, tally.duplicate, tally.missing()), (200, 3, 0));
        assert!(tally.quantile_ns(1.0).unwrap() <= 1, "the first decision counts");
        tally.take(&line(0, 7, 0.0), 0);
        tally.take(&line(200, 99, 0.0), 0);
        tally.take(b"what?", 0);
        assert_eq!((tally.outside, tally.unreadable), (1, 2));
        let mut early = Tally::new(plan(), &span).unwrap();
        told(&mut early, -1, |stream, _| stream == 0);
        assert_eq!((early.early, early.decided), (1, 1));
    }

    #[test]
    fn wrong_decisions_are_found_among_those_sampled() {
        let span = 100_000 * MS..110_000 * MS;
        let mut tally = Tally::new(plan(), &span).unwrap();
        let plan = plan();
        for stream in 0..200 {
            let phase = plan.phase_of(stream);
            for round in tally.rounds[phase].clone() {
                let mean = truth(plan.seed, stream, round) + 30.0;
                tally.take(&line(stream, round, mean), plan.deadline_ns(phase, round));
            }
        }
        assert!(tally.sampled > 10 && tally.wrong == tally.sampled, "{} of {}", tally.wrong, tally.sampled);
    }
}
