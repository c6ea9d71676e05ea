//! How far two distributions are from each other.

use centauri_engine::Distribution;

/// Probabilities at whose quantiles the distribution functions are compared.
const PLACES: [f64; 17] =
    [0.001, 0.01, 0.03, 0.07, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.88, 0.93, 0.97, 0.99, 0.999];

/// Kolmogorov's distance, the largest difference of the two distribution functions, looked at in 17 quantiles of each.
pub(crate) fn distance(one: &Distribution, other: &Distribution) -> f64 {
    let places = PLACES.into_iter().flat_map(|p| [one.quantile(p), other.quantile(p)]);
    places.filter(|x| x.is_finite()).fold(0.0, |most: f64, x| most.max((one.cdf(x) - other.cdf(x)).abs()))
}

/// A distribution's median, and how wide its middle four fifths are; of counts that hardly vary, how wide nearly all is.
pub(crate) fn place_and_width(of: &Distribution) -> (f64, f64) {
    let between = |tail: f64| of.quantile(1.0 - tail) - of.quantile(tail);
    let width = between(0.1);
    (of.median(), if width > 0.0 { width } else { between(1e-4) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_of_two_normals_is_the_known_one() {
        let normal = |mean, sd| Distribution::normal(mean, sd).unwrap();
        let unit = normal(0.0, 1.0);
        // Of two normals of equal width the largest difference is halfway between them.
        for moved in [0.05, 0.3, 2.0, 50.0] {
            let expected = 2.0 * unit.cdf(moved / 2.0) - 1.0;
            let found = distance(&unit, &normal(moved, 1.0));
            assert!((found / expected - 1.0).abs() < 0.02, "{moved}: {found} {expected}");
        }
        assert_eq!(distance(&unit, &unit), 0.0);
        assert!(distance(&unit, &normal(0.0, 1.2)) > 0.04);
    }

    #[test]
    fn counts_that_hardly_vary_have_a_width_too() {
        assert_eq!(place_and_width(&Distribution::poisson(1e-3).unwrap()), (0.0, 1.0));
        assert_eq!(place_and_width(&Distribution::poisson(0.0).unwrap()), (0.0, 0.0));
    }
}
