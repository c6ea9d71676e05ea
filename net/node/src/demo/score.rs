//! How good the decisions were, beside what is made of the same reports without thinking.

use super::cluster::MISS;
use super::engine::Round;
use centauri_engine::{Report, Status};

/// A replica whose average probability of being honest lies below this is named as a liar.
pub(super) const HONEST_MIN: f64 = 0.5;
/// So is one that reported in a smaller share of the rounds.
pub(super) const REPORTED_MIN: f64 = 0.5;

/// The plain mean and the median of what was reported; `None` where nothing was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plain {
    pub(super) mean: f64,
    pub(super) median: f64,
}

impl Plain {
    pub(super) fn of(reports: &[Report]) -> Option<Self> {
        let value = |report: &Report| match report {
            Report::Value(value) => Some(*value),
            Report::Missing | Report::Equivocated => None,
        };
        let mut values: Vec<f64> = reports.iter().filter_map(value).collect();
        values.sort_unstable_by(f64::total_cmp);
        let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Some(Self { mean, median: low / 2.0 + high / 2.0 })
    }
}

/// What is known of one replica.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Standing {
    honest: f64,
    judged: u32,
    pub(super) reported: u32,
    pub(super) equivocated: u32,
}

impl Standing {
    /// The average probability of being honest; 1 where it was never judged.
    pub(super) fn honest(&self) -> f64 {
        if self.judged == 0 { 1.0 } else { self.honest / f64::from(self.judged) }
    }
}

/// Sums over the rounds of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Score {
    pub(super) decided: u32,
    pub(super) no_quorum: u32,
    pub(super) kept: u32,
    pub(super) latest_ns: i64,
    pub(super) unscored_early: u32,
    pub(super) without_truth: u32,
    pub(super) without_reports: u32,
    pub(super) scored: u32,
    /// Sums of squared errors: of the decisions, the plain means, the medians.
    squares: [f64; 3],
    /// Half a step of the support.
    half_step: f64,
    pub(super) covered: u32,
    pub(super) standings: Vec<Standing>,
}

impl Score {
    pub(super) fn new(replicas: usize, step: f64) -> Self {
        Self {
            decided: 0,
            no_quorum: 0,
            kept: 0,
            latest_ns: 0,
            unscored_early: 0,
            without_truth: 0,
            without_reports: 0,
            scored: 0,
            squares: [0.0; 3],
            half_step: step / 2.0,
            covered: 0,
            standings: vec![Standing::default(); replicas],
        }
    }

    /// Takes in a round, with its ideal output where there is one. A round counts for the errors when everybody was subscribed
    /// before it began, a reading was made in it, and a report came, so that all three have something to say.
    pub(super) fn add(&mut self, round: &Round, truth: Option<f64>, subscribed: bool) {
        self.decided += 1;
        self.no_quorum += u32::from(round.decision.status == Status::NoQuorum);
        self.kept += u32::from(u128::try_from(round.late_ns).unwrap_or(0) <= MISS.as_nanos());
        self.latest_ns = self.latest_ns.max(round.late_ns);
        if !subscribed {
            self.unscored_early += 1;
            return;
        }
        // Where no reading was made an honest replica has nothing to report.
        let Some(truth) = truth else {
            self.without_truth += 1;
            return;
        };
        self.judge(round);
        let Some(plain) = Plain::of(&round.reports) else {
            self.without_reports += 1;
            return;
        };
        self.scored += 1;
        for (square, value) in self.squares.iter_mut().zip([round.decision.value, plain.mean, plain.median]) {
            *square += (value - truth).powi(2);
        }
        let half = self.half_step;
        // A grid point stands for its bin: the true value lies in the interval if its bin does.
        self.covered += u32::from(round.decision.low - half <= truth && truth <= round.decision.high + half);
    }

    fn judge(&mut self, round: &Round) {
        for (at, (standing, report)) in self.standings.iter_mut().zip(&round.reports).enumerate() {
            standing.reported += u32::from(*report != Report::Missing);
            standing.equivocated += u32::from(*report == Report::Equivocated);
            if let Some(honest) = round.honest.as_ref().and_then(|honest| honest.get(at)) {
                standing.honest += honest;
                standing.judged += 1;
            }
        }
    }

    /// Root mean square errors of the decisions, the plain means and the medians.
    pub(super) fn errors(&self) -> Option<[f64; 3]> {
        (self.scored > 0).then(|| self.squares.map(|square| (square / f64::from(self.scored)).sqrt()))
    }

    fn rounds_judged(&self) -> u32 {
        self.scored + self.without_reports
    }

    /// The places of the replicas to be named, the least credible first, at most `faults`.
    pub(super) fn named(&self, faults: usize) -> Vec<usize> {
        let is_suspect = |standing: &Standing| {
            let few = f64::from(standing.reported) < REPORTED_MIN * f64::from(self.rounds_judged());
            standing.honest() < HONEST_MIN || few
        };
        let suspects = self.standings.iter().enumerate().filter(|(_, standing)| is_suspect(standing));
        let mut suspects: Vec<(usize, &Standing)> = suspects.collect();
        suspects.sort_by(|(_, a), (_, b)| a.honest().total_cmp(&b.honest()));
        suspects.into_iter().map(|(place, _)| place).take(faults).collect()
    }
}
