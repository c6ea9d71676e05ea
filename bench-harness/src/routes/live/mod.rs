//! The choice of routes through the whole system: sources, replicas, the monitor and the engine over sockets, and the same choices as the
//! offline evaluation makes.
//!
//! Two sources replay the measurements of a route each; replicas subscribe to them, and compute `last` on sliding windows of
//! [`MESSAGES`](super::model::MESSAGES) measurements; the engine subscribes to the replicas, decides both routes for each departure, and
//! the route that it expects to take less time is chosen. The roles are those that `centauri node` and `centauri serve` run, each on a
//! thread and a UDP socket of its own on loopback.
//!
//! **Time.** The evaluation counts measurements, not seconds: a report may be seven measurements old, whatever gaps lie between them. So
//! a measurement is a period here, of 8 ms, and the day is gone through some 75,000 times as fast. All nodes go by one clock that stands
//! until everything that belongs to a moment has arrived, so that a busy machine makes the run longer and no different.
//!
//! **Lags.** What a replica hears of a measurement is held at its door until a quarter of a period before the first departure at which
//! the evaluation says that it had been published to it: only at departures does it matter what has come.
//!
//! **Lies.** A liar's role computes as all do, and tells what the evaluation's liar tells of that departure
//! ([`centauri_roles::Behaviour::Scripted`]).
//!
//! **Priors.** Without one. A prior that follows moves through gaps as well, in rounds in which nobody reports, and for windows that
//! slide over measurements there are no such rounds.

mod cluster;
mod lagged;

use super::Options;
use super::choose::{Drawn, Heard, Scene, both};
use super::data::Routes;
use super::lie::Lie;
use super::model::Learned;
use crate::estimator::Estimator as _;
use crate::estimator::objective::OfObjective;
use centauri_engine::{Objective, Report};
use cluster::{Cluster, Script};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How the system's choices compare with the offline evaluation's.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// What the liars did.
    pub lie: Lie,
    /// How many choices were made.
    pub departures: usize,
    /// How many of them chose the same route as the evaluation does, of routes as they are and of routes made even.
    pub same: [usize; 2],
    /// For how many departures the replicas reported the same of both routes, to the last bit.
    pub reports_same: usize,
    /// The largest difference between an estimate and the evaluation's, in seconds.
    pub difference_max_s: f64,
    /// How many choices the first route got, as it is and made even.
    pub first: [usize; 2],
    /// How often something that was sent had not come after a second.
    pub lost: u64,
    /// How many distributions the monitor published.
    pub published: u64,
    /// How many of them the engine took in.
    pub taken: u64,
    /// How long it took.
    pub took: Duration,
}

/// What was decided on a departure.
#[derive(Clone, Debug, Default, PartialEq)]
struct Departure {
    estimates: [f64; 2],
    reports: [Vec<Report>; 2],
}

impl Departure {
    /// The route that is chosen where the first counts as so much longer.
    fn chosen(&self, handicap_s: f64) -> usize {
        usize::from(self.estimates[1] < self.estimates[0] + handicap_s)
    }
}

/// Sends the second half of the readings through the system once, under a lie, and compares each choice with the evaluation's.
///
/// # Errors
/// Too few readings, a measurement that was published before it was made, what the engine or a socket refuses.
pub fn compare(routes: &Routes, options: &Options, lie: Lie) -> anyhow::Result<Live> {
    let begun = Instant::now();
    let learned = Learned::from(routes.halves().0)?;
    let scene = Scene { routes, options, learned: &learned, lie };
    let drawn = scene.drawn(0);
    let heard = scene.heard(&drawn);
    let offline = offline(&scene, &heard)?;
    let script = script(&scene, &drawn, &heard)?;
    let (online, ended) = Cluster::start(&script)?.play()?;
    anyhow::ensure!(online.len() == offline.len(), "found {} decided departures", online.len());

    let handicaps = [0.0, learned.handicap_s];
    let pairs = || offline.iter().zip(&online);
    let count = |of: &dyn Fn(&Departure, &Departure) -> bool| pairs().filter(|(a, b)| of(a, b)).count();
    let differences = pairs().flat_map(|(a, b)| [0, 1].map(|r| (a.estimates[r] - b.estimates[r]).abs()));
    Ok(Live {
        lie,
        departures: offline.len(),
        same: handicaps.map(|handicap| count(&|a, b| a.chosen(handicap) == b.chosen(handicap))),
        reports_same: count(&|a, b| a.reports == b.reports),
        difference_max_s: differences.fold(0.0, f64::max),
        first: handicaps.map(|handicap| count(&|_, b| b.chosen(handicap) == 0)),
        lost: ended.lost,
        published: ended.published,
        taken: ended.taken,
        took: begun.elapsed(),
    })
}

/// What the evaluation estimates, by the objective that the engine decides by unless told otherwise.
fn offline(scene: &Scene<'_>, heard: &[Heard]) -> anyhow::Result<Vec<Departure>> {
    let mut all = vec![Departure::default(); heard.len()];
    for route in [0, 1] {
        let told = scene.learned.told(route, false, scene.routes, scene.options)?;
        let mut estimator = OfObjective::new(Objective::Marginal, Arc::new(told));
        for (departure, heard) in all.iter_mut().zip(heard) {
            departure.estimates[route] = estimator.estimate(&heard.reports[route])?.value;
            departure.reports[route].clone_from(&heard.reports[route]);
        }
    }
    Ok(all)
}

/// The evaluation's scene as the cluster plays it.
fn script(scene: &Scene<'_>, drawn: &Drawn, heard: &[Heard]) -> anyhow::Result<Script> {
    let samples = &scene.routes.samples;
    let measured = samples.iter().map(both).collect();
    // The first departure at which a replica has heard of each measurement.
    let known_from = |delays: &Vec<f64>| -> anyhow::Result<Vec<Option<usize>>> {
        let of = |(place, delay): (usize, &f64)| {
            anyhow::ensure!(
                *delay > 0.0,
                "measurement {place}: published {delay} s after it, expected more than 0"
            );
            let arrived = samples[place].at_s + delay;
            Ok((place + 1..samples.len()).find(|&departure| arrived <= samples[departure].at_s))
        };
        delays.iter().enumerate().map(of).collect()
    };
    Ok(Script {
        start: scene.routes.halves().0.len(),
        measured,
        known_from: drawn.delays.iter().map(known_from).collect::<anyhow::Result<_>>()?,
        liars: drawn.liars.clone(),
        reports: heard.iter().map(|heard| heard.reports.clone()).collect(),
        streams: [0, 1]
            .into_iter()
            .map(|route| scene.learned.stream(route, false, scene.routes, scene.options))
            .collect::<anyhow::Result<_>>()?,
    })
}
