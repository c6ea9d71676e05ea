//! How often credible intervals cover the mean of the replicas' reports.

use super::posterior::Posterior;
use super::{ModelFitError, Round, values};
use centauri_engine::{ModelError, ModelSet, StreamSpec, Support};

/// The levels at which coverage is told.
pub const LEVELS: [f64; 3] = [0.5, 0.8, 0.95];
/// Rounds of a block.
const BLOCK: usize = 40;

/// Shares of rounds whose credible interval holds the mean of the replicas' reports.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coverage {
    /// At each of [`LEVELS`].
    pub at: [f64; 3],
    /// The rounds that were counted: those with a report.
    pub rounds: usize,
}

impl Coverage {
    /// The largest distance of a share from its level.
    #[must_use]
    pub fn worst(&self) -> f64 {
        self.at.iter().zip(LEVELS).map(|(share, level)| (share - level).abs()).fold(0.0, f64::max)
    }
}

/// The coverage of the stream's credible intervals under the `marginal` objective, over `rounds`.
///
/// The posterior is computed in plain float64 for speed; it is the engine's to 1e-6.
///
/// # Errors
/// A model that does not compile.
pub fn coverage(set: &ModelSet, spec: &StreamSpec, rounds: &[Round]) -> Result<Coverage, ModelFitError> {
    Ok(of_posteriors(set, spec, &[rounds])?)
}

/// At most `count` blocks of neighbouring rounds, spread evenly over the history so that every time of day has its share.
pub(super) fn blocks(rounds: &[Round], count: usize) -> Vec<&[Round]> {
    let count = count.min(rounds.len() / BLOCK).max(1);
    let each = rounds.len() / count;
    (0..count).filter_map(|i| rounds.get(i * each..i * each + BLOCK.min(each))).collect()
}

/// The coverage over blocks, each as if it were the first, by [`Posterior`].
pub(super) fn of_posteriors(
    set: &ModelSet,
    spec: &StreamSpec,
    blocks: &[&[Round]],
) -> Result<Coverage, ModelError> {
    let mut posterior = Posterior::new(set, spec)?;
    let mut hits = [0_usize; 3];
    let mut counted = 0;
    for block in blocks {
        posterior.follow(block, |round, _, masses| {
            let Some(mean) = mean(round) else { return };
            counted += 1;
            let inside = within(masses, &spec.support, mean);
            hits.iter_mut().zip(inside).for_each(|(hit, inside)| *hit += usize::from(inside));
        });
    }
    Ok(Coverage { at: hits.map(|hit| hit as f64 / f64::from(counted.max(1))), rounds: counted as usize })
}

fn mean(round: &Round) -> Option<f64> {
    let (sum, count) = values(round).fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then_some(sum / count)
}

/// Whether `x` lies in the equal-tailed interval at each level.
fn within(masses: &[f64], support: &Support, x: f64) -> [bool; 3] {
    let last = support.points() - 1;
    LEVELS.map(|level| {
        let tail = (1.0 - level) / 2.0;
        let reach = |threshold: f64| {
            let mut cdf = 0.0;
            let reached = masses.iter().position(|mass| {
                cdf += mass;
                cdf >= threshold - 1e-12
            });
            support.point(reached.unwrap_or(last))
        };
        reach(tail) <= x && x <= reach(1.0 - tail)
    })
}
