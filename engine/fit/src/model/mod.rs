//! Filling in what a model file leaves out, from history.

mod calibrate;
mod centre;
mod coverage;
mod evidence;
mod grid;
mod noise;
mod posterior;
mod prior;

use crate::error::FitError;
use centauri_engine::{
    Computation, Distribution, Link, ModelError, ModelSet, PriorSpec, Report, StreamSpec, Support,
};

pub use coverage::{Coverage, LEVELS, coverage};

/// A model of which parts are missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// The model; what [`Template::missing`] says to fill in may hold anything.
    pub set: ModelSet,
    /// What to fill in, for each stream of the set in its order; nothing for streams beyond its end.
    pub missing: Vec<Missing>,
}

/// The parts of a stream that are to be filled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Range and resolution.
    pub support: bool,
    /// A fixed prior or a following one.
    pub prior: bool,
    /// Each replica's bias and noise. Only `identity` needs one; for other computations nothing is filled in.
    pub noise: bool,
    /// Each replica's probability of being on time.
    pub link: bool,
}

impl Missing {
    /// Everything.
    pub const ALL: Self = Self { support: true, prior: true, noise: true, link: true };
}

/// One round of a stream's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// Its number.
    pub number: i64,
    /// A report for each replica, in the order of the model.
    pub reports: Vec<Report>,
}

/// The rounds of one stream, in ascending order of their numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The stream's name.
    pub stream: String,
    /// Its rounds.
    pub rounds: Vec<Round>,
}

/// What the width of the noises is adjusted to, after they were fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calibration {
    /// The credible intervals cover the mean of the replicas' reports as often as they say, on the history. Replicas of
    /// real sensors err together and disagree for reasons of their own; the mean of all is the one reference that a
    /// history without ground truth has.
    #[default]
    ReplicasMean,
    /// Nothing: the noises are the most likely ones if replicas err independently, and the intervals are for the
    /// ideal output. They then cover the replicas' mean more often than they say.
    Likelihood,
}

/// How a model is fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelOptions {
    /// What the width of the noises is adjusted to.
    pub calibration: Calibration,
}

/// A complete model, and how it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedModel {
    /// The model; it compiles.
    pub set: ModelSet,
    /// What was found of each stream that had something missing, in the set's order.
    pub reports: Vec<StreamReport>,
}

/// What was found of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamReport {
    /// The stream's name.
    pub stream: String,
    /// Rounds of its history.
    pub rounds: usize,
    /// Each replica, in the model's order.
    pub replicas: Vec<ReplicaReport>,
    /// What the noises' widths were multiplied by to be most likely under the engine's `marginal` model.
    pub likelihood_factor: f64,
    /// What the widths of the noises as fitted were multiplied by for [`Calibration::ReplicasMean`]; 1 without.
    pub calibration_factor: f64,
    /// Share and ratio of the wider of a noise's two widths for [`Calibration::ReplicasMean`]; no share without.
    pub wide: (f64, f64),
    /// Mean log-evidence a round of the held-back tail under the best fixed prior, where a prior was chosen.
    pub fixed_score: Option<f64>,
    /// The same under the best following prior.
    pub following_score: Option<f64>,
    /// How often the intervals cover the replicas' mean on blocks of the history, where noises were fitted.
    pub coverage: Option<Coverage>,
}

/// What was found of a replica.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaReport {
    /// Its name.
    pub replica: String,
    /// Its persistent distance from the mean of the replicas.
    pub bias: f64,
    /// Its noise as it was fitted to the residuals, before any factor; `None` where none was needed.
    pub noise: Option<Distribution>,
    /// Its values among the history's rounds.
    pub reports: usize,
    /// Its probability of being on time: `(reports + ½)/(rounds + 1)`. A lying replica may have kept silent, so
    /// that an honest one is at least as punctual as that.
    pub on_time: f64,
}

