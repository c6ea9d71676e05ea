//! Models of real readings, learned from their first half, and what rivals learn from it.

use super::series::{Measured, Series};
use crate::estimator::shrunk::{Belief, Shrunk};
use crate::estimator::{Context, Estimator as _, rivals};
use crate::fleet::model::Told;
use centauri_engine::{Computation, Distribution, ModelSet, OutputSpec, PriorSpec, Report, StreamSpec};
use centauri_fit::{History, Missing, ModelOptions, Round, Template, fit_model};
use std::sync::Arc;

/// What is known of a stream before a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prior {
    /// Nothing: uniform on the support.
    None,
    /// The round before, moved on.
    Following,
}

impl Prior {
    /// Both.
    pub const ALL: [Self; 2] = [Self::None, Self::Following];

    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Following => "following",
        }
    }
}

/// How our objectives' model says that replicas err.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Each replica with a bias and a noise of its own, of the family and width that fit it. The ideal output is what the replicas
    /// have in common beneath these: a biased or noisy replica counts less.
    Fitted,
    /// All replicas with one normal noise, as wide as their distances to their mean. The ideal output is then the mean of the honest.
    Alike,
}

impl Model {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Fitted, Self::Alike];

    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fitted => "fitted",
            Self::Alike => "alike",
        }
    }
}

/// Most rounds of the first half that models are fitted to: its last ones.
pub const HISTORY_MAX: usize = 4_000;
/// Share of a following prior that is spread evenly after each move, where the fit chose a fixed prior and so none: a real stream
/// jumps.
const LEAK: f64 = 1e-4;

/// A fitted model.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Compiled.
    pub told: Arc<Told>,
    /// Whether the fit chose a following prior itself; none without one.
    pub follows: Option<bool>,
    /// What rivals learned from the same history.
    pub rivals: Rivals,
}

/// A round's reports if nobody lies.
#[must_use]
pub fn reports(round: &Measured) -> Vec<Report> {
    round.values.iter().map(|v| v.map_or(Report::Missing, Report::Value)).collect()
}

/// The first half's rounds that are fitted to, last ones first cut.
#[must_use]
pub fn history(series: &Series) -> Vec<&Measured> {
    let usable: Vec<&Measured> = series.halves().0.iter().filter(|round| !round.excluded).collect();
    usable[usable.len().saturating_sub(HISTORY_MAX)..].to_vec()
}

/// Fits a model to the first half of `series` by `centauri-fit`.
///
/// With [`Prior::Following`] the fit chooses the prior; if it chooses a fixed one, its step is taken from the moves of the mean of all
/// replicas instead, as a Laplace distribution of their mean size.
///
/// # Errors
/// A history that no model can be fitted to.
pub fn fit(series: &Series, model: Model, prior: Prior) -> anyhow::Result<Fitted> {
    let rounds: Vec<Round> = history(series)
        .into_iter()
        .map(|round| Round { number: round.number, reports: reports(round) })
        .collect();
    let histories = [History { stream: series.name.clone(), rounds }];
    let mut spec = StreamSpec::builder(series.name.clone(), series.replicas.iter().cloned())
        .faults(series.faults())
        .output(output(series, model)?)
        .build();
    let missing = Missing { noise: model == Model::Fitted, ..Missing::ALL };
    let wanted = Missing { prior: prior == Prior::Following, ..missing };
    let mut fitted = fitted_spec(&spec, wanted, &histories)?;
    let mut follows = None;
    if prior == Prior::Following {
        let chosen = matches!(fitted.prior, PriorSpec::Following { .. });
        follows = Some(chosen);
        if !chosen {
            let step = Distribution::laplace(0.0, mean_move(series).max(fitted.support.step() / 4.0))?;
            let initial = if let PriorSpec::Fixed(initial) = fitted.prior { Some(initial) } else { None };
            spec.prior = PriorSpec::Following { step: step.into(), initial, leak: LEAK };
            fitted = fitted_spec(&spec, Missing { prior: false, ..missing }, &histories)?;
        }
    }
    let centre = fitted.support.point(fitted.support.points() / 2);
    let rivals = Rivals::learn(series, prior, centre, Series::spread(series.halves().0));
    Ok(Fitted { told: Arc::new(Told::of_stream(fitted)?), follows, rivals })
}

