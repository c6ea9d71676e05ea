//! Timing backends in turns, on the same rounds.

use super::clock::{Elapsed, Reading};
use super::work::{Work, digest};
use crate::result::{Agreement, By, Settled, Speed, SpeedWork};
use anyhow::Context as _;
use centauri_engine::{Backend, BackendError, Batch, Decisions, Fleet, Rungs, SimdBackend};

/// A backend that is measured.
#[derive(Debug)]
pub struct Contender {
    /// Who it is.
    pub by: By,
    /// It decides.
    pub backend: Decider,
    /// What it decided last; kept, so that a batch finds its memory.
    pub decisions: Decisions,
}

/// A backend; SIMD tells more of itself than the others.
#[derive(Debug)]
pub enum Decider {
    /// The SIMD backend.
    Simd(Box<SimdBackend>),
    /// Any other.
    Other(Box<dyn Backend>),
}

impl Decider {
    /// Decides a batch.
    ///
    /// # Errors
    /// What the backend says.
    pub fn evaluate(
        &mut self,
        fleet: &Fleet,
        batch: &Batch,
        decisions: &mut Decisions,
    ) -> Result<(), BackendError> {
        match self {
            Self::Simd(backend) => backend.evaluate(fleet, batch, decisions),
            Self::Other(backend) => backend.evaluate(fleet, batch, decisions),
        }
    }

    /// Where rounds were settled, where that is told.
    fn rungs(&self) -> Option<Rungs> {
        match self {
            Self::Simd(backend) => Some(backend.rungs()),
            Self::Other(_) => None,
        }
    }
}

/// The shares of what was settled between two counts.
fn settled(before: Option<Rungs>, after: Option<Rungs>) -> Option<Settled> {
    let (before, after) = (before?, after?);
    let counts = [after.single - before.single, after.double - before.double, after.scalar - before.scalar];
    let all = counts.iter().sum::<u64>().max(1) as f64;
    let [float32, float64, scalar] = counts.map(|count| count as f64 / all);
    Some(Settled { float32, float64, scalar })
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Times that each batch is timed.
    pub samples: usize,
    /// Seconds that one such time should take; a batch is decided several times over where it is quicker, and has fewer
    /// rounds where it would be much slower.
    pub sample_s: f64,
    /// Rounds of a large work on which everybody's decisions are compared; of a small one all are.
    pub checked_large: usize,
}

impl Effort {
    /// For a look.
    pub const QUICK: Self = Self { samples: 3, sample_s: 0.02, checked_large: 64 };
    /// For a figure.
    pub const FULL: Self = Self { samples: 11, sample_s: 0.1, checked_large: 512 };
}

/// Rounds decided first, to see how long they take; no batch has fewer.
const PILOT_ROUNDS: usize = 8;
/// A contender that is this much slower than a sample should take gets fewer samples, so that the others need not wait.
const PATIENCE: f64 = 4.0;

/// What one contender took for batches of a work.
#[derive(Debug)]
pub struct Timed {
    /// Rounds of a batch.
    pub rounds: usize,
    /// What a batch took, sample by sample.
    pub samples: Vec<Elapsed>,
}

/// Times every contender on the rounds of `work`, sample by sample in turns, so that what else the machine does meanwhile
/// disturbs all alike. With `exact` every round of the work is decided, however long it takes.
///
/// # Errors
/// A work that makes no model, or what a backend says.
pub fn in_turns(
    contenders: &mut [Contender],
    work: &Work,
    seed: u64,
    effort: &Effort,
    exact: bool,
) -> anyhow::Result<Vec<Timed>> {
    let fleet = work.fleet()?;
    let mut prepared = Vec::with_capacity(contenders.len());
    for contender in contenders.iter_mut() {
        prepared.push(contender.prepare(&fleet, work, seed, effort, exact)?);
    }
    for sample in 0..effort.samples {
        let due = contenders.iter_mut().zip(&mut prepared).filter(|(_, prepared)| sample < prepared.samples);
        for (contender, prepared) in due {
            let taken = contender.time(&fleet, &prepared.batch, prepared.times)?;
            let each = |s: f64| s / prepared.times as f64;
            prepared.timed.samples.push(Elapsed {
                wall_s: each(taken.wall_s),
                cpu_s: each(taken.cpu_s),
                busiest_s: each(taken.busiest_s),
            });
        }
    }
    Ok(prepared.into_iter().map(|prepared| prepared.timed).collect())
}

