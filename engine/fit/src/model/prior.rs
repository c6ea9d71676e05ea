//! A fixed prior or one that follows, whichever predicts better.

use super::centre::Centres;
use super::evidence::mean_evidence;
use super::{ModelFitError, Round, round_to, tail, with_prior};
use crate::bins::quantile;
use crate::distribution::{FitOptions, fit_distribution};
use crate::family::FamilyName;
use centauri_engine::{Distribution, DistributionRef, Family, ModelSet, PriorSpec, StreamSpec};

/// Rounds that priors are compared on, at the end of the history: at most so many, and at most a quarter of it.
const HELD_BACK: usize = 300;
/// What a step's width is tried multiplied by: differences of centres hold the centres' own errors too.
const FACTORS: [f64; 4] = [0.35, 0.6, 1.0, 1.5];
/// Bins of a fixed prior's histogram.
const HISTOGRAM_BINS: usize = 40;

/// The best prior of each kind, the one of the larger evidence first, and the mean log-evidence of a held-back round.
pub(super) struct Choice {
    pub(super) priors: Vec<PriorSpec>,
    pub(super) fixed: f64,
    pub(super) following: Option<f64>,
}

pub(super) fn choose(
    set: &ModelSet,
    spec: &StreamSpec,
    rounds: &[Round],
    centres: &Centres,
) -> Result<Choice, ModelFitError> {
    let held = tail(rounds, HELD_BACK.min(rounds.len() / 4));
    let fixed = histogram(spec, &centres.sorted()).map_or(PriorSpec::Uniform, |d| PriorSpec::Fixed(d.into()));
    let fixed_score = mean_evidence(set, &with_prior(spec, fixed.clone()), held)?;
    let mut best: Option<(f64, PriorSpec)> = None;
    for step in steps(&centres.steps(rounds)) {
        let initial = match &fixed {
            PriorSpec::Fixed(initial) => Some(initial.clone()),
            _ => None,
        };
        let prior = PriorSpec::Following { step: DistributionRef::Inline(step), initial, leak: LEAK };
        let score = mean_evidence(set, &with_prior(spec, prior.clone()), held)?;
        if best.as_ref().is_none_or(|(least, _)| score > *least) {
            best = Some((score, prior));
        }
    }
    let following = best.as_ref().map(|(score, _)| *score);
    let mut priors = vec![fixed];
    priors.extend(best.map(|(_, prior)| prior));
    if following.is_some_and(|score| score > fixed_score) {
        priors.reverse();
    }
    Ok(Choice { priors, fixed: fixed_score, following })
}

/// Share that is spread evenly after each move: a real stream jumps more often than the default says.
const LEAK: f64 = 1e-4;

/// The centres in even bins over the support, each bin with half a round more than it has so that nothing is impossible.
fn histogram(spec: &StreamSpec, sorted: &[f64]) -> Option<Distribution> {
    let support = &spec.support;
    let half = support.step() / 2.0;
    let (low, high) = (support.min() - half, support.point(support.points() - 1) + half);
    let bins = HISTOGRAM_BINS.min(support.points());
    let edges: Vec<f64> = (0..=bins).map(|i| low + (high - low) * i as f64 / bins as f64).collect();
    let below = |edge: f64| sorted.partition_point(|&x| round_to(support, x) < edge) as f64;
    let counts = edges.windows(2).map(|pair| match pair {
        [from, to] => below(*to) - below(*from) + 0.5,
        _ => 0.0,
    });
    let counts = counts.collect();
    Distribution::new(Family::Empirical { edges, counts }, 0.0).ok()
}

/// Steps to try: the families that moves may have, at several widths.
fn steps(moves: &[f64]) -> Vec<Distribution> {
    let mut steps = Vec::new();
    for factor in FACTORS {
        steps.extend(
            families(moves, factor).into_iter().filter_map(|family| Distribution::new(family, 0.0).ok()),
        );
    }
    steps
}

fn families(moves: &[f64], factor: f64) -> Vec<Family> {
    if moves.is_empty() {
        return Vec::new();
    }
    let size = moves.iter().map(|x| x.abs()).sum::<f64>() / moves.len() as f64;
    let scale = size * factor;
    if scale <= 0.0 {
        return Vec::new();
    }
    let mut families = vec![Family::Laplace { mean: 0.0, scale }];
    let options = FitOptions { contamination: 0.0, family: Some(FamilyName::StudentT) };
    if let Ok(fitted) = fit_distribution(moves, &options)
        && let Family::StudentT { df, scale, .. } = *fitted.distribution.family()
    {
        families.push(Family::StudentT { df, mean: 0.0, scale: scale * factor });
    }
    let sd = (quantile(moves, 0.8413) - quantile(moves, 0.1587)) / 2.0 * factor;
    families.push(Family::Normal { mean: 0.0, sd });
    let wide = (quantile(moves, 0.99) - quantile(moves, 0.01)) / 3.0 * factor;
    let normal = |sd: f64| Distribution::normal(0.0, sd);
    if let (Ok(narrow), Ok(wide)) = (normal(sd), normal(wide)) {
        families.push(Family::Mixture { weights: vec![0.85, 0.15], components: vec![narrow, wide] });
    }
    families
}
