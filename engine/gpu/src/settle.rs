//! In float64: the value among grid points whose weights float32 cannot tell apart, and one quorum against another.

use centauri_engine::limits::TIE;
use centauri_engine::{CompiledModel, Entry, Objective, Quorum};
use std::ops::RangeInclusive;

/// Below this a sum in plain float64 may have lost terms.
const SAFE: f64 = 1e-250;

/// The first of `points` whose weight is within a tie of the largest: of the score of `quorum`, or under the marginal model.
/// `None` where that is not certain either.
pub(crate) fn first(
    model: &CompiledModel,
    entry: &Entry<'_>,
    quorum: Option<Quorum>,
    points: RangeInclusive<usize>,
) -> Option<usize> {
    let faults = model.faults();
    let mut sums = vec![0.0; faults + 1];
    let mut weights = Vec::with_capacity(points.end() - points.start() + 1);
    for x in points.clone() {
        weights.push(match quorum {
            Some(quorum) => score(model, entry, quorum, x)?,
            None => marginal(model, entry, x, &mut sums)?,
        });
    }
    let top = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let at = weights.iter().position(|&ln| ln >= top - TIE)?;
    Some(points.start() + at)
}

/// `L_i(x)` of the replica at `position`.
fn likelihood(model: &CompiledModel, entry: &Entry<'_>, position: usize, x: usize) -> Option<f64> {
    use centauri_engine::Observation;
    let table = model.table_index(position);
    match entry.observations[position] {
        Observation::Missing => Some(model.ln_missing(table)),
        Observation::Bin(bin) => {
            let rows = model.table_rows(table);
            rows.cells().get(rows.start(bin, model.support().points())? + x).copied()
        }
        Observation::Equivocated => None,
    }
}

/// `ln P(x) + Σ L_i(x)` over the quorum.
fn score(model: &CompiledModel, entry: &Entry<'_>, quorum: Quorum, x: usize) -> Option<f64> {
    let mut sum = model.ln_prior()[x];
    for position in quorum.positions() {
        sum += likelihood(model, entry, position, x)?;
    }
    Some(sum)
}

/// `ln P(x) Σ_b E_b(x)/((f + 1)·C(n, b))`, but for what is the same at every point.
fn marginal(model: &CompiledModel, entry: &Entry<'_>, x: usize, sums: &mut [f64]) -> Option<f64> {
    sums.fill(0.0);
    sums[0] = 1.0;
    let mut ln_scale = model.ln_prior()[x];
    for (position, &observation) in entry.observations.iter().enumerate() {
        let (ln_honest, ln_faulty) = (likelihood(model, entry, position, x)?, model.ln_faulty(observation));
        let top = ln_honest.max(ln_faulty);
        ln_scale += top;
        let (honest, faulty) = ((ln_honest - top).exp(), (ln_faulty - top).exp());
        for b in (0..sums.len()).rev() {
            let left_out = if b > 0 { sums[b - 1] * faulty } else { 0.0 };
            sums[b] = sums[b] * honest + left_out;
        }
    }
    let mut choices = 1.0;
    let mut total = 0.0;
    for (b, sum) in sums.iter().enumerate() {
        if b > 0 {
            choices *= (model.replicas() - b + 1) as f64 / b as f64;
        }
        total += sum / choices;
    }
    (total >= SAFE).then(|| ln_scale + total.ln())
}

/// Whether `quorum`, the earlier in lexicographic order, is chosen before `rival`; `None` where that is open.
pub(crate) fn stands(
    model: &CompiledModel,
    entry: &Entry<'_>,
    objective: Objective,
    quorum: Quorum,
    rival: Quorum,
) -> Option<bool> {
    let (first, second) = criteria(model, entry, objective, quorum)?;
    let (rival_first, rival_second) = criteria(model, entry, objective, rival)?;
    let apart = if (first - rival_first).abs() > TIE { first - rival_first } else { second - rival_second };
    Some(apart >= -TIE)
}

/// The criterion of the objective and the one that breaks its ties; `None` where the quorum is impossible.
fn criteria(
    model: &CompiledModel,
    entry: &Entry<'_>,
    objective: Objective,
    quorum: Quorum,
) -> Option<(f64, f64)> {
    let left_out = (0..model.replicas()).filter(|&i| !quorum.contains(i));
    let ln_rest: f64 = left_out.map(|i| model.ln_faulty(entry.observations[i])).sum();
    let points = model.support().points();
    let scores = (0..points).map(|x| score(model, entry, quorum, x)).collect::<Option<Vec<f64>>>()?;
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return None;
    }
    let ln_sum = top + scores.iter().map(|ln| (ln - top).exp()).sum::<f64>().ln();
    let (ln_evidence, ln_joint, ln_peak) = (ln_sum + ln_rest, top + ln_rest, top - ln_sum);
    match objective {
        Objective::Evidence => Some((ln_evidence, ln_peak)),
        Objective::Joint => Some((ln_joint, ln_evidence)),
        Objective::Posterior => Some((ln_peak, ln_evidence)),
        _ => None,
    }
}
