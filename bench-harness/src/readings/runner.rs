//! Plays every estimator on real readings under every lie.

use super::fitted::{self, Fitted, Model, Prior};
use super::lie::{Block, Lie, Played, lag};
use super::series::Series;
use crate::estimator::objective::OfObjective;
use crate::estimator::{Estimator, objectives};
use crate::fleet::seed;
use crate::measure::{Circumstances, Tally};
use crate::result::{Accuracy, Cell, Line, Reading, Stream};
use anyhow::Context as _;
use rand::RngExt as _;
use rayon::prelude::*;
use std::sync::Arc;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Seed of who lies when.
    pub seed: u64,
    /// Rounds that are judged for each stream, at most: whole blocks, spread evenly over the second half.
    pub rounds: usize,
}

/// Rounds of a block, in which the liars stay the same and at whose beginning every estimator starts anew.
pub const BLOCK: usize = 144;
/// Rounds judged in a full run.
pub const ROUNDS_FULL: usize = 14 * BLOCK;
/// Rounds judged in a short run.
pub const ROUNDS_QUICK: usize = 2 * BLOCK;
/// Rounds of a gap that estimators are moved over, at most: beyond, a following prior knows nothing any more.
const GAP_MAX: i64 = 200;

/// Which model of which stream.
#[derive(Clone, Copy, Debug)]
struct Way {
    at: usize,
    model: Model,
    prior: Prior,
}

/// A stream with all that its cells need.
struct Prepared<'a> {
    series: &'a Series,
    blocks: Vec<Block>,
    sd: f64,
    lag: i64,
    seed: u64,
}

/// How many pieces of work [`measure`] tells of.
#[must_use]
pub fn steps(series: &[Series]) -> usize {
    series.len() * Model::ALL.len() * Prior::ALL.len() * (1 + Lie::ALL.len())
}

