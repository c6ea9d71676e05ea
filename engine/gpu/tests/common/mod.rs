//! Random models and rounds, and what is demanded of a decision on the device.

use centauri_engine::*;
use centauri_gpu::{GpuBackend, GpuError, GpuOptions};
use rand::{Rng, RngExt};

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

fn between(rng: &mut impl Rng, low: f64, high: f64) -> f64 {
    rng.random_range(low..high)
}

fn latency(rng: &mut impl Rng) -> Distribution {
    match rng.random_range(0..3) {
        0 => Distribution::exponential(between(rng, 0.005, 0.05)),
        1 => Distribution::gamma(between(rng, 0.7, 4.0), between(rng, 0.002, 0.02)),
        _ => Distribution::weibull(between(rng, 0.7, 3.0), between(rng, 0.005, 0.05)),
    }
    .expect("legal parameters")
}

fn noise(rng: &mut impl Rng) -> Distribution {
    let (mean, scale) = (between(rng, -1.0, 1.0), between(rng, 0.4, 3.0));
    match rng.random_range(0..6) {
        0 | 1 => Distribution::normal(mean, scale),
        2 => Distribution::laplace(mean, scale),
        3 => Distribution::logistic(mean, scale),
        4 => Distribution::student_t(between(rng, 3.0, 9.0), mean, scale),
        _ => Distribution::uniform(mean - 3.0 * scale, mean + 3.0 * scale),
    }
    .expect("legal parameters")
}

fn output(rng: &mut impl Rng, computation: Computation) -> OutputSpec {
    let mut output = OutputSpec::new(computation);
    let messages = rng.random_range(1..7);
    output.messages = (0..messages).map(|_| between(rng, 0.0, 0.1)).collect();
    if rng.random_bool(0.8) {
        output.arrival = Some(latency(rng).into());
        output.deadline = Some(between(rng, 0.05, 0.15));
    }
    match computation {
        Computation::Identity => output.noise = Some(noise(rng).into()),
        Computation::Count => {}
        Computation::Min | Computation::Max => {
            output.source = Some(Distribution::normal(10.0, between(rng, 2.0, 6.0)).expect("legal").into());
        }
        Computation::Sum | Computation::Mean | Computation::Last => {
            output.source = Some(Distribution::gamma(2.0, between(rng, 0.5, 2.0)).expect("legal").into());
            if rng.random_bool(0.5) {
                output.noise = Some(noise(rng).into());
            }
        }
    }
    output
}

/// A stream of a random computation, with up to `replicas` replicas and `points` points.
pub(crate) fn stream(rng: &mut impl Rng, name: &str, replicas: usize, points: usize) -> StreamSpec {
    let computation = Computation::ALL[rng.random_range(0..7)];
    let n: usize = rng.random_range(1..=replicas);
    let output = output(rng, computation);
    let support = if computation == Computation::Count {
        Support::new(0.0, 1.0, output.messages.len() + 1)
    } else {
        Support::new(between(rng, -3.0, 3.0), between(rng, 0.3, 1.2), rng.random_range(1..=points))
    };
    let support = support.expect("a legal support");
    let centre = support.point(support.points() / 2);
    let prior = match rng.random_range(0..3) {
        0 => Distribution::normal(centre, 8.0).ok().map(|d| PriorSpec::Fixed(d.into())),
        1 => Distribution::laplace(centre, 2.0).ok().map(|d| PriorSpec::Fixed(d.into())),
        _ => None,
    };
    let names: Vec<String> = (0..n).map(|i| format!("r{i}")).collect();
    let mut spec = StreamSpec::builder(name, names.iter().map(String::as_str))
        .faults(rng.random_range(0..=(n - 1).min(n / 2 + 1)))
        .support(support)
        .output(output)
        .build();
    spec.prior = prior.unwrap_or(PriorSpec::Uniform);
    spec.objective = Objective::ALL[rng.random_range(0..Objective::ALL.len())];
    if rng.random_bool(0.7) {
        spec.link = Some(Link::OnTime(between(rng, 0.5, 1.0)));
    }
    for replica in &mut spec.replicas {
        if rng.random_bool(0.2) {
            replica.link = Some(Link::OnTime(between(rng, 0.5, 1.0)));
        }
        if computation == Computation::Identity && rng.random_bool(0.2) {
            replica.noise = Some(noise(rng).into());
        }
    }
    spec
}

/// What was observed of each replica: reports around a truth, liars anywhere, silence, now and then an equivocation.
pub(crate) fn observations(rng: &mut impl Rng, model: &CompiledModel) -> Vec<Observation> {
    let points = model.support().points() as i64;
    let truth = rng.random_range(0..points);
    let wild = rng.random_bool(0.05);
    (0..model.replicas())
        .map(|_| match rng.random_range(0..100) {
            0..=7 => Observation::Missing,
            8 if wild => Observation::Equivocated,
            8..=25 => Observation::Bin(rng.random_range(-2..points + 2)),
            26 if wild => Observation::Bin(rng.random_range(-9 * points..9 * points)),
            _ => Observation::Bin(truth + rng.random_range(-2..=2)),
        })
        .collect()
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

/// A batch of `rounds` random rounds of the fleet; only `marginal` and without regions where that is asked for.
pub(crate) fn batch(rng: &mut impl Rng, fleet: &Fleet, rounds: usize, marginal: bool) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..rounds {
        let model = ModelId(rng.random_range(0..fleet.models() as u32));
        let any = Objective::ALL[rng.random_range(0..Objective::ALL.len())];
        let objective =
            if marginal { Some(Objective::Marginal) } else { rng.random_bool(0.5).then_some(any) };
        batch.push(Entry {
            model,
            objective,
            wants_marginal: false,
            wants_region: !marginal && rng.random_bool(0.3),
            observations: &observations(rng, fleet.model(model).expect("a model")),
            ln_prior: None,
        });
    }
    batch
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
