//! Random models and rounds.

use crate::Make;
use crate::compare::{Tolerance, compare};
use centauri_engine::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Where random models and rounds come from: equal seeds give equal ones.
#[derive(Clone, Debug)]
pub struct RandomRounds {
    rng: ChaCha8Rng,
}

/// Sizes at, below and above those of vectors.
const POINTS: [usize; 18] = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 64, 65, 100];

impl RandomRounds {
    /// Rounds of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.rng.random_range(low..high)
    }

    /// A number of 0 … `below` − 1.
    pub fn number(&mut self, below: usize) -> usize {
        self.rng.random_range(0..below)
    }

    fn chance(&mut self, p: f64) -> bool {
        self.rng.random_bool(p)
    }

    fn latency(&mut self) -> Distribution {
        let (a, b) = (self.between(0.005, 0.05), self.between(0.7, 3.0));
        match self.number(4) {
            0 => Distribution::exponential(a),
            1 => Distribution::gamma(b, a / 2.0),
            2 => Distribution::lognormal(a.ln(), b / 3.0),
            _ => Distribution::weibull(b, a),
        }
        .expect("legal parameters")
    }

    fn noise(&mut self, step: f64) -> Distribution {
        let (mean, scale) = (self.between(-1.0, 1.0) * step, self.between(0.3, 4.0) * step);
        let mean = if self.chance(0.5) { 0.0 } else { mean };
        match self.number(9) {
            0..3 => Distribution::normal(mean, scale),
            3 => Distribution::laplace(mean, scale),
            4 => Distribution::logistic(mean, scale),
            5 => Distribution::student_t(self.between(3.0, 9.0), mean, scale),
            6 => Distribution::uniform(mean - 3.0 * scale, mean + 3.0 * scale),
            // Hardly any noise: nearly all reports are impossible.
            7 => Distribution::normal(mean, scale / 20.0),
            _ => Distribution::gamma(2.0, scale),
        }
        .expect("legal parameters")
    }

    fn output(&mut self, computation: Computation, step: f64) -> OutputSpec {
        let mut output = OutputSpec::new(computation);
        let messages = self.rng.random_range(1..7);
        output.messages = (0..messages).map(|_| self.between(0.0, 0.1)).collect();
        if self.chance(0.8) {
            output.arrival = Some(self.latency().into());
            output.deadline = Some(self.between(0.05, 0.15));
        }
        match computation {
            Computation::Identity => output.noise = Some(self.noise(step).into()),
            Computation::Count => {}
            Computation::Min | Computation::Max => {
                let sd = self.between(2.0, 6.0) * step;
                output.source = Some(Distribution::normal(10.0 * step, sd).expect("legal").into());
            }
            _ => {
                let scale = self.between(0.5, 2.0) * step;
                output.source = Some(Distribution::gamma(2.0, scale).expect("legal").into());
                if self.chance(0.5) {
                    output.noise = Some(Distribution::normal(0.0, scale).expect("legal").into());
                }
            }
        }
        output
    }

    /// A model of at most `replicas_max` replicas.
    pub fn model(&mut self, name: &str, replicas_max: usize) -> StreamSpec {
        // `identity` is the one that matters most and the quickest.
        let computation =
            if self.chance(0.5) { Computation::Identity } else { Computation::ALL[self.number(7)] };
        let n = 1 + self.number(replicas_max);
        let step = if self.chance(0.5) { 1.0 } else { self.between(0.2, 3.0) };
        let output = self.output(computation, step);
        let support = if computation == Computation::Count {
            Support::new(0.0, 1.0, output.messages.len() + 1)
        } else {
            let points = POINTS[self.number(POINTS.len())];
            Support::new(self.between(-3.0, 3.0).round(), step, points)
        };
        let support = support.expect("a legal support");
        let centre = support.point(support.points() / 2);
        let spread = self.between(0.5, 9.0) * support.step();
        let prior = match self.number(4) {
            0 | 1 => PriorSpec::Uniform,
            2 => PriorSpec::Fixed(Distribution::normal(centre, spread).expect("legal").into()),
            _ => PriorSpec::Fixed(Distribution::logistic(centre, spread).expect("legal").into()),
        };
        let faults = if self.chance(0.2) { self.number(n) } else { self.number(n.div_ceil(2)) };
        let mut spec = StreamSpec::builder(name, (0..n).map(|i| format!("r{i}")))
            .faults(faults)
            .objective(Objective::ALL[self.number(Objective::ALL.len())])
            .support(support)
            .prior(prior)
            .output(output)
            .silence(if self.chance(0.5) { 0.1 } else { self.between(0.001, 0.7) })
            .credible(self.between(0.5, 0.99));
        spec = match self.number(3) {
            0 => spec,
            1 => spec.link(Link::OnTime(self.between(0.6, 1.0))),
            _ => {
                spec.link(Link::Latency { arrival: self.latency().into(), deadline: self.between(0.02, 0.1) })
            }
        };
        if self.chance(0.2) {
            spec = self.grouped(spec, n);
        }
        if self.chance(0.3) {
            let noise = (computation == Computation::Identity).then(|| self.noise(step).into());
            let link = Link::OnTime(self.between(0.5, 1.0));
            spec = spec.replica(self.number(n), Some(link), noise);
        }
        spec.build()
    }

    /// Puts some of the `n` replicas into two fault groups, of which one may be faulty.
    fn grouped(&mut self, spec: StreamSpecBuilder, n: usize) -> StreamSpecBuilder {
        let mut members: [Vec<usize>; 2] = Default::default();
        for position in 0..n {
            if let Some(group) = members.get_mut(self.number(3)) {
                group.push(position);
            }
        }
        let units = n - members.iter().map(|group| group.len().saturating_sub(1)).sum::<usize>();
        let named = ["east", "west"].into_iter().zip(members).filter(|(_, group)| !group.is_empty());
        named.fold(spec, |spec, (name, group)| spec.group(name, group)).faults(self.number(units.min(3)))
    }

    /// The reports of a round: near a truth, far outside, missing, equivocated, or all alike.
    pub fn reports(&mut self, spec: &StreamSpec) -> Vec<Report> {
        let (support, n) = (&spec.support, spec.replicas.len());
        let truth = support.point(self.number(support.points()));
        let step = support.step();
        match self.number(12) {
            0 => return vec![Report::Missing; n],
            1 => return vec![Report::Value(truth); n],
            _ => {}
        }
        let spread =
            if spec.output.computation == Computation::Count { 0.6 } else { [0.7, 2.0, 6.0][self.number(3)] };
        let calm = self.chance(0.6);
        (0..n)
            .map(|_| match self.number(if calm { 24 } else { 16 }) {
                0 => Report::Missing,
                1 => Report::Value(truth + self.between(-60.0, 60.0).round() * step),
                2 if !calm => Report::Equivocated,
                3 if !calm => Report::Value(truth + [1e3, -1e7, 1e18][self.number(3)] * step),
                4 if !calm => Report::Missing,
                5..8 => Report::Value(truth),
                _ => Report::Value(truth + (spread * self.between(-1.5, 1.5)).round() * step),
            })
            .collect()
    }
}

