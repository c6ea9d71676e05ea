//! Chooses routes by every rule, under every lie, and counts.

use super::Options;
use super::data::{Routes, Sample};
use super::lie::{Knowledge, Lie};
use super::model::{Learned, MESSAGES};
use crate::estimator::objective::OfObjective;
use crate::estimator::shrunk::{Belief, Shrunk};
use crate::estimator::{Context, Estimator, Rule, mean::Mean, median::Median, objectives};
use crate::fleet::model::Told;
use crate::fleet::seed;
use crate::result::Route;
use centauri_engine::Report;
use rand::RngExt as _;
use rayon::prelude::*;
use std::sync::Arc;

/// Batches of neighbouring rounds for standard errors.
const BATCHES: usize = 20;
const DAY_S: f64 = 86_400.0;

/// Evaluates every rule under every lie: our objectives without and with a following prior; the mean, the median and the last report
/// that came; and always the route that was the faster one on average in the first half. Each is asked twice: for the faster route,
/// and, so that the matter is even, with the first route counted as longer by the median difference of the first half.
///
/// # Errors
/// Too few readings, or what the engine refuses.
pub fn evaluate(routes: &Routes, options: &Options) -> anyhow::Result<Vec<Route>> {
    anyhow::ensure!(
        options.faults < options.replicas,
        "found {} faults, expected fewer than the {} replicas",
        options.faults,
        options.replicas
    );
    let learned = Learned::from(routes.halves().0)?;
    let told = |follows: bool| -> anyhow::Result<[Arc<Told>; 2]> {
        Ok([
            Arc::new(learned.told(0, follows, routes, options)?),
            Arc::new(learned.told(1, follows, routes, options)?),
        ])
    };
    let models = [("none", told(false)?), ("following", told(true)?)];
    let of_lies = Lie::ALL
        .into_par_iter()
        .map(|lie| {
            Evaluation { scene: Scene { routes, options, learned: &learned, lie }, models: &models }.run()
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(of_lies.into_iter().flatten().collect())
}

/// Estimates both routes' times.
enum Chooser {
    /// One estimator for each route.
    Estimators([Box<dyn Estimator>; 2]),
    /// The report that came last.
    Last,
    /// The times of the first half's average, whatever is reported.
    Always([f64; 2]),
}

/// What each replica reports in a round.
pub(super) struct Heard {
    /// For each route, each replica's report.
    pub(super) reports: [Vec<Report>; 2],
    /// The report that came last, if any came.
    last: Option<[f64; 2]>,
}

/// One choice: the estimates, the truth, and when.
struct Outcome {
    place: usize,
    estimate: [f64; 2],
    truth: [f64; 2],
}

/// What is heard of two routes under a lie.
pub(super) struct Scene<'a> {
    pub(super) routes: &'a Routes,
    pub(super) options: &'a Options,
    pub(super) learned: &'a Learned,
    pub(super) lie: Lie,
}

/// What differs from one repeat to the next.
pub(super) struct Drawn {
    /// The replicas that lie.
    pub(super) liars: Vec<usize>,
    /// For each replica, after how many seconds it hears of each measurement.
    pub(super) delays: Vec<Vec<f64>>,
}

impl Scene<'_> {
    /// Draws delays and liars: the same whatever the lie.
    pub(super) fn drawn(&self, repeat: usize) -> Drawn {
        let (samples, start) = (&self.routes.samples, self.routes.halves().0.len());
        let name = format!("{} repeat {repeat}", self.routes.choice);
        let mut rng = seed::generator(seed::of(self.options.seed, &name));
        let n = self.options.replicas;
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, rng.random_range(0..=i));
        }
        let liars = if self.lie == Lie::None { Vec::new() } else { order[..self.options.faults].to_vec() };
        let real: Vec<f64> = samples[start..].iter().map(|s| s.delay_s).collect();
        let delays =
            (0..n).map(|_| samples.iter().map(|_| real[rng.random_range(0..real.len())]).collect()).collect();
        Drawn { liars, delays }
    }

    /// What is reported in each round of the second half.
    pub(super) fn heard(&self, drawn: &Drawn) -> Vec<Heard> {
        let (samples, start) = (&self.routes.samples, self.routes.halves().0.len());
        let Drawn { liars, delays } = drawn;
        let n = self.options.replicas;
        let mut first: Vec<Option<[f64; 2]>> = vec![None; n];
        let mut rounds = Vec::new();
        for place in start..samples.len() {
            let mut heard = Heard { reports: [Vec::new(), Vec::new()], last: None };
            let mut latest = f64::NEG_INFINITY;
            for i in 0..n {
                let newest = newest(samples, &delays[i], place);
                let mut report = newest.map(|(times, _)| times);
                if let (Some(own), true) = (report, liars.contains(&i)) {
                    let first = *first[i].get_or_insert(own);
                    report = self.lie.told(&self.knowledge(place, own, first));
                }
                if let (Some((_, arrived)), Some(report)) = (newest, report)
                    && arrived > latest
                {
                    (latest, heard.last) = (arrived, Some(report));
                }
                for (route, reports) in heard.reports.iter_mut().enumerate() {
                    reports.push(report.map_or(Report::Missing, |times| Report::Value(times[route])));
                }
            }
            rounds.push(heard);
        }
        rounds
    }

    fn knowledge(&self, place: usize, own: [f64; 2], first: [f64; 2]) -> Knowledge {
        let samples = &self.routes.samples;
        let now = samples[place].at_s;
        let past = samples[..place].iter().rev().find(|s| s.at_s <= now - DAY_S && both(s).is_some());
        Knowledge {
            own,
            truth: both(&samples[place]).unwrap_or(own),
            first,
            yesterday: past.and_then(both),
            sd: self.learned.report_sd,
        }
    }
}

