//! Random models and rounds.

use centauri_engine::*;
use rand::{Rng, RngExt};

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
