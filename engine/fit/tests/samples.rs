//! Samples at the edges: too small, all the same, impossible for the family, very large.

use centauri_engine::{Distribution, Family};
use centauri_fit::{FamilyName, FitError, FitOptions, fit_distribution};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The middles of `n` slices of equal probability.
fn slices(of: &Distribution, n: usize) -> Vec<f64> {
    (0..n).map(|i| of.quantile((i as f64 + 0.5) / n as f64)).collect()
}

fn options(family: FamilyName) -> FitOptions {
    FitOptions { family: Some(family), ..FitOptions::default() }
}

#[test]
fn what_cannot_be_fitted_is_an_error() {
    let auto = FitOptions::default();
    assert!(matches!(fit_distribution(&[], &auto), Err(FitError::TooFew { found: 0, .. })));
    assert!(matches!(fit_distribution(&[1.0; 9], &auto), Err(FitError::TooFew { found: 9, .. })));
    assert!(matches!(fit_distribution(&[1.0; 50], &auto), Err(FitError::Degenerate { count: 50, .. })));
    let mut sample: Vec<f64> = (0..50).map(f64::from).collect();
    for bad in [f64::NAN, f64::INFINITY] {
        sample[7] = bad;
        assert!(matches!(fit_distribution(&sample, &auto), Err(FitError::NotFinite { index: 7, .. })));
    }
    sample[7] = 7.0;
    for contamination in [-0.1, 0.5, f64::NAN] {
        let wrong = FitOptions { contamination, family: None };
        assert!(matches!(fit_distribution(&sample, &wrong), Err(FitError::Contamination(_))));
    }
}

#[test]
fn counts_must_be_counts_but_for_the_adversarys() {
    let mut sample = slices(&Distribution::poisson(6.0).unwrap(), 100);
    sample[..20].fill(2.5);
    assert!(fit_distribution(&sample, &options(FamilyName::Poisson)).is_ok());
    sample[20] = -1.0;
    let refused = fit_distribution(&sample, &options(FamilyName::Poisson));
    assert!(matches!(refused, Err(FitError::Outside { found: 21, limit: 20, .. })), "{refused:?}");
}

#[test]
fn every_family_survives_strange_samples() {
    let steps: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
    let huge: Vec<f64> = (0..40).map(|i| 1e300 * f64::from(i)).collect();
    let tiny: Vec<f64> = (1..41).map(|i| 1e-300 * f64::from(i)).collect();
    let spike: Vec<f64> = (0..40).map(|i| if i < 38 { 5.0 } else { f64::from(i) }).collect();
    for sample in [steps, huge, tiny, spike] {
        for family in FamilyName::ALL {
            if let Ok(fitted) = fit_distribution(&sample, &options(family)) {
                assert!(fitted.ks.is_finite(), "{family}");
                assert!(fitted.standard_errors.iter().all(|(_, error)| error.is_finite()), "{family}");
            }
        }
        let _ = fit_distribution(&sample, &FitOptions::default());
    }
}

#[test]
fn order_does_not_matter() {
    let sample = slices(&Distribution::gamma(2.0, 3.0).unwrap(), 500);
    let mut turned = sample.clone();
    turned.reverse();
    turned.rotate_left(123);
    let fit = |sample: &[f64]| fit_distribution(sample, &FitOptions::default()).unwrap();
    assert_eq!(fit(&sample), fit(&turned));
}

#[test]
fn a_million_samples_cost_little_more_than_sorting_them() {
    let sample = slices(&Distribution::normal(3.0, 2.0).unwrap(), 10_000);
    let sample: Vec<f64> =
        (0..100).flat_map(|shift| sample.iter().map(move |x| x + f64::from(shift) * 1e-6)).collect();
    let fitted = fit_distribution(&sample, &options(FamilyName::Normal)).unwrap();
    assert_eq!(fitted.n, 1_000_000);
    assert!((fitted.distribution.mean() - 3.0).abs() < 0.01, "{fitted:?}");
    assert!((fitted.distribution.variance().sqrt() - 2.0).abs() < 0.02, "{fitted:?}");
}

#[test]
fn standard_errors_are_the_spread_of_the_estimates() {
    let truth = Distribution::normal(3.0, 2.0).unwrap();
    let (mut means, mut sds, mut told) = (Vec::new(), Vec::new(), [0.0; 2]);
    for seed in 0..80 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = || truth.quantile((f64::from(rng.random::<u32>()) + 0.5) / 4_294_967_296.0);
        let mut sample: Vec<f64> = (0..900).map(|_| draw()).collect();
        sample.extend([60.0; 100]);
        let fitted = fit_distribution(&sample, &options(FamilyName::Normal)).unwrap();
        let [("mean", mean), ("sd", sd)] = fitted.standard_errors[..] else { panic!("{fitted:?}") };
        told = [told[0] + mean / 80.0, told[1] + sd / 80.0];
        means.push(fitted.distribution.mean());
        sds.push(fitted.distribution.variance().sqrt());
    }
    for (estimates, told) in [(means, told[0]), (sds, told[1])] {
        let mean = estimates.iter().sum::<f64>() / 80.0;
        let spread = (estimates.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 79.0).sqrt();
        assert!((0.7..1.4).contains(&(told / spread)), "told {told}, found {spread}");
        println!("told {told}, found {spread}");
    }
}

#[test]
fn akaikes_criterion_is_its_formula() {
    let sample = slices(&Distribution::normal(3.0, 2.0).unwrap(), 400);
    let exact = FitOptions { contamination: 0.0, family: Some(FamilyName::Normal) };
    let fitted = fit_distribution(&sample, &exact).unwrap();
    let ln_likelihood: f64 = sample.iter().map(|x| fitted.distribution.ln_density(*x)).sum();
    assert!((fitted.aic - (4.0 - 2.0 * ln_likelihood)).abs() < 10.0, "{} {ln_likelihood}", fitted.aic);
}

#[test]
fn a_histogram_holds_every_sample() {
    let sample = slices(&Distribution::exponential(2.0).unwrap(), 1000);
    let fitted = fit_distribution(&sample, &options(FamilyName::Empirical)).unwrap();
    let Family::Empirical { counts, .. } = fitted.distribution.family() else { panic!("{fitted:?}") };
    assert_eq!(counts.iter().sum::<f64>(), 1000.0);
    assert!(fitted.ks < 0.01, "{}", fitted.ks);
}

#[test]
fn without_an_adversary_a_narrower_family_is_not_preferred() {
    let truth = Distribution::lognormal(-4.0, 0.6).unwrap();
    let options = FitOptions { contamination: 0.0, family: None };
    assert_eq!(fit_distribution(&slices(&truth, 500), &options).unwrap().family, FamilyName::Lognormal);
}
