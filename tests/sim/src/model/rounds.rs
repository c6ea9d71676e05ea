//! What each round has to be decided on, and when.

use std::collections::BTreeMap;

use centauri_engine::Report;
use centauri_roles::Pacing;

use crate::{Plan, StreamPlan};

/// What became of accepted records and of rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RoundCounts {
    pub(crate) reported: u64,
    pub(crate) repeated: u64,
    pub(crate) equivocating: u64,
    pub(crate) late: u64,
    pub(crate) early: u64,
    pub(crate) decided: u64,
    pub(crate) skipped: u64,
    pub(crate) missed: u64,
    pub(crate) late_max_ns: u64,
    /// Records that came at the deadline to the nanosecond.
    pub(crate) just_in_time: u64,
}

/// A round that has to be decided now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExpectedRound {
    /// The stream's place.
    pub(crate) stream: usize,
    pub(crate) round: i64,
    pub(crate) deadline_ns: i64,
    pub(crate) reports: Vec<Report>,
}

#[derive(Debug)]
struct Stream {
    plan: StreamPlan,
    /// The round that is decided next.
    next: i64,
    /// How many rounds from the next one on are open: as many as are unfinished at a time, and those ahead.
    open: i64,
    /// The different values of each replica for each round.
    values: BTreeMap<(i64, usize), Vec<f64>>,
}

impl Stream {
    fn deadline_ns(&self, round: i64) -> i128 {
        let opens = i128::from(self.plan.epoch_ns) + i128::from(round) * i128::from(self.plan.period_ns);
        opens + i128::from(self.plan.close_after_ns)
    }
}

/// All streams of a client that has been started once.
#[derive(Debug)]
pub(crate) struct Rounds {
    streams: Vec<Stream>,
    replicas: usize,
    pacing: Pacing,
    pub(crate) counts: RoundCounts,
    /// Stream, round and place of replicas that have been convicted since this was last asked.
    pub(crate) convicted: Vec<(usize, i64, usize)>,
    /// Stream, first round and number of rounds that were left out since this was last asked.
    pub(crate) left_out: Vec<(usize, i64, u64)>,
}

impl Rounds {
    /// Of a client that starts at `now_ns`: the first round is the first that opens then or later, or that the client was told, if
    /// that is later.
    pub(crate) fn new(plan: &Plan, now_ns: i64, first_rounds: &[i64]) -> Self {
        let ahead = i64::from(plan.pacing.rounds_ahead_max);
        let stream = |(place, stream): (usize, &StreamPlan)| {
            let (period, close) = (stream.period_ns, stream.close_after_ns);
            let unfinished = ((close + period - 1) / period).max(1);
            let next = stream.round_at(now_ns - 1) + 1;
            let next = first_rounds.get(place).map_or(next, |first| next.max(*first));
            Stream { plan: stream.clone(), next, open: unfinished + ahead, values: BTreeMap::new() }
        };
        Self {
            streams: plan.streams.iter().enumerate().map(stream).collect(),
            replicas: plan.replicas,
            pacing: plan.pacing,
            counts: RoundCounts::default(),
            convicted: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Takes in a fresh record of a frame that was accepted.
    pub(crate) fn take(&mut self, now_ns: i64, number: u32, place: usize, round: i64, value: f64) {
        let at = self.streams.iter().position(|stream| stream.plan.number == number);
        let Some((at, stream)) = at.and_then(|at| Some((at, self.streams.get_mut(at)?))) else { return };
        let newest = stream.plan.round_at(now_ns).saturating_add(i64::from(self.pacing.rounds_ahead_max));
        let counts = &mut self.counts;
        if round < stream.next || i128::from(now_ns) > stream.deadline_ns(round) {
            counts.late += 1;
        } else if round > newest || round >= stream.next.saturating_add(stream.open) {
            counts.early += 1;
        } else {
            counts.just_in_time += u64::from(i128::from(now_ns) == stream.deadline_ns(round));
            let values = stream.values.entry((round, place)).or_default();
            if values.contains(&value) || values.len() > 1 {
                counts.repeated += 1;
            } else {
                values.push(value);
                if values.len() == 1 {
                    counts.reported += 1;
                } else {
                    counts.equivocating += 1;
                    self.convicted.push((at, round, place));
                }
            }
        }
    }

    /// When the next round is to be decided.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        let due = self.streams.iter().map(|stream| stream.deadline_ns(stream.next)).min();
        due.and_then(|due| i64::try_from(due).ok())
    }

    /// The rounds that a tick at `now_ns` has to decide, in their order.
    pub(crate) fn tick(&mut self, now_ns: i64) -> Vec<ExpectedRound> {
        let mut due = Vec::new();
        while let Some(expected) = self.close_one(now_ns) {
            due.push(expected);
        }
        due
    }

    fn close_one(&mut self, now_ns: i64) -> Option<ExpectedRound> {
        let (replicas, now) = (self.replicas, i128::from(now_ns));
        let first =
            (0..).zip(&self.streams).min_by_key(|(at, stream)| (stream.deadline_ns(stream.next), *at));
        let at: usize = first?.0;
        let stream = self.streams.get_mut(at)?;
        let (round, deadline) = (stream.next, stream.deadline_ns(stream.next));
        if deadline > now {
            return None;
        }
        let reports = (0..replicas).map(|place| {
            match stream.values.get(&(round, place)).map_or(&[][..], Vec::as_slice) {
                [] => Report::Missing,
                [value] => Report::Value(*value),
                _ => Report::Equivocated,
            }
        });
        let reports = reports.collect();
        stream.next += 1;
        let mut behind = 0;
        while stream.deadline_ns(stream.next + behind) <= now {
            behind += 1;
        }
        let left_out = (behind - i64::from(self.pacing.catch_up_rounds_max)).max(0);
        if left_out > 0 {
            self.left_out.push((at, stream.next, left_out.unsigned_abs()));
            stream.next += left_out;
        }
        let next = stream.next;
        stream.values.retain(|(round, _), _| *round >= next);
        let late_ns = u64::try_from(now - deadline).unwrap_or(u64::MAX);
        self.counts.decided += 1;
        self.counts.skipped += left_out.unsigned_abs();
        self.counts.missed += u64::from(late_ns > self.pacing.miss_ns.unsigned_abs());
        self.counts.late_max_ns = self.counts.late_max_ns.max(late_ns);
        Some(ExpectedRound { stream: at, round, deadline_ns: i64::try_from(deadline).ok()?, reports })
    }
}
