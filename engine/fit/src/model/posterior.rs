//! The engine's `marginal` model in plain numbers, for trying many models on the same rounds.
//!
//! The same formulas as the engine's, without what only a decision needs: no quorum, no P(honest), and no numbers of a wider
//! exponent, so that a round whose reports are very far apart may count as impossible.

use super::Round;
use centauri_engine::{
    CompiledModel, Computation, DistributionRef, ModelError, ModelSet, Observation, PriorSpec, StreamSpec,
};

/// Log-evidence of a round that nothing explains.
const LN_IMPOSSIBLE: f64 = -1_000.0;
/// Mass of a point from which no move is followed.
const UNSEEN: f64 = 1e-9;

/// A stream's model, and the memory to look at its rounds.
pub(super) struct Posterior {
    model: CompiledModel,
    /// For each replica the mass of a report by how far to the right of it the ideal output lies, in steps from
    /// `1 − points` to `points − 1`, where nothing but that matters.
    by_distance: Vec<Option<Vec<f64>>>,
    initial: Vec<f64>,
    moves: Option<Moves>,
    /// The replicas of each unit of fault, in order.
    units: Vec<Vec<usize>>,
    row: Vec<f64>,
    /// Of a unit of several replicas the product of their likelihoods, but for a factor.
    together: Vec<f64>,
    /// `E_b(x)`: a row for each `b`.
    sums: Vec<f64>,
    prior: Vec<f64>,
    posterior: Vec<f64>,
}

struct Moves {
    /// Mass of a move by `d` steps, at index `d + points − 1`.
    masses: Vec<f64>,
    leak: f64,
}

impl Posterior {
    pub(super) fn new(set: &ModelSet, spec: &StreamSpec) -> Result<Self, ModelError> {
        let model = CompiledModel::new(spec, &set.distributions)?;
        let points = model.support().points();
        let identity = spec.output.computation == Computation::Identity;
        let by_distance = (0..spec.replicas.len()).map(|at| identity.then(|| by_distance(&model, at)));
        Ok(Self {
            by_distance: by_distance.collect(),
            initial: model.ln_prior().iter().map(|ln| ln.exp()).collect(),
            moves: moves(set, spec),
            units: model.units().map(|unit| unit.positions().collect()).collect(),
            row: vec![0.0; points],
            together: vec![0.0; points],
            sums: vec![0.0; points * (spec.faults + 1)],
            prior: Vec::new(),
            posterior: vec![0.0; points],
            model,
        })
    }

    /// Looks at neighbouring rounds in order, from the initial prior on: gives `each` the round, its log-evidence and its
    /// distribution over the support.
    pub(super) fn follow(&mut self, rounds: &[Round], mut each: impl FnMut(&Round, f64, &[f64])) {
        self.prior.clone_from(&self.initial);
        let mut last: Option<i64> = None;
        for round in rounds {
            if let (Some(moves), Some(last)) = (&self.moves, last) {
                let times = round.number.abs_diff(last).clamp(1, self.initial.len() as u64);
                self.prior.clone_from(&self.posterior);
                for _ in 0..times {
                    self.prior = moves.moved(&self.prior);
                }
            }
            last = Some(round.number);
            let ln_evidence = self.decide(round);
            each(round, ln_evidence, &self.posterior);
        }
    }

    /// The posterior from the prior; gives `ln P(everything observed)`.
    fn decide(&mut self, round: &Round) -> f64 {
        let (ln_scale, weights) = self.load(round);
        let points = self.prior.len();
        self.posterior.fill(0.0);
        for (sums, weight) in self.sums.chunks_exact(points).zip(&weights) {
            for (sum, e) in self.posterior.iter_mut().zip(sums) {
                *sum += weight * e;
            }
        }
        for (p, prior) in self.posterior.iter_mut().zip(&self.prior) {
            *p *= prior;
        }
        let total: f64 = self.posterior.iter().sum();
        if total > 0.0 {
            self.posterior.iter_mut().for_each(|p| *p /= total);
            (ln_scale + total.ln()).max(LN_IMPOSSIBLE)
        } else {
            self.posterior.clone_from(&self.prior);
            LN_IMPOSSIBLE
        }
    }

