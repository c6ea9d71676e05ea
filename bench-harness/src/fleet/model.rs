//! What the estimators are told of a scenario.

use super::truth::Ground;
use super::window::Window;
use super::{MOVE_SD, Noise, Prior, Scenario, Wrong};
use crate::estimator::shrunk::{Belief, Shrunk};
use crate::estimator::{Context, Rule, apply, rivals};
use crate::fleet::seed;
use anyhow::Context as _;
use centauri_engine::{
    CompiledModel, Distribution, Fleet, Link, ModelId, ModelSet, OutputSpec, PriorSpec, Report, StreamSpec,
    Support,
};

/// A scenario's model, compiled, and the same for the rivals.
#[derive(Debug)]
pub struct Told {
    fleet: Fleet,
    mover: Option<Mover>,
    ground: Ground,
    context: Context,
    belief: Belief,
    scenario: Scenario,
}

/// Share of a following prior's mass that is spread evenly after each move: the engine's default.
const LEAK: f64 = centauri_engine::limits::LEAK_DEFAULT;
/// Rounds from which a rival's squared error without faults is found.
const CALIBRATION_ROUNDS: usize = 4_000;

impl Told {
    /// The model of `scenario`, wrong as the scenario wants it.
    ///
    /// # Errors
    /// What the engine refuses.
    pub fn new(scenario: &Scenario) -> anyhow::Result<Self> {
        let ground = Ground::new(scenario.noise, scenario.prior);
        let scale = believed_scale(scenario.wrong);
        let support = ground.support()?;
        let prior_sd = scenario.prior.sd().map(|sd| sd * ground.unit);
        let shift = if scenario.wrong == Wrong::PriorShifted { 2.0 } else { 0.0 };
        let prior_mean = ground.centre + shift * prior_sd.unwrap_or(0.0);
        let first = prior_sd.map(|sd| Distribution::normal(prior_mean, sd)).transpose()?;
        let step = Distribution::normal(0.0, MOVE_SD * ground.unit)?;
        let prior = match first.clone() {
            None => PriorSpec::Uniform,
            // A following prior is moved by the harness, which must try many reports on the same prior.
            Some(first) => PriorSpec::Fixed(first.into()),
        };
        let follows = scenario.prior == Prior::Following;
        let mut spec = StreamSpec::builder("measured", (0..scenario.n).map(|i| format!("r{i}")))
            .faults(scenario.f)
            .support(support)
            .prior(prior)
            .output(output(scenario, scale, &ground)?);
        if scenario.loss > 0.0 {
            spec = spec.link(Link::OnTime(1.0 - scenario.loss));
        }
        let fleet = Fleet::compile(&ModelSet { streams: vec![spec.build()], ..ModelSet::default() })?;
        fleet.model(ModelId(0)).context("found no model, expected one of one stream")?;
        let belief = match (scenario.prior, prior_sd) {
            (Prior::Following, Some(sd)) => {
                Belief::Following { mean: prior_mean, sd, step: MOVE_SD * ground.unit }
            }
            (_, Some(sd)) => Belief::Fixed { mean: prior_mean, sd },
            (_, None) => Belief::Nothing { centre: ground.centre },
        };
        Ok(Self {
            fleet,
            mover: follows.then(|| Mover::new(&step, &support)),
            ground,
            context: Context { f: scenario.f, noise_sd: scale * ground.unit },
            belief,
            scenario: *scenario,
        })
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

    /// Where the truth lies.
    #[must_use]
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The rivals, each told the prior with the weight that is best for it without faults under the believed noise.
    #[must_use]
    pub fn rivals(&self) -> Vec<Shrunk> {
        let rules = rivals();
        let errors = self.squared_errors(&rules);
        rules.into_iter().zip(errors).map(|(r, e)| Shrunk::new(r, self.context, self.belief, e)).collect()
    }

    fn squared_errors(&self, rules: &[Box<dyn Rule>]) -> Vec<f64> {
        if matches!(self.belief, Belief::Nothing { .. }) {
            return vec![0.0; rules.len()];
        }
        let believed = Scenario {
            noise: believed_noise(&self.scenario),
            prior: Prior::None,
            drift: super::Drift::None,
            wrong: Wrong::Right,
            ..self.scenario
        };
        let name = format!("errors without faults {believed:?}");
        let mut rng = seed::generator(seed::of(0, &name));
        let chains = believed.generate(&mut rng, CALIBRATION_ROUNDS / 25, 25);
        let scale = believed_scale(self.scenario.wrong);
        let context = Context { noise_sd: self.ground.unit, ..self.context };
        let mut sums = vec![(0.0, 0usize); rules.len()];
        for round in chains.iter().flat_map(|c| &c.rounds) {
            let reports = round.honest_reports();
            for (rule, (sum, count)) in rules.iter().zip(&mut sums) {
                if let Some(estimate) = apply(rule.as_ref(), &reports, &context) {
                    *sum += (scale * (estimate.value - round.truth)).powi(2);
                    *count += 1;
                }
            }
        }
        sums.into_iter().map(|(sum, count)| sum / count.max(1) as f64).collect()
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

fn believed_scale(wrong: Wrong) -> f64 {
    match wrong {
        Wrong::ScaleX2 => 2.0,
        Wrong::ScaleHalf => 0.5,
        Wrong::Right | Wrong::Family | Wrong::PriorShifted => 1.0,
    }
}

fn believed_noise(scenario: &Scenario) -> Noise {
    match (scenario.wrong, scenario.noise) {
        (Wrong::Family, Noise::Gaussian) => Noise::Laplace,
        (Wrong::Family, Noise::Window(_)) => scenario.noise,
        (Wrong::Family, _) => Noise::Gaussian,
        _ => scenario.noise,
    }
}

fn output(scenario: &Scenario, scale: f64, ground: &Ground) -> anyhow::Result<OutputSpec> {
    Ok(match scenario.noise.window() {
        Some(computation) => Window::new(computation).output(scale, ground.low)?,
        None => OutputSpec::identity(believed_noise(scenario).distribution(scale)?),
    })
}

/// Moves a distribution on by one round, as the engine's following priors do.
#[derive(Clone, Debug)]
pub struct Mover {
    /// Mass of a move by d points, at index d + reach.
    kernel: Vec<f64>,
    reach: usize,
}

/// A move of less mass than this is beneath the leak's notice.
const NEGLIGIBLE: f64 = 1e-18;

impl Mover {
    /// A move distributed as `step` on the grid of `support`.
    #[must_use]
    pub fn new(step: &Distribution, support: &Support) -> Self {
        let (width, half) = (support.step(), support.step() / 2.0);
        let mass = |d: f64| step.ln_mass(d * width - half, d * width + half).exp();
        let reach = (0..support.points())
            .rev()
            .find(|&d| mass(d as f64) > NEGLIGIBLE || mass(-(d as f64)) > NEGLIGIBLE)
            .unwrap_or(0);
        let ends = reach as i64;
        Self { kernel: (-ends..=ends).map(|d| mass(d as f64)).collect(), reach }
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
        moved.iter().map(|p| ((1.0 - LEAK) * p / total + LEAK / points as f64).ln()).collect()
    }
}
