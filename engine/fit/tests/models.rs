//! Models fitted to histories that were made from known ones, with a replica that lies in every round.

use centauri_engine::{Computation, Distribution, Link, ModelSet, OutputSpec, PriorSpec, Report, StreamSpec};
use centauri_fit::{
    Calibration, FittedModel, History, Missing, ModelFitError, ModelOptions, Round, Template, fit_model,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const BIASES: [f64; 5] = [-1.0, 0.5, 0.0, 1.5, -1.0];
const SDS: [f64; 5] = [0.5, 0.5, 1.0, 0.5, 0.7];

/// A slow walk, or values that have nothing to do with the ones before.
fn history(walks: bool, rounds: i64) -> Vec<Round> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut draw = |d: &Distribution| d.quantile((f64::from(rng.random::<u32>()) + 0.5) / 4_294_967_296.0);
    let unit = Distribution::normal(0.0, 1.0).unwrap();
    let mut x = 50.0;
    let mut round = |number: i64| {
        x = if walks { x + 0.5 * draw(&unit) } else { 50.0 + 8.0 * draw(&unit) };
        let liar = (number * 7 / 3 % 5) as usize;
        let report = |at: usize| match (number + at as i64) % 10 {
            _ if at == liar => Report::Value(x + 25.0),
            0 => Report::Missing,
            _ => Report::Value(x + BIASES[at] + SDS[at] * draw(&unit)),
        };
        Round { number, reports: (0..5).map(report).collect() }
    };
    (0..rounds).map(&mut round).collect()
}

fn template() -> Template {
    let spec = StreamSpec::builder("s", ["a", "b", "c", "d", "e"])
        .faults(1)
        .output(OutputSpec::new(Computation::Identity))
        .build();
    Template { set: ModelSet { streams: vec![spec], ..ModelSet::default() }, missing: vec![Missing::ALL] }
}

fn fit(rounds: Vec<Round>) -> FittedModel {
    let options = ModelOptions { calibration: Calibration::Likelihood };
    fit_model(&template(), &[History { stream: "s".to_owned(), rounds }], &options).unwrap()
}

#[test]
fn biases_noises_and_punctuality_are_found_although_somebody_always_lies() {
    let fitted = fit(history(true, 600));
    let spec = &fitted.set.streams[0];
    let report = &fitted.reports[0];
    for (at, replica) in report.replicas.iter().enumerate() {
        let noise = replica.noise.as_ref().unwrap();
        assert!((noise.median() - BIASES[at]).abs() < 0.25, "{at}: {noise:?}");
        let width = (noise.quantile(0.8413) - noise.quantile(0.1587)) / 2.0 * report.likelihood_factor;
        assert!((0.6..1.6).contains(&(width / SDS[at])), "{at}: {width} {report:?}");
        let Some(Link::OnTime(p)) = spec.replicas[at].link else { panic!("{spec:?}") };
        assert!((p - 0.92).abs() < 0.04, "{at}: {p}");
    }
    assert!(matches!(spec.prior, PriorSpec::Following { .. }), "{:?}", spec.prior);
    assert!(spec.support.step() <= 0.2 && spec.support.points() <= 4096, "{:?}", spec.support);
}

#[test]
fn a_stream_without_memory_gets_a_fixed_prior() {
    let fitted = fit(history(false, 400));
    assert!(matches!(fitted.set.streams[0].prior, PriorSpec::Fixed(_)), "{:?}", fitted.reports);
}

#[test]
fn what_is_given_stays() {
    let mut given = template();
    given.set = fit(history(true, 300)).set;
    given.missing = vec![Missing { link: true, ..Missing::default() }];
    let rounds = history(true, 300);
    let fitted =
        fit_model(&given, &[History { stream: "s".to_owned(), rounds }], &ModelOptions::default()).unwrap();
    assert_eq!(fitted.set.streams[0].support, given.set.streams[0].support);
    assert_eq!(fitted.set.streams[0].prior, given.set.streams[0].prior);
    assert_eq!(fitted.set.streams[0].replicas, given.set.streams[0].replicas);
}

#[test]
fn histories_that_do_not_fit_are_errors() {
    let run = |rounds: Vec<Round>| {
        fit_model(&template(), &[History { stream: "s".to_owned(), rounds }], &ModelOptions::default())
    };
    assert!(matches!(
        fit_model(&template(), &[], &ModelOptions::default()),
        Err(ModelFitError::NoHistory(_))
    ));
    assert!(matches!(run(history(true, 20)), Err(ModelFitError::TooFewRounds { found: 20, .. })));
    let mut rounds = history(true, 100);
    rounds.swap(3, 4);
    assert!(matches!(run(rounds), Err(ModelFitError::Round { round: 3, .. })));
    let mut rounds = history(true, 100);
    rounds[5].reports.pop();
    assert!(matches!(run(rounds), Err(ModelFitError::Round { round: 5, .. })));
    let mut rounds = history(true, 100);
    rounds[6].reports[0] = Report::Value(f64::NAN);
    assert!(matches!(run(rounds), Err(ModelFitError::Round { round: 6, .. })));
    let still = |number| Round { number, reports: vec![Report::Value(5.0); 5] };
    assert!(matches!(run((0..100).map(still).collect()), Err(ModelFitError::Noise { .. })));
}