/// A contender's batch, how often it is decided in a sample, and how many samples it gets.
struct Prepared {
    batch: Batch,
    times: usize,
    samples: usize,
    timed: Timed,
}

impl Contender {
    /// Finds out how many rounds to decide, how often, and how many times to do so.
    fn prepare(
        &mut self,
        fleet: &Fleet,
        work: &Work,
        seed: u64,
        effort: &Effort,
        exact: bool,
    ) -> anyhow::Result<Prepared> {
        let pilot = work.batch(PILOT_ROUNDS.min(work.streams), seed)?;
        // The first batch finds caches empty and tables not yet made.
        self.time(fleet, &pilot, 1)?;
        let pilot_s = self.time(fleet, &pilot, 1)?;
        let round_s = lasted(&self.by, &pilot_s) / pilot.len() as f64;
        let affordable = (2.0 * effort.sample_s / round_s) as usize;
        let rounds = if exact { work.streams } else { affordable.clamp(pilot.len(), work.streams) };
        let batch = work.batch(rounds, seed)?;
        let batch_s = self.time(fleet, &batch, 1)?;
        let batch_s = lasted(&self.by, &batch_s);
        let times = ((effort.sample_s / batch_s).ceil() as usize).clamp(1, 1_000);
        let patience = (PATIENCE * effort.sample_s / batch_s * effort.samples as f64) as usize;
        let samples = patience.clamp(effort.samples.min(3), effort.samples);
        Ok(Prepared { batch, times, samples, timed: Timed { rounds, samples: Vec::new() } })
    }

    /// Decides a batch so many times.
    fn time(&mut self, fleet: &Fleet, batch: &Batch, times: usize) -> anyhow::Result<Elapsed> {
        let Self { by, backend, decisions } = self;
        let reading = Reading::now();
        let run = (0..times).try_for_each(|_| backend.evaluate(fleet, batch, decisions));
        run.with_context(|| by.backend.clone())?;
        Ok(reading.elapsed())
    }

    /// Decides a batch and says where its rounds were settled.
    fn decide(&mut self, fleet: &Fleet, batch: &Batch) -> anyhow::Result<Option<Settled>> {
        let before = self.backend.rungs();
        self.time(fleet, batch, 1)?;
        Ok(settled(before, self.backend.rungs()))
    }
}

/// How long something took that a contender did, whatever else the machine did meanwhile. A GPU's time is on no clock but the
/// wall's.
fn lasted(by: &By, elapsed: &Elapsed) -> f64 {
    if matches!(by.backend.as_str(), "scalar" | "simd") { elapsed.busiest_s } else { elapsed.wall_s }
}

/// The records of a work: each contender beside the scalar backend, if that is among them.
///
/// # Errors
/// As [`in_turns`].
pub fn speeds(
    contenders: &mut [Contender],
    work: &Work,
    seed: u64,
    effort: &Effort,
) -> anyhow::Result<Vec<Speed>> {
    let timed = in_turns(contenders, work, seed, effort, false)?;
    let scalar = contenders.iter().position(|c| c.by.backend == "scalar");
    let scalar_s = scalar.and_then(|i| timed.get(i)).map(|t| t.median(|e| e.cpu_s) / t.rounds as f64);
    // Everybody decides the same rounds once more, as many as the slowest can in bearable time.
    let checked = if work.n > 8 { effort.checked_large } else { work.streams };
    let (fleet, batch) = (work.fleet()?, work.batch(checked.min(work.streams), seed)?);
    let mut law: Option<Decisions> = None;
    let mut records = Vec::with_capacity(contenders.len());
    for (i, (contender, timed)) in contenders.iter_mut().zip(&timed).enumerate() {
        let settled = contender.decide(&fleet, &batch)?;
        if Some(i) == scalar {
            law = Some(contender.decisions.clone());
        }
        let rate = |time: fn(&Elapsed) -> f64| timed.rounds as f64 / timed.median(time);
        let decisions_per_cpu_s = rate(|e| e.cpu_s);
        records.push(Speed {
            work: work.record(),
            by: contender.by.clone(),
            rounds: timed.rounds,
            samples: timed.samples.len(),
            decisions_per_cpu_s,
            decisions_per_wall_s: rate(|e| e.wall_s),
            decisions_per_busiest_s: rate(|e| e.busiest_s),
            spread: timed.spread(),
            against_scalar: scalar_s.map(|scalar_s| decisions_per_cpu_s * scalar_s),
            agreement: law.as_ref().map(|law| agreement(law, &contender.decisions)),
            settled,
            digest: format!("{:016x}", digest(&contender.decisions, batch.len())),
            seed,
        });
    }
    Ok(records)
}

