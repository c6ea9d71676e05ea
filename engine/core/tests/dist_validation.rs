//! Parameters outside their domain, limits, and the errors' wording.

use centauri_engine::dist::{
    Distribution, DistributionError, EMPIRICAL_BINS_MAX, Family, MIXTURE_COMPONENTS_MAX, MIXTURE_DEPTH_MAX,
    TRIALS_MAX,
};

/// The message must name the family, the parameter and what was expected.
fn rejected(result: Result<Distribution, DistributionError>, words: &[&str]) {
    let message = result.expect_err("an illegal parameter").to_string();
    for word in words {
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    }
}

#[test]
fn sizes_must_be_positive_and_finite() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        rejected(Distribution::normal(0.0, bad), &["normal", "sd", "above 0", &bad.to_string()]);
        rejected(Distribution::lognormal(0.0, bad), &["lognormal", "sigma"]);
        rejected(Distribution::exponential(bad), &["exponential", "mean"]);
        rejected(Distribution::gamma(bad, 1.0), &["gamma", "shape"]);
        rejected(Distribution::gamma(1.0, bad), &["gamma", "scale"]);
        rejected(Distribution::weibull(bad, 1.0), &["weibull", "shape"]);
        rejected(Distribution::weibull(1.0, bad), &["weibull", "scale"]);
        rejected(Distribution::laplace(0.0, bad), &["laplace", "scale"]);
        rejected(Distribution::logistic(0.0, bad), &["logistic", "scale"]);
        rejected(Distribution::student_t(bad, 0.0, 1.0), &["student_t", "df"]);
        rejected(Distribution::student_t(1.0, 0.0, bad), &["student_t", "scale"]);
        rejected(Distribution::negative_binomial(bad, 0.5), &["negative_binomial", "r is"]);
    }
}

#[test]
fn places_must_be_finite() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        rejected(Distribution::normal(bad, 1.0), &["mean", "finite"]);
        rejected(Distribution::lognormal(bad, 1.0), &["mu", "finite"]);
        rejected(Distribution::uniform(bad, 1.0), &["low", "finite"]);
        rejected(Distribution::uniform(0.0, bad), &["high", "finite"]);
        rejected(Distribution::student_t(1.0, bad, 1.0), &["mean", "finite"]);
        let family = Family::Poisson { mean: 1.0 };
        rejected(Distribution::new(family, bad), &["poisson", "offset", "finite"]);
    }
    rejected(Distribution::uniform(1.0, 1.0), &["high", "above low"]);
    rejected(Distribution::uniform(-1e308, 1e308), &["high", "finite distance"]);
}

#[test]
fn probabilities_and_counts() {
    for bad in [-0.1, 1.1, f64::NAN] {
        rejected(Distribution::binomial(3, bad), &["binomial", "p is", "[0, 1]"]);
    }
    for bad in [0.0, -0.1, 1.1, f64::NAN] {
        rejected(Distribution::geometric(bad), &["geometric", "p is", "(0, 1]"]);
        rejected(Distribution::negative_binomial(1.0, bad), &["negative_binomial", "p is", "(0, 1]"]);
    }
    rejected(Distribution::binomial(TRIALS_MAX + 1, 0.5), &["trials", "2^53"]);
    rejected(Distribution::poisson(-1.0), &["poisson", "mean", "0 or more"]);
}

#[test]
fn sure_cases_are_legal() {
    let sure = [
        (Distribution::binomial(0, 0.5), 0.0),
        (Distribution::binomial(7, 0.0), 0.0),
        (Distribution::binomial(7, 1.0), 7.0),
        (Distribution::poisson(0.0), 0.0),
        (Distribution::geometric(1.0), 0.0),
        (Distribution::negative_binomial(2.5, 1.0), 0.0),
    ];
    for (d, at) in sure {
        let d = d.unwrap();
        assert_eq!(d.ln_mass(at, at + 1.0), 0.0, "{d:?}");
        assert_eq!(d.ln_mass(at + 0.5, at + 9.0), f64::NEG_INFINITY, "{d:?}");
        assert_eq!((d.cdf(at), d.sf(at), d.cdf(at - 0.5)), (1.0, 0.0, 0.0), "{d:?}");
        assert_eq!((d.mean(), d.variance(), d.median()), (at, 0.0, at), "{d:?}");
    }
}