struct Evaluation<'a> {
    scene: Scene<'a>,
    models: &'a [(&'static str, [Arc<Told>; 2]); 2],
}

impl Evaluation<'_> {
    fn run(&self) -> anyhow::Result<Vec<Route>> {
        let mut choosers = self.choosers();
        let mut outcomes: Vec<Vec<Outcome>> = choosers.iter().map(|_| Vec::new()).collect();
        for repeat in 0..self.scene.options.repeats {
            let heard = self.scene.heard(&self.scene.drawn(repeat));
            for ((_, _, chooser), outcomes) in choosers.iter_mut().zip(&mut outcomes) {
                self.play(chooser, &heard, outcomes)?;
            }
        }
        let mut lines = Vec::new();
        for ((name, prior, chooser), outcomes) in choosers.iter().zip(&outcomes) {
            for handicap in [0.0, self.scene.learned.handicap_s] {
                let times = !matches!(chooser, Chooser::Always(_));
                lines.push(self.line(name, prior, handicap, outcomes, times));
            }
        }
        Ok(lines)
    }

    fn choosers(&self) -> Vec<(String, &'static str, Chooser)> {
        let mut choosers = Vec::new();
        for (prior, told) in self.models {
            for objective in objectives() {
                let of = |route: usize| -> Box<dyn Estimator> {
                    Box::new(OfObjective::new(objective, Arc::clone(&told[route])))
                };
                choosers.push((objective.name().to_owned(), *prior, Chooser::Estimators([of(0), of(1)])));
            }
        }
        for rule in [|| Box::new(Mean) as Box<dyn Rule>, || Box::new(Median) as Box<dyn Rule>] {
            let of = |route: usize| -> Box<dyn Estimator> {
                let context =
                    Context { f: self.scene.options.faults, noise_sd: self.scene.learned.report_sd[route] };
                Box::new(Shrunk::new(rule(), context, Belief::Nothing { centre: self.average(route) }, 0.0))
            };
            choosers.push((rule().name().to_owned(), "none", Chooser::Estimators([of(0), of(1)])));
        }
        choosers.push(("last_value".to_owned(), "none", Chooser::Last));
        let average = [self.average(0), self.average(1)];
        choosers.push(("always_the_same".to_owned(), "none", Chooser::Always(average)));
        choosers
    }

    fn average(&self, route: usize) -> f64 {
        let times: Vec<f64> = self.scene.routes.halves().0.iter().filter_map(|s| s.times_s[route]).collect();
        times.iter().sum::<f64>() / times.len().max(1) as f64
    }

    fn play(
        &self,
        chooser: &mut Chooser,
        heard: &[Heard],
        outcomes: &mut Vec<Outcome>,
    ) -> anyhow::Result<()> {
        let (samples, start) = (&self.scene.routes.samples, self.scene.routes.halves().0.len());
        if let Chooser::Estimators(estimators) = chooser {
            estimators.iter_mut().for_each(|e| e.restart());
        }
        let mut standing = [self.average(0), self.average(1)];
        for (offset, heard) in heard.iter().enumerate() {
            let place = start + offset;
            let estimate = match chooser {
                Chooser::Always(times) => *times,
                Chooser::Last => heard.last.unwrap_or(standing),
                Chooser::Estimators(estimators) => {
                    let mut estimate = [0.0; 2];
                    for (route, estimator) in estimators.iter_mut().enumerate() {
                        if offset > 0 {
                            let gap =
                                (samples[place].at_s - samples[place - 1].at_s) / self.scene.learned.period_s;
                            for _ in 1..(gap.round() as usize).min(100) {
                                estimator.pass(self.scene.options.replicas)?;
                            }
                        }
                        let found = estimator.estimate(&heard.reports[route])?;
                        estimate[route] = found.value;
                        estimator.commit(&found);
                    }
                    estimate
                }
            };
            standing = estimate;
            if let Some(truth) = both(&samples[place]) {
                outcomes.push(Outcome { place: offset, estimate, truth });
            }
        }
        Ok(())
    }

    fn line(&self, name: &str, prior: &str, handicap_s: f64, outcomes: &[Outcome], times: bool) -> Route {
        let judged: Vec<(usize, f64, f64)> = outcomes
            .iter()
            .map(|o| {
                let cost = |route: usize| o.truth[route] + if route == 0 { handicap_s } else { 0.0 };
                let chosen = usize::from(o.estimate[1] < o.estimate[0] + handicap_s);
                let regret = cost(chosen) - cost(0).min(cost(1));
                (o.place, f64::from(u8::from(regret <= 0.0)), regret)
            })
            .collect();
        let errors = outcomes.iter().flat_map(|o| [0, 1].map(|r| (o.estimate[r] - o.truth[r]).powi(2)));
        let square = errors.sum::<f64>() / (2 * outcomes.len().max(1)) as f64;
        let (right, right_se) = mean_and_error(judged.iter().map(|j| (j.0, j.1)));
        let (regret_s, regret_se_s) = mean_and_error(judged.iter().map(|j| (j.0, j.2)));
        Route {
            choice: self.scene.routes.choice.clone(),
            routes: self.scene.routes.names.clone(),
            attack: self.scene.lie.name().to_owned(),
            n: self.scene.options.replicas,
            f: self.scene.options.faults,
            estimator: name.to_owned(),
            prior: prior.to_owned(),
            handicap_s,
            rounds: outcomes.len(),
            right,
            right_se,
            regret_s,
            regret_se_s,
            rmse_s: times.then(|| square.sqrt()),
            seed: self.scene.options.seed,
        }
    }
}

