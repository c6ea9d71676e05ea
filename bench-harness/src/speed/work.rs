//! What is measured: models and rounds from a seed, the same in every run.

use crate::fleet::seed::{self, generator};
use centauri_engine::{
    Batch, Decisions, Distribution, DistributionError, Entry, Family, Fleet, Link, ModelError, ModelId,
    ModelSet, Objective, Observation, OutputSpec, PriorSpec, Status, StreamSpec, Support,
};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// Different models among the streams of a work.
pub const MODELS: usize = 8;

/// Why a work cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// A distribution with parameters out of range.
    #[error(transparent)]
    Distribution(#[from] DistributionError),
    /// A model that cannot be compiled.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// A size of replica set and support, and how is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The work's name.
    pub name: String,
    /// Streams: rounds of a batch.
    pub streams: usize,
    /// Replicas.
    pub n: usize,
    /// Faults.
    pub f: usize,
    /// Grid points.
    pub points: usize,
    /// How value and quorum are chosen.
    pub objective: Objective,
    /// Whether the decision's region is asked for.
    pub region: bool,
}

/// Names of the four works.
pub const NAMES: [&str; 4] = ["A", "B", "C", "D"];

impl Work {
    /// The work of one of the [`NAMES`].
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let (n, f, objective) = match name {
            "A" => (7, 2, Objective::Evidence),
            "B" => (7, 2, Objective::Marginal),
            "C" => (16, 5, Objective::Evidence),
            "D" => (64, 21, Objective::Marginal),
            _ => return None,
        };
        Some(Self { name: name.to_owned(), streams: 4_096, n, f, points: 64, objective, region: false })
    }

    /// The same with another name.
    #[must_use]
    pub fn called(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The models of the work's streams, of which the `i`-th stream has model `i mod 8`: noises of five families, some
    /// replicas with a noise of their own, four priors, links that lose 1 to 10 %.
    ///
    /// # Errors
    /// A work whose numbers make no model: no replicas, f ≥ n, no points.
    pub fn fleet(&self) -> Result<Fleet, WorkError> {
        let streams = (0..MODELS).map(|k| self.stream(k)).collect::<Result<_, _>>()?;
        Ok(Fleet::compile(&ModelSet { streams, ..ModelSet::default() })?)
    }

    pub(crate) fn stream(&self, k: usize) -> Result<StreamSpec, WorkError> {
        let kind = Kind::new(k, self.points)?;
        let mut builder = StreamSpec::builder(format!("model-{k}"), (0..self.n).map(|i| format!("r{i}")))
            .faults(self.f)
            .objective(self.objective)
            .support(Support::new(0.0, 1.0, self.points)?)
            .prior(kind.prior.map_or(PriorSpec::Uniform, |prior| PriorSpec::Fixed(prior.into())))
            .output(OutputSpec::identity(kind.noise))
            .silence(kind.silence)
            .link(Link::OnTime(kind.on_time));
        if let Some(other) = kind.other_noise {
            for i in (0..self.n).filter(|i| i % 3 == 1) {
                builder = builder.replica(i, None, Some(other.clone().into()));
            }
        }
        Ok(builder.build())
    }

    /// `rounds` rounds, each of a stream of its own: values mixed with missing, and 1 … f liars in half of them, who tell
    /// values of their own or agree on one. Fewer rounds are the first of more.
    ///
    /// # Errors
    /// As [`Work::fleet`].
    pub fn batch(&self, rounds: usize, seed: u64) -> Result<Batch, WorkError> {
        let kinds = (0..MODELS).map(|k| Kind::new(k, self.points)).collect::<Result<Vec<_>, _>>()?;
        let mut rng = generator(seed::of(seed, &format!("{} {} {}", self.n, self.f, self.points)));
        let mut batch = Batch::new();
        let mut observations = vec![Observation::Missing; self.n];
        for round in 0..rounds {
            let model = round % MODELS;
            if let Some(kind) = kinds.get(model) {
                self.observe(kind, &mut rng, &mut observations);
            }
            batch.push(Entry {
                model: ModelId(model as u32),
                objective: None,
                wants_marginal: false,
                wants_region: self.region,
                observations: &observations,
                ln_prior: None,
            });
        }
        Ok(batch)
    }

    fn observe(&self, kind: &Kind, rng: &mut ChaCha8Rng, observations: &mut [Observation]) {
        let span = self.points as f64;
        let truth = rng.random_range(0.2..0.8) * span;
        let liars = if self.f > 0 && rng.random_bool(0.5) { rng.random_range(1..=self.f) } else { 0 };
        let agreed = rng.random_bool(0.5).then(|| rng.random_range(0.0..span));
        let first = rng.random_range(0..self.n);
        for (i, observation) in observations.iter_mut().enumerate() {
            let lies = (i + self.n - first) % self.n < liars;
            let noise = match &kind.other_noise {
                Some(other) if i % 3 == 1 => other,
                _ => &kind.noise,
            };
            let honest = truth + noise.quantile(rng.random_range(1e-9..1.0));
            let lie = agreed.unwrap_or_else(|| rng.random_range(-0.1..1.1) * span);
            let value = if lies { lie } else { honest };
            *observation = if rng.random_bool(kind.on_time) {
                Observation::Bin((value + 0.5).floor() as i64)
            } else {
                Observation::Missing
            };
        }
    }
}