#[test]
fn histograms() {
    let empirical = |edges: &[f64], counts: &[f64]| Distribution::empirical(edges.to_vec(), counts.to_vec());
    rejected(empirical(&[], &[]), &["empirical", "counts", "0 entries"]);
    rejected(empirical(&[0.0, 1.0], &[1.0, 2.0]), &["edges", "2 entries", "3"]);
    rejected(empirical(&[0.0, 1.0, 1.0], &[1.0, 2.0]), &["edges[2]", "above the edge before"]);
    rejected(empirical(&[0.0, f64::NAN, 1.0], &[1.0, 2.0]), &["edges[1]", "finite"]);
    rejected(empirical(&[0.0, 1.0, 2.0], &[1.0, -2.0]), &["counts[1]", "-2", "0 or more"]);
    rejected(empirical(&[0.0, 1.0], &[0.0]), &["sum of counts", "above 0"]);
    rejected(empirical(&[-1e308, 1e308], &[1.0]), &["last edge", "finite distance"]);
    let edges: Vec<f64> = (0..=u16::try_from(EMPIRICAL_BINS_MAX + 1).unwrap()).map(f64::from).collect();
    rejected(empirical(&edges, &vec![1.0; EMPIRICAL_BINS_MAX + 1]), &["counts", "4097", "4096"]);
}

#[test]
fn mixtures() {
    let part = || Distribution::normal(0.0, 1.0).unwrap();
    let mix = |weights: &[f64], parts| Distribution::mixture(weights.to_vec(), parts);
    rejected(mix(&[], vec![]), &["mixture", "components", "at least 1"]);
    rejected(mix(&[1.0], vec![part(), part()]), &["weights", "1 entries", "2"]);
    rejected(mix(&[1.0, f64::NAN], vec![part(), part()]), &["weights[1]"]);
    rejected(mix(&[1.0, -1.0], vec![part(), part()]), &["weights[1]", "0 or more"]);
    rejected(mix(&[0.0, 0.0], vec![part(), part()]), &["sum of weights"]);
    assert!(mix(&[0.0, 2.0], vec![part(), part()]).is_ok());

    let many = MIXTURE_COMPONENTS_MAX + 1;
    rejected(mix(&vec![1.0; many], vec![part(); many]), &["65", "64"]);
    let mut deep = part();
    for _ in 0..MIXTURE_DEPTH_MAX {
        deep = mix(&[1.0], vec![deep]).unwrap();
    }
    rejected(mix(&[1.0], vec![deep]), &["5 deep", "at most 4"]);
}

#[test]
fn nested_components_count() {
    let part = Distribution::poisson(1.0).unwrap();
    let eight = Distribution::mixture(vec![1.0; 8], vec![part; 8]).unwrap();
    assert!(Distribution::mixture(vec![1.0; 7], vec![eight.clone(); 7]).is_ok());
    rejected(Distribution::mixture(vec![1.0; 8], vec![eight; 8]), &["72", "64"]);
}

/// Worked by hand: counts 1, 0, 3 over [0, 1), [1, 2), [2, 4).
#[test]
fn histogram_is_flat_within_its_bins() {
    let d = Distribution::new(
        Family::Empirical { edges: vec![0.0, 1.0, 2.0, 4.0], counts: vec![1.0, 0.0, 3.0] },
        10.0,
    )
    .unwrap();
    let same =
        |found: f64, expected: f64| assert!((found - expected).abs() < 1e-15, "{found} not {expected}");
    same(d.cdf(10.5), 0.125);
    same(d.cdf(11.5), 0.25);
    same(d.sf(13.0), 0.375);
    same(d.ln_mass(10.5, 12.5), 0.3125_f64.ln());
    same(d.ln_density(13.0), 0.375_f64.ln());
    assert_eq!(d.ln_mass(11.0, 12.0), f64::NEG_INFINITY);
    assert_eq!(d.ln_mass(14.0, 20.0), f64::NEG_INFINITY);
    same(d.mean(), 10.0 + 0.25 * 0.5 + 0.75 * 3.0);
    same(d.variance(), 0.25 * (1.875_f64.powi(2) + 1.0 / 12.0) + 0.75 * (0.625_f64.powi(2) + 4.0 / 12.0));
    assert_eq!(d.quantile(0.0), 10.0);
    assert_eq!(d.quantile(1.0), 14.0);
    same(d.quantile(0.625), 13.0);
}

/// A mixture of an atom at 3 and a density: the atom belongs to the bin that starts at it.
#[test]
fn mixed_atoms_and_densities() {
    let d = Distribution::mixture(
        vec![1.0, 3.0],
        vec![
            Distribution::new(Family::Binomial { trials: 0, p: 0.5 }, 3.0).unwrap(),
            Distribution::uniform(0.0, 6.0).unwrap(),
        ],
    )
    .unwrap();
    let same =
        |found: f64, expected: f64| assert!((found - expected).abs() < 1e-15, "{found} not {expected}");
    assert!(!d.is_discrete() && !d.is_continuous());
    same(d.ln_mass(2.0, 3.0), 0.125_f64.ln());
    same(d.ln_mass(3.0, 4.0), 0.375_f64.ln());
    same(d.cdf(2.999), 0.75 * 2.999 / 6.0);
    same(d.cdf(3.0), 0.625);
    assert_eq!(d.quantile(0.5), 3.0);
    same(d.mean(), 3.0);
}
