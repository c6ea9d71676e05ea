//! How often credible intervals cover the mean of the replicas' reports.

use super::noise::{Noise, apply, pooled};
use super::{ModelFitError, Round, alone, values};
use centauri_engine::{Fleet, ModelSet, Objective, PriorSpec, ScalarBackend, Session, StreamSpec};

/// The levels at which coverage is told.
pub const LEVELS: [f64; 3] = [0.5, 0.8, 0.95];
/// Rounds that are looked at, in blocks that are spread over the history.
const ROUNDS: usize = 480;
/// Rounds of a block.
const BLOCK: usize = 40;
/// Factors that are tried first, evenly in logarithms.
const FACTORS: usize = 8;
const LN_FACTOR: (f64, f64) = (-2.4, 2.2);

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
/// # Errors
/// A model that does not compile, or rounds that do not fit it.
pub fn coverage(set: &ModelSet, spec: &StreamSpec, rounds: &[Round]) -> Result<Coverage, ModelFitError> {
    over(set, spec, &[rounds])
}

/// The coverage over blocks of rounds, each as if it were the first.
fn over(set: &ModelSet, spec: &StreamSpec, blocks: &[&[Round]]) -> Result<Coverage, ModelFitError> {
    let mut hits = [0_usize; 3];
    let mut counted = 0;
    // A following prior's distributions are kept, so that one run serves all levels.
    let follows = matches!(spec.prior, PriorSpec::Following { .. });
    for (run, level) in LEVELS.into_iter().enumerate().take(if follows { 1 } else { 3 }) {
        let spec = StreamSpec { credible: level, objective: Objective::Marginal, ..spec.clone() };
        let fleet = Fleet::compile(&alone(set, &spec))?;
        let Some(stream) = fleet.stream_id(&spec.name) else { break };
        counted = 0;
        for block in blocks {
            let mut session = Session::new(fleet.clone(), Box::new(ScalarBackend::new()));
            for round in *block {
                let Some(mean) = mean(round) else { continue };
                session.push(stream, round.number, &round.reports)?;
                let decided = session.flush()?;
                if decided.is_empty() {
                    continue;
                }
                counted += 1;
                if follows {
                    let inside = within(decided.ln_marginal(0), &spec, mean);
                    hits.iter_mut().zip(inside).for_each(|(hit, inside)| *hit += usize::from(inside));
                } else if let Some(hit) = hits.get_mut(run) {
                    *hit += usize::from(decided.decision(0).covers(mean));
                }
            }
        }
    }
    Ok(Coverage { at: hits.map(|hit| hit as f64 / counted.max(1) as f64), rounds: counted })
}

/// Blocks of neighbouring rounds, spread evenly over the history so that every time of day has its share.
fn blocks(rounds: &[Round]) -> Vec<&[Round]> {
    let count = (ROUNDS / BLOCK).min(rounds.len() / BLOCK).max(1);
    let each = rounds.len() / count;
    (0..count).filter_map(|i| rounds.get(i * each..i * each + BLOCK.min(each))).collect()
}

/// The coverage over blocks of the whole history.
pub(super) fn over_history(
    set: &ModelSet,
    spec: &StreamSpec,
    rounds: &[Round],
) -> Result<Coverage, ModelFitError> {
    over(set, spec, &blocks(rounds))
}

fn mean(round: &Round) -> Option<f64> {
    let (sum, count) = values(round).fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then_some(sum / count)
}

/// Whether `x` lies in the equal-tailed interval at each level.
fn within(ln_probability: &[f64], spec: &StreamSpec, x: f64) -> [bool; 3] {
    LEVELS.map(|level| {
        let tail = (1.0 - level) / 2.0;
        let reach = |threshold: f64| {
            let mut cdf = 0.0;
            let reached = ln_probability.iter().position(|ln| {
                cdf += ln.exp();
                cdf >= threshold - 1e-12
            });
            spec.support.point(reached.unwrap_or(ln_probability.len().saturating_sub(1)))
        };
        reach(tail) <= x && x <= reach(1.0 - tail)
    })
}

/// Noises that were tried: with the stream's own shapes or pooled, and the factor on their widths.
pub(super) struct Calibrated {
    pub(super) factor: f64,
    pub(super) coverage: Coverage,
}

/// Sets the noises under which the intervals cover the replicas' mean best on the history (the least of the worst distances
/// from a level): each replica's own or pooled ones, all widths multiplied by the same factor.
pub(super) fn calibrate(
    set: &ModelSet,
    spec: &mut StreamSpec,
    noises: &[Noise],
    factor: f64,
    rounds: &[Round],
) -> Result<Calibrated, ModelFitError> {
    let blocks = blocks(rounds);
    let mut candidates = vec![noises.to_vec()];
    candidates.extend(pooled(noises));
    let (low, high) = LN_FACTOR;
    let spacing = (high - low) / (FACTORS - 1) as f64;
    let coarse: Vec<f64> = (0..FACTORS).map(|i| low + spacing * i as f64).collect();
    let mut best: Option<(Coverage, usize, f64)> = None;
    let mut attempt = |candidate: usize, ln: f64, best: &mut Option<(Coverage, usize, f64)>| {
        if let Some(noises) = candidates.get(candidate) {
            apply(spec, noises, factor * ln.exp());
            let found = over(set, spec, &blocks)?;
            if best.as_ref().is_none_or(|(known, ..)| found.worst() < known.worst()) {
                *best = Some((found, candidate, ln));
            }
        }
        Ok::<(), ModelFitError>(())
    };
    for candidate in 0..candidates.len() {
        for ln in &coarse {
            attempt(candidate, *ln, &mut best)?;
        }
    }
    if let Some((_, candidate, at)) = best {
        for part in [-0.67, -0.33, 0.33, 0.67] {
            attempt(candidate, at + part * spacing, &mut best)?;
        }
    }
    let Some((coverage, candidate, ln)) = best else {
        return Ok(Calibrated { factor: 1.0, coverage: Coverage::default() });
    };
    if let Some(noises) = candidates.get(candidate) {
        apply(spec, noises, factor * ln.exp());
    }
    Ok(Calibrated { factor: ln.exp(), coverage })
}