impl Timed {
    /// The median over the samples.
    #[must_use]
    pub fn median(&self, time: fn(&Elapsed) -> f64) -> f64 {
        median(self.samples.iter().map(time).collect())
    }

    /// [`spread`] of processor time.
    fn spread(&self) -> f64 {
        spread(&self.samples.iter().map(|e| e.cpu_s).collect::<Vec<_>>())
    }
}

/// 1.4826 × the median distance of the values from their median, over the median.
pub(crate) fn spread(values: &[f64]) -> f64 {
    let centre = median(values.to_vec());
    1.4826 * median(values.iter().map(|value| (value - centre).abs()).collect()) / centre
}

/// The median; NaN of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().saturating_sub(1) / 2), values.get(values.len() / 2));
    f64::midpoint(low.copied().unwrap_or(f64::NAN), high.copied().unwrap_or(f64::NAN))
}

/// Compares decisions on the same rounds, as many as both have.
#[must_use]
pub fn agreement(law: &Decisions, other: &Decisions) -> Agreement {
    let rounds = law.len().min(other.len());
    let mut agreement = Agreement { rounds, different: 0, probability_error: 0.0 };
    for i in 0..rounds {
        let (a, b) = (law.decision(i), other.decision(i));
        agreement.different += usize::from((a.point, a.status, a.quorum) != (b.point, b.status, b.quorum));
        let honest = law.honest(i).into_iter().flatten().zip(other.honest(i).into_iter().flatten());
        let errors = honest.map(|(a, b)| (a - b).abs()).chain([(a.confidence - b.confidence).abs()]);
        agreement.probability_error = errors.fold(agreement.probability_error, f64::max);
    }
    agreement
}

impl Work {
    /// The work as a record has it.
    #[must_use]
    pub fn record(&self) -> SpeedWork {
        SpeedWork {
            name: self.name.clone(),
            streams: self.streams,
            n: self.n,
            f: self.f,
            points: self.points,
            objective: self.objective.name().to_owned(),
            region: self.region,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_by_hand() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
        let at = |cpu_s| Elapsed { wall_s: 0.0, cpu_s, busiest_s: 0.0 };
        let timed = Timed { rounds: 1, samples: [1.0, 2.0, 2.0, 3.0, 10.0].map(at).to_vec() };
        // Distances from 2: 1, 0, 0, 1, 8; their median is 1.
        assert!((timed.spread() - 1.4826 / 2.0).abs() < 1e-12);
    }

    #[test]
    fn different_decisions_are_counted() {
        let work = Work::named("A").unwrap();
        let fleet = work.fleet().unwrap();
        let decide = |seed| {
            let mut decisions = Decisions::new();
            let batch = work.batch(64, seed).unwrap();
            centauri_engine::ScalarBackend::new().evaluate(&fleet, &batch, &mut decisions).unwrap();
            decisions
        };
        let (one, other) = (decide(1), decide(2));
        assert_eq!(agreement(&one, &one), Agreement { rounds: 64, different: 0, probability_error: 0.0 });
        assert!(agreement(&one, &other).different > 32);
    }
}