/// What sets a model apart from the others of its work.
struct Kind {
    noise: Distribution,
    other_noise: Option<Distribution>,
    prior: Option<Distribution>,
    silence: f64,
    on_time: f64,
}

impl Kind {
    fn new(k: usize, points: usize) -> Result<Self, DistributionError> {
        let span = points as f64;
        let noise = match k {
            0 | 7 => Distribution::normal(0.0, 4.0)?,
            1 => Distribution::normal(0.5, 2.5)?,
            2 => Distribution::laplace(0.0, 3.0)?,
            3 => Distribution::student_t(4.0, 0.0, 3.0)?,
            4 => Distribution::logistic(0.0, 2.0)?,
            5 => Distribution::normal(0.0, 6.0)?,
            _ => skewed()?,
        };
        let prior = match k % 4 {
            0 => Some(Distribution::normal(0.5 * span, 0.25 * span)?),
            1 => None,
            2 => Some(Distribution::laplace(0.4 * span, 0.3 * span)?),
            _ => Some(Distribution::normal(0.6 * span, 0.5 * span)?),
        };
        let other_noise = if k >= 5 { Some(Distribution::normal(0.0, 3.0)?) } else { None };
        let silence = if k.is_multiple_of(2) { 0.1 } else { 0.2 };
        let on_time = [0.95, 0.97, 0.9, 0.99, 0.95, 0.93, 0.98, 0.96].get(k).copied().unwrap_or(0.95);
        Ok(Self { noise, other_noise, prior, silence, on_time })
    }
}

/// A noise that is not the same on both sides.
fn skewed() -> Result<Distribution, DistributionError> {
    Distribution::new(Family::Gamma { shape: 4.0, scale: 1.5 }, -6.0)
}

/// A hash of what was decided in the first `rounds` rounds: values, quorums and states.
#[must_use]
pub fn digest(decisions: &Decisions, rounds: usize) -> u64 {
    // FNV-1a, 64 bits.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |bits: u64| hash = (hash ^ bits).wrapping_mul(0x0100_0000_01b3);
    for i in 0..rounds.min(decisions.len()) {
        let decision = decisions.decision(i);
        mix(decision.point as u64);
        mix(decision.quorum.bits() as u64);
        mix((decision.quorum.bits() >> 64) as u64);
        mix(u64::from(decision.status == Status::Decided));
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use centauri_engine::{Backend as _, ScalarBackend};

    fn decided(work: &Work, rounds: usize, seed: u64) -> Decisions {
        let mut decisions = Decisions::new();
        let (fleet, batch) = (work.fleet().unwrap(), work.batch(rounds, seed).unwrap());
        ScalarBackend::new().evaluate(&fleet, &batch, &mut decisions).unwrap();
        decisions
    }

    #[test]
    fn every_work_is_as_it_is_defined() {
        for (name, n, f, objective) in [
            ("A", 7, 2, Objective::Evidence),
            ("B", 7, 2, Objective::Marginal),
            ("C", 16, 5, Objective::Evidence),
            ("D", 64, 21, Objective::Marginal),
        ] {
            let work = Work::named(name).unwrap();
            assert_eq!((work.streams, work.n, work.f, work.points), (4_096, n, f, 64));
            assert_eq!((work.objective, work.region), (objective, false));
            assert_eq!(work.fleet().unwrap().models(), MODELS, "the models differ");
        }
        assert_eq!(Work::named("E"), None);
    }

    #[test]
    fn rounds_hold_values_missing_and_liars_in_about_half() {
        let work = Work::named("A").unwrap();
        let batch = work.batch(4_096, 1).unwrap();
        let missing = |o: &&Observation| **o == Observation::Missing;
        let lost: usize = batch.iter().map(|e| e.observations.iter().filter(missing).count()).sum();
        // On average 4.6 % are lost.
        assert!((1_000..1_700).contains(&lost), "{lost} of {}", 4_096 * 7);
        // Where one lies far off, a quorum leaves it out; P(honest) says so of at least one in about half of the rounds.
        let decisions = decided(&work, 1_000, 1);
        let accused = |i: &usize| decisions.honest(*i).unwrap().iter().any(|p| *p < 0.01);
        let accused = (0..1_000).filter(accused).count();
        assert!((250..500).contains(&accused), "{accused}");
    }

    #[test]
    fn one_seed_gives_one_result_and_fewer_rounds_are_the_first_of_more() {
        let work = Work { region: true, ..Work::named("B").unwrap() };
        let (few, many, other) = (decided(&work, 40, 1), decided(&work, 80, 1), decided(&work, 40, 2));
        assert_eq!(digest(&few, 40), digest(&many, 40));
        assert_ne!(digest(&few, 40), digest(&other, 40));
        assert_ne!(digest(&few, 40), digest(&few, 39));
        assert!(few.decision(0).region.is_some());
    }
}