/// Both times of a sample.
pub(super) fn both(sample: &Sample) -> Option<[f64; 2]> {
    Some([sample.times_s[0]?, sample.times_s[1]?])
}

/// The newest measurement of both routes that has been published by the moment of `samples[place]`, and when it came; none within the
/// window.
fn newest(samples: &[Sample], delays: &[f64], place: usize) -> Option<([f64; 2], f64)> {
    let now = samples[place].at_s;
    let window = place.saturating_sub(MESSAGES - 1)..=place;
    window.rev().find_map(|j| {
        let arrived = samples[j].at_s + delays[j];
        both(&samples[j]).filter(|_| arrived <= now).map(|times| (times, arrived))
    })
}

/// The mean of values with their places in time, and its standard error from batches of neighbours.
fn mean_and_error(values: impl Iterator<Item = (usize, f64)> + Clone) -> (f64, f64) {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let all: Vec<f64> = values.clone().map(|v| v.1).collect();
    let places = values.clone().map(|v| v.0 + 1).max().unwrap_or(1);
    let mut batches = vec![Vec::new(); BATCHES];
    for (place, value) in values {
        batches[place * BATCHES / places].push(value);
    }
    let means: Vec<f64> = batches.iter().filter(|b| !b.is_empty()).map(|b| mean(b)).collect();
    let centre = mean(&means);
    let variance = means.iter().map(|m| (m - centre).powi(2)).sum::<f64>() / (means.len().max(2) - 1) as f64;
    (mean(&all), (variance / means.len().max(1) as f64).sqrt())
}

#[cfg(test)]
mod tests;
