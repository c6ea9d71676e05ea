//! Work for the benches: models and rounds from a seed, the same in every run.
//!
//! `cargo bench -p centauri-benches` measures; the tests run each work once at a small size, so that it cannot rot, and
//! print a hash of its result.

use centauri_engine::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

/// A size of replica set, support and batch.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// The work's name.
    pub name: &'static str,
    /// Replicas.
    pub n: usize,
    /// Faults.
    pub f: usize,
    /// Grid points.
    pub points: usize,
    /// How value and quorum are chosen.
    pub objective: Objective,
}

/// The works that are measured.
pub const WORKS: &[Work] = &[
    Work { name: "n7_f2_64_evidence", n: 7, f: 2, points: 64, objective: Objective::Evidence },
    Work { name: "n7_f2_64_marginal", n: 7, f: 2, points: 64, objective: Objective::Marginal },
    Work { name: "n7_f2_64_posterior", n: 7, f: 2, points: 64, objective: Objective::Posterior },
    Work { name: "n7_f2_64_joint", n: 7, f: 2, points: 64, objective: Objective::Joint },
    Work { name: "n16_f5_64_evidence", n: 16, f: 5, points: 64, objective: Objective::Evidence },
    Work { name: "n64_f21_64_marginal", n: 64, f: 21, points: 64, objective: Objective::Marginal },
    Work { name: "n128_f63_4096_marginal", n: 128, f: 63, points: 4_096, objective: Objective::Marginal },
    Work { name: "n48_f15_64_evidence", n: 48, f: 15, points: 64, objective: Objective::Evidence },
    Work { name: "n48_f15_64_joint", n: 48, f: 15, points: 64, objective: Objective::Joint },
];

impl Work {
    /// The stream that the work evaluates: `identity` with Gaussian noise of 4 steps.
    ///
    /// # Panics
    /// Never, for the works of [`WORKS`].
    #[must_use]
    pub fn fleet(&self) -> Fleet {
        let centre = self.points as f64 / 2.0;
        let prior = Distribution::normal(centre, centre / 2.0).expect("a legal prior");
        let spec = StreamSpec::builder("bench", (0..self.n).map(|i| format!("r{i}")))
            .faults(self.f)
            .objective(self.objective)
            .support(Support::new(0.0, 1.0, self.points).expect("a legal support"))
            .prior(PriorSpec::Fixed(prior.into()))
            .output(OutputSpec::identity(Distribution::normal(0.0, 4.0).expect("a legal noise")))
            .link(Link::OnTime(0.95))
            .build();
        Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() }).expect("a legal model")
    }

    /// `rounds` rounds of values mixed with missing ones; half of them have 1 … f liars.
    #[must_use]
    pub fn batch(&self, rounds: usize, seed: u64) -> Batch {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut batch = Batch::new();
        let mut observations = vec![Observation::Missing; self.n];
        for _ in 0..rounds {
            let truth = rng.random_range(0.2..0.8) * self.points as f64;
            let liars = if self.f > 0 && rng.random_bool(0.5) { rng.random_range(1..=self.f) } else { 0 };
            for (i, observation) in observations.iter_mut().enumerate() {
                let noise: f64 = StandardNormal.sample(&mut rng);
                let value =
                    if i < liars { rng.random_range(0.0..self.points as f64) } else { truth + 4.0 * noise };
                *observation = if rng.random_bool(0.05) {
                    Observation::Missing
                } else {
                    Observation::Bin(value.round() as i64)
                };
            }
            batch.push(Entry {
                model: ModelId(0),
                objective: None,
                wants_marginal: false,
                wants_region: true,
                observations: &observations,
                ln_prior: None,
            });
        }
        batch
    }
}

/// A hash of what was decided: values, quorums and states.
#[must_use]
pub fn digest(decisions: &Decisions) -> u64 {
    // FNV-1a, 64 bits.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |bits: u64| hash = (hash ^ bits).wrapping_mul(0x0100_0000_01b3);
    for i in 0..decisions.len() {
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

    #[test]
    fn every_work_runs_and_finds_the_truth_among_liars() {
        for work in WORKS {
            let rounds = if work.points > 1_000 { 1 } else { 4 };
            let (fleet, batch) = (work.fleet(), work.batch(rounds, 1));
            let mut decisions = Decisions::new();
            ScalarBackend::new().evaluate(&fleet, &batch, &mut decisions).expect("a legal batch");
            assert_eq!(decisions.len(), rounds);
            for i in 0..rounds {
                let decision = decisions.decision(i);
                assert_eq!(decision.status, Status::Decided, "{}", work.name);
                assert_eq!(decision.quorum.len(), work.n - work.f, "{}", work.name);
            }
            println!("{}: {:016x}", work.name, digest(&decisions));
        }
    }
}