/// A history that a model cannot be fitted to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFitError {
    /// A stream of which something is missing has no history.
    #[error("stream {0:?}: found no history, expected readings to fit it to")]
    NoHistory(String),
    /// Too few rounds in which a quorum reported.
    #[error(
        "stream {stream:?}: found {found} rounds in which a quorum reported, expected at least {expected}"
    )]
    TooFewRounds {
        /// The stream's name.
        stream: String,
        /// How many there are.
        found: usize,
        /// How many are needed.
        expected: usize,
    },
    /// A round that does not fit the stream.
    #[error("stream {stream:?}, round {round}: found {found}, expected {expected}")]
    Round {
        /// The stream's name.
        stream: String,
        /// The round.
        round: i64,
        /// What is wrong with it.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A replica's residuals that no distribution fits.
    #[error("stream {stream:?}, replica {replica:?}: {error}")]
    Noise {
        /// The stream's name.
        stream: String,
        /// The replica's name.
        replica: String,
        /// Why.
        error: FitError,
    },
    /// The model cannot be compiled.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Blocks of the history over which the coverage is told.
const COVERAGE_BLOCKS: usize = 20;
/// Fewest rounds with a quorum.
const ROUNDS_MIN: usize = 50;

/// Fills in what is missing of `template` from `histories`, in which up to `faults` replicas lie at any time.
///
/// For each stream: a centre of each round that no `faults` replicas can move far (the mean of the closest
/// quorum), and from the distances to it each replica's bias and noise, by [`crate::fit_distribution`] with the
/// contamination that `faults` of the replicas amount to. The noises' common width is then the most likely one under the
/// engine's own `marginal` model; [`ModelOptions::calibration`] says whether noises of two widths take their place. The
/// step of the grid is a small part of what a quorum can resolve, its range that of the centres with a margin. The prior is
/// fixed (a histogram of the centres) or follows (with the steps between neighbouring rounds' centres, of the family and width
/// that predict best), whichever gives the last quarter of the history the larger evidence or, for
/// [`Calibration::ReplicasMean`], whichever lets the intervals hold on the last third.
///
/// # Errors
/// A stream without history or with fewer than 50 rounds in which a quorum reported; rounds out of order, with
/// the wrong number of reports or values that are not finite; replicas whose reports do not vary at all; a model
/// whose given parts do not compile.
pub fn fit_model(
    template: &Template,
    histories: &[History],
    options: &ModelOptions,
) -> Result<FittedModel, ModelFitError> {
    let mut set = template.set.clone();
    let mut reports = Vec::new();
    for (at, spec) in template.set.streams.iter().enumerate() {
        let missing = template.missing.get(at).copied().unwrap_or_default();
        if missing == Missing::default() {
            continue;
        }
        let history = histories.iter().find(|history| history.stream == spec.name);
        let history = history.ok_or_else(|| ModelFitError::NoHistory(spec.name.clone()))?;
        check(spec, history)?;
        let (fitted, report) = stream(&set, spec, missing, &history.rounds, options)?;
        if let Some(place) = set.streams.get_mut(at) {
            *place = fitted;
        }
        reports.push(report);
    }
    centauri_engine::Fleet::compile(&set)?;
    Ok(FittedModel { set, reports })
}

fn check(spec: &StreamSpec, history: &History) -> Result<(), ModelFitError> {
    let wrong = |round: i64, found: String, expected: String| {
        Err(ModelFitError::Round { stream: spec.name.clone(), round, found, expected })
    };
    let mut last = None;
    for round in &history.rounds {
        if let Some(last) = last.replace(round.number)
            && round.number <= last
        {
            return wrong(round.number, format!("it after round {last}"), "ascending rounds".to_owned());
        }
        if round.reports.len() != spec.replicas.len() {
            let expected = format!("{}, one for each replica", spec.replicas.len());
            return wrong(round.number, format!("{} reports", round.reports.len()), expected);
        }
        if let Some(value) = values(round).find(|value| !value.is_finite()) {
            return wrong(round.number, format!("{value}"), "finite values".to_owned());
        }
    }
    Ok(())
}

/// The values that were reported, without those of replicas that equivocated.
fn values(round: &Round) -> impl Iterator<Item = f64> + Clone + '_ {
    round.reports.iter().filter_map(value)
}

fn value(report: &Report) -> Option<f64> {
    match *report {
        Report::Value(value) => Some(value),
        Report::Missing | Report::Equivocated => None,
    }
}