/// The lines of all streams; `step` is told of each piece of work that is done.
///
/// # Errors
/// A model that cannot be fitted, or a round that the engine refuses.
pub fn measure(series: &[Series], options: &Options, step: &(dyn Fn() + Sync)) -> anyhow::Result<Vec<Line>> {
    let prepared = series.iter().map(|s| Prepared::new(s, options)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut wanted = Vec::new();
    for at in 0..series.len() {
        wanted.extend(
            Model::ALL.into_iter().flat_map(|model| Prior::ALL.map(|prior| Way { at, model, prior })),
        );
    }
    let fitted: Vec<(Way, Fitted)> = wanted
        .into_par_iter()
        .map(|way| {
            let series = &series[way.at];
            let fitted = fitted::fit(series, way.model, way.prior).with_context(|| series.name.clone())?;
            step();
            Ok((way, fitted))
        })
        .collect::<anyhow::Result<_>>()?;
    let cells: Vec<_> = fitted.iter().flat_map(|way| Lie::ALL.map(|lie| (way, lie))).collect();
    let measured = cells
        .into_par_iter()
        .map(|((way, fitted), lie)| {
            let lines = prepared[way.at].cell(*way, fitted, lie);
            step();
            lines.with_context(|| format!("{} {}", series[way.at].name, lie.name()))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut lines: Vec<Line> = Vec::new();
    for (at, prepared) in prepared.iter().enumerate() {
        let own = |way: &Way| way.at == at && way.model == Model::Fitted;
        let follows = fitted.iter().filter(|(way, _)| own(way)).find_map(|(_, f)| f.follows);
        lines.push(Line::Stream(prepared.line(follows == Some(true))));
    }
    lines.extend(measured.into_iter().flatten().map(|reading| Line::Reading(Box::new(reading))));
    Ok(lines)
}

impl<'a> Prepared<'a> {
    fn new(series: &'a Series, options: &Options) -> anyhow::Result<Self> {
        let (first, second) = series.halves();
        let sd = Series::spread(first);
        anyhow::ensure!(
            sd > 0.0,
            "{}: found replicas that never differ, expected some disagreement",
            series.name
        );
        let n = series.replicas.len();
        let start = first.len();
        let all = second.len().div_ceil(BLOCK);
        let taken = all.min((options.rounds / BLOCK).max(1));
        let seed = seed::of(options.seed, &series.name);
        let mut blocks = Vec::new();
        for k in 0..taken {
            let at = start + k * all / taken * BLOCK;
            let rounds = at..(at + BLOCK).min(series.rounds.len());
            let mut rng = seed::generator(seed::of(seed, &format!("block {k}")));
            let mut order: Vec<usize> = (0..n).collect();
            for i in (1..n).rev() {
                order.swap(i, rng.random_range(0..=i));
            }
            let liars = &order[..series.faults()];
            let held = (0..n).map(|i| liars.contains(&i)).collect();
            let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
            blocks.push(Block { held, side, rounds });
        }
        Ok(Self { series, blocks, sd, lag: lag(series), seed })
    }

    fn cell(&self, way: Way, fitted: &Fitted, lie: Lie) -> anyhow::Result<Vec<Reading>> {
        let played: Vec<Vec<Played>> =
            self.blocks.iter().map(|b| b.play(self.series, lie, self.sd, self.lag)).collect();
        let mut readings = Vec::new();
        for objective in objectives() {
            let mut estimator = OfObjective::new(objective, Arc::clone(&fitted.told));
            readings.push(self.play(&mut estimator, &played, way, lie)?);
        }
        // Rivals are told no model, so that once is enough.
        if way.model == Model::Fitted {
            for mut rival in fitted.rivals.all() {
                readings.push(self.play(&mut rival, &played, way, lie)?);
            }
        }
        Ok(readings)
    }

    fn play(
        &self,
        estimator: &mut dyn Estimator,
        played: &[Vec<Played>],
        way: Way,
        lie: Lie,
    ) -> anyhow::Result<Reading> {
        let (n, f) = (self.series.replicas.len(), self.series.faults());
        let (mut to_honest, mut to_all) = (Tally::new(n, f, self.sd), Tally::new(n, f, self.sd));
        for (block, rounds) in self.blocks.iter().zip(played) {
            estimator.restart();
            to_honest.restart();
            to_all.restart();
            let liars = lie.liars(&block.held);
            let mut last = rounds.first().map_or(0, |round| round.number - 1);
            for round in rounds {
                for _ in 0..(round.number - last - 1).min(GAP_MAX) {
                    estimator.pass(n)?;
                }
                last = round.number;
                let Some((honest, all)) = round.means else {
                    estimator.pass(n)?;
                    continue;
                };
                let estimate = estimator.estimate(&round.reports)?;
                let mut about = Circumstances {
                    truth: honest,
                    honest_mean: None,
                    side: 0.0,
                    liars: &liars,
                    region: None,
                };
                to_honest.round(estimate.value, &estimate, &about);
                about.truth = all;
                to_all.round(estimate.value, &estimate, &about);
                estimator.commit(&estimate);
            }
        }
        let cell = self.nameless();
        let line = |tally: &Tally| tally.line(&cell, estimator.name(), self.seed);
        Ok(self.reading(way, lie, line(&to_honest), &line(&to_all)))
    }

    fn reading(&self, way: Way, lie: Lie, honest: Accuracy, all: &Accuracy) -> Reading {
        Reading {
            stream: self.series.name.clone(),
            attack: lie.name().to_owned(),
            n: honest.cell.n,
            f: honest.cell.f,
            model: way.model.name().to_owned(),
            prior: way.prior.name().to_owned(),
            estimator: honest.estimator,
            rounds: honest.rounds,
            rmse: honest.rmse_truth,
            rmse_se: honest.rmse_truth_se,
            rmse_all: all.rmse_truth,
            rmse_all_se: all.rmse_truth_se,
            coverage: honest.coverage,
            coverage_all: all.coverage,
            width: honest.width,
            liars_named: honest.liars_named,
            honest_named: honest.honest_named,
            seed: self.seed,
        }
    }

    /// A cell of the right size, for a tally that wants one.
    fn nameless(&self) -> Cell {
        Cell {
            noise: String::new(),
            attack: String::new(),
            n: self.series.replicas.len(),
            f: self.series.faults(),
            prior: String::new(),
            loss: 0.0,
            drift: String::new(),
            model: String::new(),
        }
    }

    fn line(&self, follows: bool) -> Stream {
        let rounds = || self.blocks.iter().flat_map(|b| &self.series.rounds[b.rounds.clone()]);
        let excluded = rounds().filter(|round| round.excluded).count();
        Stream {
            stream: self.series.name.clone(),
            replicas: self.series.replicas.clone(),
            f: self.series.faults(),
            step_s: self.series.step_s,
            fitted: fitted::history(self.series).len(),
            judged: rounds().count() - excluded,
            excluded,
            sd: self.sd,
            lag_s: self.lag as f64 * self.series.step_s,
            follows,
            notes: self.series.notes.clone(),
        }
    }
}
