use super::model::{Mover, Told};
use super::*;
use centauri_engine::*;
use rand_distr::{Distribution as _, StandardNormal};

fn scenario(noise: Noise, prior: Prior) -> Scenario {
    Scenario { noise, n: 5, f: 1, prior, loss: 0.0, drift: Drift::None, wrong: Wrong::Right }
}

#[test]
fn a_moved_prior_is_the_engines() {
    let step = Distribution::normal(0.0, MOVE_SD).unwrap();
    let support = Support::new(-14.0, 0.1, 281).unwrap();
    let noise = Distribution::normal(0.0, 1.0).unwrap();
    let prior = PriorSpec::Following {
        step: step.clone().into(),
        initial: Some(Distribution::normal(0.0, 1.0).unwrap().into()),
        leak: limits::LEAK_DEFAULT,
    };
    let spec = StreamSpec::builder("s", ["a", "b", "c", "d", "e"])
        .faults(1)
        .support(support)
        .prior(prior)
        .output(OutputSpec::identity(noise))
        .build();
    let fleet = Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() }).unwrap();
    let mut session = Session::new(fleet, Box::new(ScalarBackend::new()));
    let stream = session.fleet().stream_id("s").unwrap();

    let scenario = scenario(Noise::Gaussian, Prior::Following);
    let told = std::sync::Arc::new(Told::new(&scenario).unwrap());
    let mut ours = crate::estimator::objective::OfObjective::new(Objective::Marginal, told);
    let chain = &scenario.generate(&mut seed::generator(3), 1, 6)[0];
    for (t, round) in chain.rounds.iter().enumerate() {
        use crate::estimator::Estimator as _;
        let reports = round.honest_reports();
        session.push(stream, t as i64, &reports).unwrap();
        let decision = *session.flush().unwrap().decision(0);
        let estimate = ours.estimate(&reports).unwrap();
        assert!((decision.mean - estimate.value).abs() < 1e-9, "round {t}");
        ours.commit(&estimate);
    }
    let moved = Mover::new(&step, &support, limits::LEAK_DEFAULT).advance(&vec![-(281f64).ln(); 281]);
    assert!((moved.iter().map(|l| l.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn a_window_of_every_kind_is_what_its_model_says() {
    for computation in [Computation::Count, Computation::Mean, Computation::Last, Computation::Min] {
        let scenario = scenario(Noise::Window(computation), Prior::None);
        let told = Told::new(&scenario).unwrap();
        let model = told.model();
        let support = *model.support();
        // The same truth over and over, in the middle of the support: shares of reports below and at it.
        let window = Window::new(computation);
        let mut rng = seed::generator(11);
        let middle = support.points() / 2;
        let truth = support.point(middle);
        let draws = 20_000;
        let mut seen = std::collections::BTreeMap::<i64, f64>::new();
        for _ in 0..draws {
            let readings = window.readings(&mut rng, truth);
            if let Some(v) = window.report(&mut rng, &readings) {
                *seen.entry(support.bin(v)).or_default() += 1.0 / f64::from(draws);
            }
        }
        let mut row = vec![0.0; support.points()];
        let (mut drawn, mut modelled) = (0.0, 0.0);
        let reach = support.points() as i64;
        for i in -reach..2 * reach {
            model.likelihood(0, Observation::Bin(i), &mut row);
            drawn += seen.get(&i).copied().unwrap_or(0.0);
            modelled += row[middle].exp();
            assert!((drawn - modelled).abs() < 0.015, "{computation} up to bin {i}: {drawn} {modelled}");
        }
        assert!((drawn - modelled).abs() < 0.002, "{computation}: nothing to report");
    }
}

#[test]
fn truths_keep_to_the_support_and_liars_to_their_number() {
    for noise in [Noise::Gaussian, Noise::Window(Computation::Count)] {
        for prior in Prior::ALL {
            let ground = Ground::new(noise, prior);
            let chains = scenario(noise, prior).generate(&mut seed::generator(1), 20, 25);
            for chain in &chains {
                assert_eq!(chain.held.iter().filter(|h| **h).count(), 1);
                assert!(chain.rounds.iter().all(|r| ground.low <= r.truth && r.truth <= ground.high));
            }
        }
    }
}

#[test]
fn errors_have_the_unit_as_their_spread_and_drift_changes_them() {
    let spread = |drift: Drift| {
        let scenario = Scenario { drift, ..scenario(Noise::Gaussian, Prior::None) };
        let chains = scenario.generate(&mut seed::generator(2), 100, 25);
        let squares: Vec<f64> = chains
            .iter()
            .flat_map(|c| &c.rounds)
            .flat_map(|r| r.measured.iter().flatten().map(|v| (v - r.truth).powi(2)).collect::<Vec<_>>())
            .collect();
        squares.iter().sum::<f64>() / squares.len() as f64
    };
    // ½² · ½ for the swing; ∫(1 + t/2)² dt = 19/12 for the growth.
    assert!((spread(Drift::None) - 1.0).abs() < 0.06);
    assert!((spread(Drift::Bias) - 1.125).abs() < 0.06);
    assert!((spread(Drift::Scale) - 19.0 / 12.0).abs() < 0.09);
}

/// Replicas read the same messages, so their errors are not independent, as the model has them. This is what it costs: the
/// model is right where every replica reads a window of its own, and far too sure of itself where they share one.
#[test]
fn shared_windows_cost_coverage_that_windows_of_ones_own_do_not() {
    use crate::estimator::{Estimator as _, objective::OfObjective};
    let scenario = Scenario { n: 7, f: 2, ..scenario(Noise::Window(Computation::Mean), Prior::Strong) };
    let told = std::sync::Arc::new(Told::new(&scenario).unwrap());
    let mut marginal = OfObjective::new(Objective::Marginal, told);
    let window = Window::new(Computation::Mean);
    let mut rng = seed::generator(21);
    let mut covered = |shared: bool| {
        let rounds = 600;
        let mut inside = 0;
        for _ in 0..rounds {
            let truth: f64 = StandardNormal.sample(&mut rng);
            let of_all = window.readings(&mut rng, truth);
            let mut report = || {
                let own = if shared { of_all.clone() } else { window.readings(&mut rng, truth) };
                window.report(&mut rng, &own).map_or(Report::Missing, Report::Value)
            };
            let reports: Vec<Report> = (0..7).map(|_| report()).collect();
            let decided = marginal.estimate(&reports).unwrap().decided.unwrap();
            let (low, high) = decided.distribution.interval(0.95);
            inside += usize::from(low <= truth && truth <= high);
        }
        f64::from(u32::try_from(inside).unwrap()) / f64::from(rounds)
    };
    let (own, shared) = (covered(false), covered(true));
    println!("95 % intervals cover {own:.3} with windows of one's own, {shared:.3} with a shared one");
    assert!(own > 0.92, "{own}");
    assert!(shared < own - 0.05, "{shared}");
}