fn stream(
    set: &ModelSet,
    spec: &StreamSpec,
    missing: Missing,
    rounds: &[Round],
    options: &ModelOptions,
) -> Result<(StreamSpec, StreamReport), ModelFitError> {
    let mut spec = spec.clone();
    let identity = spec.output.computation == Computation::Identity;
    let centres = centre::Centres::of(&spec, rounds, identity && missing.noise);
    if centres.count() < ROUNDS_MIN {
        let (found, expected) = (centres.count(), ROUNDS_MIN);
        return Err(ModelFitError::TooFewRounds { stream: spec.name.clone(), found, expected });
    }
    let noises = if identity && missing.noise { noise::fit(&spec, rounds, &centres)? } else { Vec::new() };
    let on_time = punctuality(&spec, rounds);
    if missing.link {
        spec.link = None;
        for (replica, &(_, p)) in spec.replicas.iter_mut().zip(&on_time) {
            replica.link = Some(Link::OnTime(p));
        }
    }
    if missing.support {
        spec.support = grid::support(set, &spec, &centres, &noises)?;
    }
    let mut report = StreamReport {
        stream: spec.name.clone(),
        rounds: rounds.len(),
        replicas: replicas(&spec, &centres, &noises, &on_time),
        likelihood_factor: 1.0,
        calibration_factor: 1.0,
        wide: (0.0, 1.0),
        fixed_score: None,
        following_score: None,
        coverage: None,
    };
    if !noises.is_empty() {
        report.likelihood_factor = evidence::best_factor(set, &spec, &noises, rounds)?;
        noise::apply(&mut spec, &noises, report.likelihood_factor);
    }
    let mut priors = vec![spec.prior.clone()];
    if missing.prior {
        let chosen = prior::choose(set, &spec, rounds, &centres)?;
        (report.fixed_score, report.following_score) = (Some(chosen.fixed), chosen.following);
        priors = chosen.priors;
        if let Some(prior) = priors.first() {
            spec.prior = prior.clone();
        }
    }
    if !noises.is_empty() {
        if options.calibration == Calibration::ReplicasMean {
            let found = calibrate::calibrate(set, &mut spec, &noises, &priors, rounds)?;
            report.calibration_factor = found.factor;
            report.wide = (found.shape.share, found.shape.ratio);
        }
        let blocks = coverage::blocks(rounds, COVERAGE_BLOCKS);
        report.coverage = Some(coverage::of_posteriors(set, &spec, &blocks)?);
    }
    Ok((spec, report))
}

/// The last rounds, at most so many.
fn tail(rounds: &[Round], most: usize) -> &[Round] {
    rounds.get(rounds.len().saturating_sub(most)..).unwrap_or(rounds)
}

/// How often each replica reported, and its probability of being on time.
fn punctuality(spec: &StreamSpec, rounds: &[Round]) -> Vec<(usize, f64)> {
    let reported = |at: usize| {
        let there = |round: &&Round| round.reports.get(at).is_some_and(|report| *report != Report::Missing);
        rounds.iter().filter(there).count()
    };
    (0..spec.replicas.len())
        .map(|at| (reported(at), (reported(at) as f64 + 0.5) / (rounds.len() as f64 + 1.0)))
        .collect()
}

fn replicas(
    spec: &StreamSpec,
    centres: &centre::Centres,
    noises: &[noise::Noise],
    on_time: &[(usize, f64)],
) -> Vec<ReplicaReport> {
    let replicas = spec.replicas.iter().zip(on_time).enumerate();
    replicas
        .map(|(at, (replica, &(reports, on_time)))| ReplicaReport {
            replica: replica.name.clone(),
            bias: centres.bias(at),
            noise: noises.get(at).and_then(|noise| noise.scaled(1.0)),
            reports,
            on_time,
        })
        .collect()
}

/// The stream with another prior.
fn with_prior(spec: &StreamSpec, prior: PriorSpec) -> StreamSpec {
    StreamSpec { prior, ..spec.clone() }
}

/// The middle of the support's bins is what values are rounded to.
fn round_to(support: &Support, x: f64) -> f64 {
    support.centre(support.bin(x))
}
