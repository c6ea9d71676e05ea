//! What the estimators are told of a scenario.

use super::truth::Ground;
use super::window::Window;
use super::{Scenario, rivals};
use crate::estimator::shrunk::Belief;
use anyhow::Context as _;
use centauri_engine::{
    CompiledModel, Distribution, DistributionRef, Fleet, Link, ModelId, ModelSet, OutputSpec, PriorSpec,
    Report, StreamSpec, Support,
};

/// A model that estimators are told, compiled: of a generated fleet, or fitted to readings.
#[derive(Debug)]
pub struct Told {
    fleet: Fleet,
    mover: Option<Mover>,
}

impl Told {
    /// The model of `scenario`, wrong as the scenario wants it.
    ///
    /// # Errors
    /// What the engine refuses.
    pub fn new(scenario: &Scenario) -> anyhow::Result<Self> {
        let ground = Ground::new(scenario.noise, scenario.prior);
        let support = ground.support()?;
        let (first, step) = match rivals::belief(scenario) {
            Belief::Nothing { .. } => (None, None),
            Belief::Fixed { mean, sd } => (Some(Distribution::normal(mean, sd)?), None),
            Belief::Following { mean, sd, step } => {
                (Some(Distribution::normal(mean, sd)?), Some(Distribution::normal(0.0, step)?))
            }
        };
        let prior = match (first, step) {
            (Some(first), Some(step)) => PriorSpec::Following {
                step: step.into(),
                initial: Some(first.into()),
                leak: centauri_engine::limits::LEAK_DEFAULT,
            },
            (Some(first), None) => PriorSpec::Fixed(first.into()),
            (None, _) => PriorSpec::Uniform,
        };
        let mut spec = StreamSpec::builder("measured", (0..scenario.n).map(|i| format!("r{i}")))
            .faults(scenario.f)
            .support(support)
            .prior(prior)
            .output(output(scenario, &ground)?);
        if scenario.loss > 0.0 {
            spec = spec.link(Link::OnTime(1.0 - scenario.loss));
        }
        Self::of_stream(spec.build())
    }

    /// The model of a stream in which nothing is said by name. A prior that follows is moved by the harness, which must try many
    /// reports on the same prior.
    ///
    /// # Errors
    /// What the engine refuses, and a step by name.
    pub fn of_stream(mut spec: StreamSpec) -> anyhow::Result<Self> {
        let mut mover = None;
        if let PriorSpec::Following { step, initial, leak } = &spec.prior {
            let DistributionRef::Inline(step) = step else {
                anyhow::bail!("stream {:?}: found a step by name, expected one of its own", spec.name);
            };
            mover = Some(Mover::new(step, &spec.support, *leak));
            spec.prior = initial.clone().map_or(PriorSpec::Uniform, PriorSpec::Fixed);
        }
        let fleet = Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() })?;
        fleet.model(ModelId(0)).context("found no model, expected one of one stream")?;
        Ok(Self { fleet, mover })
    }

    /// The fleet of the one stream.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Its model.
    ///
    /// # Panics
    /// Never: a fleet without it is not made.
    #[must_use]
    pub fn model(&self) -> &CompiledModel {
        self.fleet.model(ModelId(0)).expect("looked up when it was made")
    }

    /// What moves a prior that follows.
    #[must_use]
    pub fn mover(&self) -> Option<&Mover> {
        self.mover.as_ref()
    }
}

impl super::Round {
    /// The reports of all replicas if all are honest.
    #[must_use]
    pub fn honest_reports(&self) -> Vec<Report> {
        let report = |(v, lost): (&Option<f64>, &bool)| match v {
            Some(v) if !lost => Report::Value(*v),
            _ => Report::Missing,
        };
        self.measured.iter().zip(&self.lost).map(report).collect()
    }
}

fn output(scenario: &Scenario, ground: &Ground) -> anyhow::Result<OutputSpec> {
    let scale = rivals::believed_scale(scenario.wrong);
    Ok(match scenario.noise.window() {
        Some(computation) => Window::with(computation, scenario.noise.delays()).output(scale, ground.low)?,
        None => OutputSpec::identity(rivals::believed_noise(scenario).distribution(scale)?),
    })
}

/// Moves a distribution on by one round, as the engine's following priors do.
#[derive(Clone, Debug)]
pub struct Mover {
    /// Mass of a move by d points, at index d + reach.
    kernel: Vec<f64>,
    reach: usize,
    leak: f64,
}

/// A move of less mass than this is beneath the leak's notice.
const NEGLIGIBLE: f64 = 1e-18;

impl Mover {
    /// A move distributed as `step` on the grid of `support`, after which the share `leak` of the mass is spread evenly.
    #[must_use]
    pub fn new(step: &Distribution, support: &Support, leak: f64) -> Self {
        let (width, half) = (support.step(), support.step() / 2.0);
        let mass = |d: f64| step.ln_mass(d * width - half, d * width + half).exp();
        let reach = (0..support.points())
            .rev()
            .find(|&d| mass(d as f64) > NEGLIGIBLE || mass(-(d as f64)) > NEGLIGIBLE)
            .unwrap_or(0);
        let ends = reach as i64;
        Self { kernel: (-ends..=ends).map(|d| mass(d as f64)).collect(), reach, leak }
    }

    /// The natural log-probabilities of the next round's prior.
    #[must_use]
    pub fn advance(&self, ln_distribution: &[f64]) -> Vec<f64> {
        let points = ln_distribution.len();
        let top = ln_distribution.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut moved = vec![0.0; points];
        for (from, ln) in ln_distribution.iter().enumerate() {
            let p = (ln - top).exp();
            if p < 1e-30 {
                continue;
            }
            let first = from.saturating_sub(self.reach);
            let last = (from + self.reach).min(points - 1);
            let kernel = &self.kernel[first + self.reach - from..];
            for (sum, k) in moved[first..=last].iter_mut().zip(kernel) {
                *sum += p * k;
            }
        }
        let total: f64 = moved.iter().sum();
        moved.iter().map(|p| ((1.0 - self.leak) * p / total + self.leak / points as f64).ln()).collect()
    }
}