    /// `E_b(x)` of a round, but for a factor whose logarithm it gives, and the weight of each `b`.
    fn load(&mut self, round: &Round) -> (f64, Vec<f64>) {
        let points = self.prior.len();
        self.sums.fill(0.0);
        self.sums.iter_mut().take(points).for_each(|e| *e = 1.0);
        let (mut ln_scale, mut left) = (0.0, 0);
        let width = self.sums.len() / points;
        for unit in &self.units {
            let observed = |&at: &usize| {
                let report = round.reports.get(at).copied().unwrap_or_default();
                (at, report.quantise(self.model.support()))
            };
            if unit.iter().map(observed).any(|(_, observation)| observation == Observation::Equivocated) {
                continue;
            }
            left += 1;
            if let [at] = unit.as_slice() {
                let (at, observation) = observed(at);
                let faulty = self.model.ln_faulty(observation).exp();
                let honest = honest(&self.model, &self.by_distance, (at, observation), &mut self.row);
                let scale = honest.iter().copied().fold(faulty, f64::max);
                ln_scale += scale.ln();
                absorb(&mut self.sums, honest, faulty, scale);
                continue;
            }
            let mut all_faulty = 1.0;
            self.together.fill(1.0);
            for (at, observation) in unit.iter().map(observed) {
                let faulty = self.model.ln_faulty(observation).exp();
                let honest = honest(&self.model, &self.by_distance, (at, observation), &mut self.row);
                // Scaled one by one, so that the product of many small likelihoods does not underflow.
                let scale = honest.iter().copied().fold(faulty, f64::max);
                ln_scale += scale.ln();
                all_faulty *= faulty / scale;
                self.together.iter_mut().zip(honest).for_each(|(product, h)| *product *= h / scale);
            }
            absorb(&mut self.sums, &self.together, all_faulty, 1.0);
        }
        let faults = self.model.faults().saturating_sub(self.units.len() - left);
        let weight = |b| if b > faults { 0.0 } else { 1.0 / (choose(left, b) * (faults + 1) as f64) };
        (ln_scale, (0..width).map(weight).collect())
    }
}

/// What an honest replica shows, by grid point: from the table of distances, or written into `row`.
fn honest<'a>(
    model: &CompiledModel,
    by_distance: &'a [Option<Vec<f64>>],
    (at, observation): (usize, Observation),
    row: &'a mut [f64],
) -> &'a [f64] {
    let points = row.len();
    let known = by_distance.get(at).and_then(Option::as_ref);
    match (observation, known) {
        // Inside the support: the distances run along the table.
        (Observation::Bin(bin), Some(masses)) if (0..points as i64).contains(&bin) => {
            let from = points - 1 - bin as usize;
            masses.get(from..from + points).unwrap_or_default()
        }
        _ => {
            model.likelihood(at, observation, row);
            row.iter_mut().for_each(|ln| *ln = ln.exp());
            row
        }
    }
}

/// One more replica: `E_b ← (E_b·honest + E_{b−1}·faulty)/scale`.
fn absorb(sums: &mut [f64], honest: &[f64], faulty: f64, scale: f64) {
    let points = honest.len();
    let inverse = 1.0 / scale;
    let faulty = faulty * inverse;
    let rows = sums.len() / points.max(1);
    for b in (0..rows).rev() {
        let (below, row) = sums.split_at_mut(b * points);
        let row = row.iter_mut().take(points).zip(honest);
        match below.len().checked_sub(points).and_then(|from| below.get(from..)) {
            Some(fewer) => row.zip(fewer).for_each(|((e, h), one_fewer)| {
                *e = *e * (h * inverse) + one_fewer * faulty;
            }),
            None => row.for_each(|(e, h)| *e *= h * inverse),
        }
    }
}

/// Masses of a report by distance: those of a report at the right end, then those of one at the left end.
fn by_distance(model: &CompiledModel, at: usize) -> Vec<f64> {
    let points = model.support().points();
    let mut masses = vec![0.0; 2 * points - 1];
    let (left, _) = masses.split_at_mut(points);
    model.likelihood(at, Observation::Bin(points as i64 - 1), left);
    let (_, right) = masses.split_at_mut(points - 1);
    model.likelihood(at, Observation::Bin(0), right);
    masses.iter_mut().for_each(|ln| *ln = ln.exp());
    masses
}