/// `batches` mixed batches of random models, each decided by the backend and by the scalar one.
///
/// # Panics
/// Where a decision differs by more than it may.
pub fn random_models(make: Make<'_>, seed: u64, batches: usize) {
    let mut random = RandomRounds::new(seed);
    let mut backend = make();
    let (mut found, mut law) = (Decisions::new(), Decisions::new());
    let (mut rounds, mut decided) = (0, 0);
    for number in 0..batches {
        let streams: Vec<StreamSpec> =
            (0..1 + number % 4).map(|s| random.model(&format!("s{s}"), 8)).collect();
        let set = ModelSet { streams, ..ModelSet::default() };
        let fleet = Fleet::compile(&set).unwrap_or_else(|e| panic!("seed {seed}, batch {number}: {e}"));
        let batch = mixed(&mut random, &fleet, &set, 24);
        let context = format!("{}, seed {seed}, batch {number}", backend.name());
        let result = backend.evaluate(&fleet, &batch, &mut found);
        result.unwrap_or_else(|e| panic!("{context}: {e}"));
        check(&context, &fleet, &batch, (&found, &mut law));
        rounds += batch.len();
        decided += (0..law.len()).filter(|&i| law.decision(i).status == Status::Decided).count();
    }
    println!("{}: seed {seed}, {rounds} random rounds, {decided} decided", backend.name());
    assert!(decided * 2 > rounds, "too few rounds are decided to be a test");
}

/// Rounds of all streams, with objectives of their own and other wishes.
fn mixed(random: &mut RandomRounds, fleet: &Fleet, set: &ModelSet, rounds: usize) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..rounds {
        let stream = random.number(set.streams.len());
        let spec = &set.streams[stream];
        let observations: Vec<Observation> =
            random.reports(spec).into_iter().map(|r| r.quantise(&spec.support)).collect();
        let points = spec.support.points();
        let weights: Vec<f64> = (0..points).map(|_| random.between(1e-3, 1.0)).collect();
        let total: f64 = weights.iter().sum();
        let own: Vec<f64> = weights.iter().map(|w| (w / total).ln()).collect();
        batch.push(Entry {
            model: fleet.streams()[stream].model(),
            objective: random.chance(0.5).then(|| Objective::ALL[random.number(Objective::ALL.len())]),
            wants_marginal: random.chance(0.3),
            wants_region: random.chance(0.5),
            observations: &observations,
            ln_prior: random.chance(0.2).then_some(&own),
        });
    }
    batch
}

/// Compares `found`, a backend's decisions on `batch`, with the scalar backend's.
pub(crate) fn check(context: &str, fleet: &Fleet, batch: &Batch, (found, law): (&Decisions, &mut Decisions)) {
    let mut full = Batch::new();
    batch.iter().for_each(|entry| full.push(Entry { wants_marginal: true, ..entry }));
    ScalarBackend::new().evaluate(fleet, &full, law).unwrap_or_else(|e| panic!("{context}: {e}"));
    assert_eq!(found.len(), batch.len(), "{context}: number of decisions");
    for (i, entry) in batch.iter().enumerate() {
        let model = fleet.model(entry.model).expect("the fleet's model");
        let context = format!("{context}, round {i}: {entry:?}\n of {model:.0?}");
        let context =
            if context.len() > 4_000 { &context[..context.floor_char_boundary(4_000)] } else { &context };
        compare(context, model, &entry, i, (found, law), &Tolerance::default());
    }
}
