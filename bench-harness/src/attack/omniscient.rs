//! The liar who knows the truth, all honest reports and the estimator.

use crate::estimator::{Estimate, Estimator};
use centauri_engine::Report;

/// Values that all liars try together, in sd of noise from the truth, on both sides.
const TOGETHER: [f64; 10] = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 8.0];
/// Moves that one group of liars tries on its own from the best found, in sd of noise.
const MOVES: [f64; 6] = [-1.0, 1.0, -0.5, 0.5, -0.2, 0.2];
/// Liars move in at most so many groups.
const GROUPS_MAX: usize = 3;

/// What the search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The reports, the liars' among them.
    pub reports: Vec<Report>,
    /// The estimate that they bring about.
    pub estimate: Estimate,
}

/// Searches the reports of the `liars` that put the estimate of `estimator` farthest from `truth`, the honest `reports` being
/// given; `unit` is the noise's sd.
///
/// First all liars say the same: each of a grid of values, or nothing. From the best of these, groups of liars move on
/// their own, or fall silent, as long as one pass over the groups finds a larger error, and at most twice. The search tries at
/// most 64 reports, so it gives a lower bound on what such a liar can do.
///
/// # Errors
/// What the estimator says of a round.
pub fn search(
    estimator: &mut dyn Estimator,
    judged: impl Fn(&Estimate) -> f64,
    reports: &[Report],
    liars: &[bool],
    truth: f64,
    unit: f64,
) -> anyhow::Result<Found> {
    let positions: Vec<usize> = (0..reports.len()).filter(|&i| liars[i]).collect();
    let groups = positions.len().min(GROUPS_MAX);
    let mut search = Search { estimator, judged: &judged, reports, positions: &positions, truth, unit };
    let mut best = search.tried(&vec![None; groups])?;
    for size in TOGETHER {
        for side in [1.0, -1.0] {
            let next = search.tried(&vec![Some(side * size); groups])?;
            best.replace_if_better(next);
        }
    }
    for _ in 0..2 {
        let before = best.error;
        for g in 0..groups {
            let from = best.lies.clone();
            let centre = from[g].unwrap_or(0.0);
            let moves = MOVES.iter().map(|m| Some(centre + m));
            for lie in moves.chain([Some(-centre), None]) {
                let mut lies = from.clone();
                lies[g] = lie;
                let next = search.tried(&lies)?;
                best.replace_if_better(next);
            }
        }
        if best.error <= before || groups < 2 {
            break;
        }
    }
    Ok(best.found)
}

struct Search<'a> {
    estimator: &'a mut dyn Estimator,
    judged: &'a dyn Fn(&Estimate) -> f64,
    reports: &'a [Report],
    positions: &'a [usize],
    truth: f64,
    unit: f64,
}

struct Tried {
    error: f64,
    lies: Vec<Option<f64>>,
    found: Found,
}

impl Tried {
    fn replace_if_better(&mut self, next: Self) {
        if next.error > self.error {
            *self = next;
        }
    }
}

impl Search<'_> {
    /// Each group's lie in sd from the truth, or nothing.
    fn tried(&mut self, lies: &[Option<f64>]) -> anyhow::Result<Tried> {
        let mut reports = self.reports.to_vec();
        for (k, &i) in self.positions.iter().enumerate() {
            reports[i] = match lies[k % lies.len().max(1)] {
                Some(sds) => Report::Value(self.truth + sds * self.unit),
                None => Report::Missing,
            };
        }
        let estimate = self.estimator.estimate(&reports)?;
        let error = ((self.judged)(&estimate) - self.truth).abs();
        Ok(Tried { error, lies: lies.to_vec(), found: Found { reports, estimate } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimator::mean::Mean;
    use crate::estimator::median::Median;
    use crate::estimator::shrunk::{Belief, Shrunk};
    use crate::estimator::{Context, Rule};

    fn found(rule: Box<dyn Rule>) -> f64 {
        let values = [0.0, 0.4, -0.3, 0.9, -1.2];
        let mut reports: Vec<Report> = values.iter().map(|&v| Report::Value(v)).collect();
        reports.extend([Report::Missing; 2]);
        let liars = [false, false, false, false, false, true, true];
        let context = Context { f: 2, noise_sd: 1.0 };
        let mut estimator = Shrunk::new(rule, context, Belief::Nothing { centre: 0.0 }, 0.0);
        let found = search(&mut estimator, |e| e.value, &reports, &liars, 0.0, 1.0).unwrap();
        assert_eq!(found.reports[..5], reports[..5]);
        found.estimate.value
    }

    #[test]
    fn the_mean_is_pushed_to_the_end_of_the_grid_and_beyond() {
        assert!(found(Box::new(Mean)).abs() >= (16.0 - 0.2) / 7.0);
    }

    #[test]
    fn the_median_cannot_be_pushed_past_the_honest() {
        // With both liars above, the fourth of seven is 0.4; below, −0.3.
        assert_eq!(found(Box::new(Median)), 0.4);
    }
}
