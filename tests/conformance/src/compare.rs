//! One decision against the scalar backend's.

use centauri_engine::{CompiledModel, Decision, Decisions, Entry, Objective, Observation, Quorum, Status};

/// How far fields other than status, value and quorum may be off.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Of probabilities, and of the CDF at the ends of the credible interval.
    pub probability: f64,
    /// Of `log_evidence`, relative (absolute below 1).
    pub log_evidence: f64,
    /// Of mean and standard deviation, in steps of the support.
    pub moment: f64,
    /// Of the maxima (natural logarithm) whose points bound the region.
    pub region: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { probability: 1e-5, log_evidence: 1e-5, moment: 1e-4, region: 1e-4 }
    }
}

/// Compares round `i` of a backend's `found` with the scalar backend's `law`, which kept the marginal distribution.
///
/// # Panics
/// Where status, value or quorum differ at all, or another field by more than `tolerance`.
pub fn compare(
    context: &str,
    model: &CompiledModel,
    entry: &Entry<'_>,
    i: usize,
    (found, law): (&Decisions, &Decisions),
    tolerance: &Tolerance,
) {
    let (a, b) = (found.decision(i), law.decision(i));
    let same = a.status == b.status && a.point == b.point && a.quorum == b.quorum;
    assert!(same, "{context}\n found    {a:?}\n expected {b:?}");
    assert_eq!(a.value, b.value, "{context}");
    assert_eq!(a.exhaustive, b.exhaustive, "{context}");
    let near = |what: &str, found: f64, expected: f64, slack: f64| {
        assert!((found - expected).abs() <= slack, "{context}\n {what}: found {found}, expected {expected}");
    };
    near("confidence", a.confidence, b.confidence, tolerance.probability);
    let moment = tolerance.moment * model.support().step();
    near("mean", a.mean, b.mean, moment);
    near("sd", a.sd, b.sd, moment);
    match (a.log_evidence, b.log_evidence) {
        (Some(ln), Some(expected)) => {
            near("log_evidence", ln, expected, tolerance.log_evidence * expected.abs().max(1.0));
        }
        (ln, expected) => assert_eq!(ln, expected, "{context}"),
    }
    match (found.honest(i), law.honest(i)) {
        (Some(honest), Some(expected)) => {
            assert_eq!(honest.len(), expected.len(), "{context}");
            for (position, (&p, &q)) in honest.iter().zip(expected).enumerate() {
                near(&format!("honest {position}"), p, q, tolerance.probability);
            }
        }
        (honest, expected) => assert_eq!(honest, expected, "{context}"),
    }
    if entry.wants_marginal {
        let (ln, expected) = (found.ln_marginal(i), law.ln_marginal(i));
        assert_eq!(ln.len(), expected.len(), "{context}");
        for (&ln, &expected) in ln.iter().zip(expected) {
            near("marginal", ln.exp(), expected.exp(), tolerance.probability);
        }
    } else {
        assert!(found.ln_marginal(i).is_empty(), "{context}");
    }
    interval(context, model, entry, (a, b), law.ln_marginal(i), tolerance.probability);
    region(context, model, entry, (a, b), tolerance.region);
}

/// The ends of the credible interval are the scalar backend's, or the CDF is near its threshold there.
fn interval(
    context: &str,
    model: &CompiledModel,
    entry: &Entry<'_>,
    (a, b): (&Decision, &Decision),
    ln_marginal: &[f64],
    slack: f64,
) {
    if a.low == b.low && a.high == b.high {
        return;
    }
    let masses = reported(model, entry, b, ln_marginal);
    let tail = (1.0 - model.credible()) / 2.0;
    for (what, end, threshold) in [("low", a.low, tail), ("high", a.high, 1.0 - tail)] {
        let index = model.support().bin(end) as usize;
        let before: f64 = masses[..index].iter().sum();
        let reaches = before + masses[index] >= threshold - slack || index + 1 == masses.len();
        assert!(before < threshold + slack && reaches, "{context}\n {what}: found {end} in {a:?}, of {b:?}");
    }
}

/// The reported distribution, from the model's tables.
fn reported(model: &CompiledModel, entry: &Entry<'_>, law: &Decision, ln_marginal: &[f64]) -> Vec<f64> {
    let ln_prior = entry.ln_prior.unwrap_or(model.ln_prior());
    let objective = entry.objective.unwrap_or(model.objective());
    let ln = if law.status == Status::NoQuorum {
        ln_prior.to_vec()
    } else if objective == Objective::Marginal {
        ln_marginal.to_vec()
    } else {
        score(model, entry, ln_prior, |i| law.quorum.contains(i))
    };
    let top = ln.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = ln.iter().map(|l| (l - top).exp()).sum();
    ln.iter().map(|l| (l - top).exp() / total).collect()
}

fn score(
    model: &CompiledModel,
    entry: &Entry<'_>,
    ln_prior: &[f64],
    contains: impl Fn(usize) -> bool,
) -> Vec<f64> {
    let mut score = ln_prior.to_vec();
    let mut row = vec![0.0; score.len()];
    for (i, &observation) in entry.observations.iter().enumerate().filter(|(i, _)| contains(*i)) {
        model.likelihood(i, observation, &mut row);
        score.iter_mut().zip(&row).for_each(|(score, ln)| *score += ln);
    }
    score
}

/// The region's ends are the scalar backend's, or lie where maxima within `slack` of the largest would put them.
fn region(
    context: &str,
    model: &CompiledModel,
    entry: &Entry<'_>,
    (a, b): (&Decision, &Decision),
    slack: f64,
) {
    if a.region == b.region {
        return;
    }
    let (Some(found), Some(expected)) = (a.region, b.region) else {
        panic!("{context}\n region: found {:?}, expected {:?}", a.region, b.region);
    };
    let equivocated = |i: usize| entry.observations[i] == Observation::Equivocated;
    let left: Vec<Quorum> = model.units().filter(|unit| !unit.positions().any(equivocated)).collect();
    let faults = model.faults().saturating_sub(model.unit_count() - left.len());
    let ln_prior = entry.ln_prior.unwrap_or(model.ln_prior());
    let (mut low, mut high) = ((usize::MAX, usize::MAX), (0, 0));
    for bits in (0u32..1 << left.len()).filter(|bits| bits.count_ones() as usize == left.len() - faults) {
        let score = score(model, entry, ln_prior, |i| {
            left.iter().position(|unit| unit.contains(i)).is_some_and(|k| bits >> k & 1 == 1)
        });
        let top = score.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if top == f64::NEG_INFINITY {
            continue;
        }
        let near = |s: &f64| *s >= top - slack;
        let first = score.iter().position(near).unwrap_or(0);
        let last = score.iter().rposition(near).unwrap_or(0);
        low = (low.0.min(first), low.1.min(last));
        high = (high.0.max(first), high.1.max(last));
    }
    let bin = |x: f64| model.support().bin(x) as usize;
    let inside = (low.0..=low.1).contains(&bin(found.low)) && (high.0..=high.1).contains(&bin(found.high));
    assert!(inside, "{context}\n region: found {found:?}, expected {expected:?} ({low:?}, {high:?})");
}