fn moves(set: &ModelSet, spec: &StreamSpec) -> Option<Moves> {
    let PriorSpec::Following { step, leak, .. } = &spec.prior else { return None };
    let step = match step {
        DistributionRef::Inline(step) => step,
        DistributionRef::Named(name) => set.distributions.get(name)?,
    };
    let (width, reach) = (spec.support.step(), spec.support.points() as i64 - 1);
    let mass = |d: i64| step.ln_mass((d as f64 - 0.5) * width, (d as f64 + 0.5) * width).exp();
    Some(Moves { masses: (-reach..=reach).map(mass).collect(), leak: *leak })
}

impl Moves {
    fn moved(&self, prior: &[f64]) -> Vec<f64> {
        let points = prior.len();
        let mut moved = vec![0.0; points];
        for (from, mass) in prior.iter().enumerate().filter(|(_, mass)| **mass > UNSEEN) {
            let reached = self.masses.get(points - 1 - from..).unwrap_or_default();
            moved.iter_mut().zip(reached).for_each(|(p, share)| *p += mass * share);
        }
        let total: f64 = moved.iter().sum();
        if total <= 0.0 {
            return vec![1.0 / points as f64; points];
        }
        let leaked = self.leak / points as f64;
        moved.iter_mut().for_each(|p| *p = *p / total * (1.0 - self.leak) + leaked);
        moved
    }
}

/// Number of ways to choose `b` of `n`; infinite where there is none, so that its weight is 0.
fn choose(n: usize, b: usize) -> f64 {
    if b > n {
        return f64::INFINITY;
    }
    (0..b).map(|i| (n - i) as f64 / (i + 1) as f64).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use centauri_engine::{
        Distribution, FaultGroup, Fleet, Link, OutputSpec, Report, ScalarBackend, Session, Support,
    };

    /// Against the engine's decisions: peak, mean, and the distribution where the engine keeps it.
    #[test]
    fn the_engine_says_the_same() {
        let noise = |sd: f64| Distribution::normal(0.3, sd).unwrap();
        let mut spec = StreamSpec::builder("s", ["a", "b", "c", "d", "e"])
            .faults(2)
            .support(Support::new(-2.0, 0.5, 40).unwrap())
            .output(OutputSpec::new(Computation::Identity))
            .build();
        spec.output.noise = Some(noise(1.0).into());
        spec.link = Some(Link::OnTime(0.9));
        let grouped = vec![FaultGroup { name: "rack".to_owned(), members: vec![1, 4] }];
        spec.replicas[1].noise = Some(noise(2.5).into());
        let step = Distribution::laplace(0.2, 1.0).unwrap();
        let value = |number: i64, at: i64| match (number * 7 + at * 3) % 11 {
            0 => Report::Missing,
            1 => Report::Value(31.0),
            2 if at == 0 => Report::Equivocated,
            k => Report::Value(5.0 + (number % 9) as f64 * 0.8 + (k as f64 - 6.0) * 0.3),
        };
        let rounds: Vec<Round> = (0..40)
            .map(|k| Round { number: k + k / 13, reports: (0..5).map(|at| value(k, at)).collect() })
            .collect();
        let following = PriorSpec::following(step);
        let cases = [
            (PriorSpec::Uniform, Vec::new()),
            (following.clone(), Vec::new()),
            (PriorSpec::Uniform, grouped.clone()),
            (following, grouped),
        ];
        for (prior, groups) in cases {
            (spec.prior, spec.groups) = (prior, groups);
            let set = ModelSet::default();
            let one = ModelSet { streams: vec![spec.clone()], ..ModelSet::default() };
            let fleet = Fleet::compile(&one).unwrap();
            let stream = fleet.stream_id("s").unwrap();
            let mut session = Session::new(fleet, Box::new(ScalarBackend::new()));
            Posterior::new(&set, &spec).unwrap().follow(&rounds, |round, _, posterior| {
                session.push(stream, round.number, &round.reports).unwrap();
                let decided = session.flush().unwrap();
                let decision = decided.decision(0);
                assert!((posterior[decision.point] - decision.confidence).abs() < 1e-6, "{round:?}");
                let mean: f64 = spec.support.iter().zip(posterior).map(|(x, p)| x * p).sum();
                assert!((mean - decision.mean).abs() < 1e-5, "{round:?}");
                for (ln, p) in decided.ln_marginal(0).iter().zip(posterior) {
                    assert!((ln.exp() - p).abs() < 1e-6, "{round:?}");
                }
            });
        }
    }
}
