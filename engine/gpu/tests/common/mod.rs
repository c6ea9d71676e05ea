//! What is demanded of a decision on the device.

use centauri_engine::*;
use centauri_gpu::{GpuBackend, GpuError, GpuOptions};

/// A backend on whatever adapter there is; `None`, said aloud, where there is none. `CENTAURI_REQUIRE_GPU=1` makes that a failure.
pub(crate) fn backend(subgroups: bool) -> Option<GpuBackend> {
    let options = GpuOptions { software: true, subgroups, ..GpuOptions::default() };
    match GpuBackend::open(options, Box::new(ScalarBackend::new())) {
        Ok(backend) => Some(backend),
        Err(error) => {
            skip(&error);
            None
        }
    }
}

/// Says that a test was skipped, or fails.
pub(crate) fn skip(error: &GpuError) {
    let required = std::env::var("CENTAURI_REQUIRE_GPU").is_ok_and(|v| v == "1");
    assert!(!required, "CENTAURI_REQUIRE_GPU=1, but {error}");
    println!("skipped: {error}");
}

/// Asserts that `found` says what `law`, the scalar backend's decision, says.
pub(crate) fn check(
    what: &str,
    model: &CompiledModel,
    law: (&Decision, Option<&[f64]>),
    found: (&Decision, Option<&[f64]>),
) {
    let ((law, law_honest), (found, found_honest)) = (law, found);
    let both = || format!("{what}\nlaw:   {law:?} {law_honest:?}\nfound: {found:?} {found_honest:?}");
    assert_eq!(
        (law.status, law.point, law.value, law.quorum),
        (found.status, found.point, found.value, found.quorum),
        "{}",
        both()
    );
    assert_eq!(law.exhaustive, found.exhaustive, "{}", both());
    assert!((law.confidence - found.confidence).abs() < 1e-4, "confidence: {}", both());
    let step = model.support().step();
    let extent = step * model.support().points() as f64;
    for (name, a, b, slack) in [
        ("mean", law.mean, found.mean, 1e-4 * extent),
        ("sd", law.sd, found.sd, 1e-4 * extent + 1e-3 * step),
        ("low", law.low, found.low, 1.001 * step),
        ("high", law.high, found.high, 1.001 * step),
    ] {
        assert!((a - b).abs() <= slack, "{name}: {}", both());
    }
    match (law.log_evidence, found.log_evidence) {
        (Some(a), Some(b)) => assert!((a - b).abs() <= 1e-5 * (10.0 + a.abs()), "evidence: {}", both()),
        (a, b) => assert_eq!(a, b, "{}", both()),
    }
    assert_eq!(law.region.is_some(), found.region.is_some(), "{}", both());
    assert_eq!(law_honest.map(<[f64]>::len), found_honest.map(<[f64]>::len), "{}", both());
    for (a, b) in law_honest.unwrap_or_default().iter().zip(found_honest.unwrap_or_default()) {
        assert!((a - b).abs() < 1e-4, "honest: {}", both());
    }
}

/// Decides `batch` by both and compares every decision.
pub(crate) fn compare(what: &str, gpu: &mut GpuBackend, fleet: &Fleet, batch: &Batch) -> Decisions {
    let (mut law, mut found) = (Decisions::new(), Decisions::new());
    ScalarBackend::new().evaluate(fleet, batch, &mut law).expect("rounds that fit");
    gpu.evaluate(fleet, batch, &mut found).expect("rounds that fit");
    assert_eq!(law.len(), found.len());
    for (i, entry) in batch.iter().enumerate() {
        let model = fleet.model(entry.model).expect("a model");
        let round = format!(
            "{what}, round {i}: {entry:?}, n {}, f {}, {} points",
            model.replicas(),
            model.faults(),
            model.support().points()
        );
        check(&round, model, (law.decision(i), law.honest(i)), (found.decision(i), found.honest(i)));
        assert_eq!(law.ln_marginal(i).len(), found.ln_marginal(i).len());
        let equivocated = entry.observations.contains(&Observation::Equivocated);
        if let Some(region) = found.decision(i).region.filter(|_| model.replicas() <= 12 && !equivocated) {
            check_region(&round, model, &entry, region);
        }
    }
    found
}

/// Asserts that the region's ends lie where maxima within 1e-3 of each quorum's would put them.
pub(crate) fn check_region(what: &str, model: &CompiledModel, entry: &Entry<'_>, region: Region) {
    let (n, points) = (model.replicas(), model.support().points());
    let mut rows = vec![vec![0.0; points]; n];
    for (position, row) in rows.iter_mut().enumerate() {
        model.likelihood(position, entry.observations[position], row);
    }
    let (mut low, mut high) = ((points, points), (0, 0));
    for bits in (0u32..1 << n).filter(|bits| bits.count_ones() as usize == n - model.faults()) {
        let members: Vec<usize> = (0..n).filter(|i| bits >> i & 1 == 1).collect();
        let score = |x: usize| model.ln_prior()[x] + members.iter().map(|&i| rows[i][x]).sum::<f64>();
        let scores: Vec<f64> = (0..points).map(score).collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if top == f64::NEG_INFINITY {
            continue;
        }
        let near = |&x: &usize| scores[x] >= top - 1e-3;
        let (first, last) = ((0..points).find(near).unwrap_or(0), (0..points).rfind(near).unwrap_or(0));
        low = (low.0.min(first), low.1.min(last));
        high = (high.0.max(first), high.1.max(last));
    }
    let at = |s: usize| model.support().point(s);
    let inside =
        (at(low.0)..=at(low.1)).contains(&region.low) && (at(high.0)..=at(high.1)).contains(&region.high);
    assert!(inside, "{what}: region {region:?}, low end {low:?}, high end {high:?}");
}