fn output(series: &Series, model: Model) -> anyhow::Result<OutputSpec> {
    let output = OutputSpec::new(Computation::Identity);
    if model == Model::Fitted {
        return Ok(output);
    }
    // The distances to the mean of n are narrower than the errors by √((n − 1)/n).
    let n = series.replicas.len() as f64;
    let sd = Series::spread(series.halves().0) * (n / (n - 1.0)).sqrt();
    Ok(OutputSpec { noise: Some(Distribution::normal(0.0, sd)?.into()), ..output })
}

fn fitted_spec(spec: &StreamSpec, missing: Missing, histories: &[History]) -> anyhow::Result<StreamSpec> {
    let template = Template {
        set: ModelSet { streams: vec![spec.clone()], ..ModelSet::default() },
        missing: vec![missing],
    };
    let fitted = fit_model(&template, histories, &ModelOptions::default())?;
    fitted
        .set
        .streams
        .into_iter()
        .next()
        .ok_or_else(|| anyhow::anyhow!("found no stream, expected the one given"))
}

/// Means of all replicas in neighbouring rounds of the history, in pairs.
fn moves(series: &Series) -> Vec<(f64, f64)> {
    let history = history(series);
    let pair = |pair: &[&Measured]| {
        let neighbours = pair[1].number == pair[0].number + 1;
        pair[0].mean(|_| true).zip(pair[1].mean(|_| true)).filter(|_| neighbours)
    };
    history.windows(2).filter_map(pair).collect()
}

fn mean_move(series: &Series) -> f64 {
    let moves = moves(series);
    moves.iter().map(|(a, b)| (b - a).abs()).sum::<f64>() / moves.len().max(1) as f64
}

/// Ratios of a rival's squared error to the squared step that are tried.
const RATIOS: [f64; 10] = [0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// What rivals are told of a stream.
#[derive(Clone, Debug)]
pub struct Rivals {
    context: Context,
    belief: Belief,
    squared_errors: Vec<f64>,
}

impl Rivals {
    /// Told `prior`, they are shrunk towards their last estimate with the weight that is best without faults, on the first half,
    /// for the distance to the mean of all. (The mean's own best weight is therefore 1.) `centre` is what they say before they
    /// heard anything, `sd` what they take for a replica's error.
    #[must_use]
    pub fn learn(series: &Series, prior: Prior, centre: f64, sd: f64) -> Self {
        let context = Context { f: series.faults(), noise_sd: sd };
        let count = rivals().len();
        if prior == Prior::None {
            return Self { context, belief: Belief::Nothing { centre }, squared_errors: vec![0.0; count] };
        }
        let moves = moves(series);
        let square = moves.iter().map(|(a, b)| (b - a).powi(2)).sum::<f64>() / moves.len().max(1) as f64;
        let means: Vec<f64> = history(series).iter().filter_map(|round| round.mean(|_| true)).collect();
        let mean = means.iter().sum::<f64>() / means.len().max(1) as f64;
        let variance = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / means.len().max(1) as f64;
        let belief = Belief::Following { mean, sd: variance.sqrt(), step: square.sqrt() };
        let best = |which: usize| {
            let error = |ratio: f64| {
                let rule = rivals().swap_remove(which);
                squared_error(series, Shrunk::new(rule, context, belief, ratio * square))
            };
            let errors = RATIOS.iter().map(|&ratio| (error(ratio), ratio));
            errors.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0.0, |(_, ratio)| ratio * square)
        };
        Self { context, belief, squared_errors: (0..count).map(best).collect() }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Shrunk> {
        let rules = rivals().into_iter().zip(&self.squared_errors);
        rules.map(|(rule, &error)| Shrunk::new(rule, self.context, self.belief, error)).collect()
    }
}

/// Mean squared distance to the mean of all over the history, nobody lying.
fn squared_error(series: &Series, mut rival: Shrunk) -> f64 {
    let (mut sum, mut count) = (0.0, 0usize);
    for round in history(series) {
        let Some(mean) = round.mean(|_| true) else { continue };
        // A rival refuses nothing.
        let Ok(estimate) = rival.estimate(&reports(round)) else { continue };
        sum += (estimate.value - mean).powi(2);
        count += 1;
        rival.commit(&estimate);
    }
    sum / count.max(1) as f64
}
