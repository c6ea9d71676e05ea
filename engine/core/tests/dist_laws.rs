//! What must hold for every distribution: adjacent bins add up, tails are monotone, offsets shift, nothing is NaN.

use centauri_engine::dist::{Distribution, Family};
use proptest::prelude::*;

fn size() -> impl Strategy<Value = f64> {
    (-3.0..4.0_f64).prop_map(|e| 10f64.powf(e))
}

fn place() -> impl Strategy<Value = f64> {
    -1e3..1e3_f64
}

fn plain() -> impl Strategy<Value = Family> {
    prop_oneof![
        (place(), size()).prop_map(|(mean, sd)| Family::Normal { mean, sd }),
        (-5.0..5.0, 0.01..3.0).prop_map(|(mu, sigma)| Family::Lognormal { mu, sigma }),
        size().prop_map(|mean| Family::Exponential { mean }),
        (size(), size()).prop_map(|(shape, scale)| Family::Gamma { shape, scale }),
        (0.2..20.0, size()).prop_map(|(shape, scale)| Family::Weibull { shape, scale }),
        (place(), size()).prop_map(|(low, width)| Family::Uniform { low, high: low + width }),
        (place(), size()).prop_map(|(mean, scale)| Family::Laplace { mean, scale }),
        (place(), size()).prop_map(|(mean, scale)| Family::Logistic { mean, scale }),
        (size(), place(), size()).prop_map(|(df, mean, scale)| Family::StudentT { df, mean, scale }),
        size().prop_map(|mean| Family::Poisson { mean }),
        (0..1_000_000_u64, 0.0..=1.0).prop_map(|(trials, p)| Family::Binomial { trials, p }),
        (1e-4..=1.0).prop_map(|p| Family::Geometric { p }),
        (size(), 1e-3..=1.0).prop_map(|(r, p)| Family::NegativeBinomial { r, p }),
        (place(), prop::collection::vec((1e-3..10.0, 0.0..5.0), 1..20)).prop_map(|(low, bins)| {
            let mut edges = vec![low];
            edges.extend(bins.iter().scan(low, |at, (width, _)| {
                *at += width;
                Some(*at)
            }));
            let mut counts: Vec<f64> = bins.iter().map(|(_, count)| *count).collect();
            counts[0] += 1.0;
            Family::Empirical { edges, counts }
        }),
    ]
}

fn any_distribution() -> impl Strategy<Value = Distribution> {
    let leaf = (plain(), prop_oneof![Just(0.0), place()])
        .prop_map(|(family, offset)| Distribution::new(family, offset).unwrap());
    leaf.prop_recursive(2, 9, 3, |inner| {
        (prop::collection::vec((0.01..1.0, inner), 1..4), place()).prop_map(|(parts, offset)| {
            let (weights, components) = parts.into_iter().unzip();
            Distribution::new(Family::Mixture { weights, components }, offset).unwrap()
        })
    })
}

/// A width that says something about the distribution.
fn spread(d: &Distribution) -> f64 {
    let spread = d.quantile(0.9) - d.quantile(0.1);
    if spread.is_finite() && spread > 1e-9 { spread } else { 1.0 }
}

fn close(found: f64, expected: f64, tolerance: f64) -> bool {
    found == expected || (found - expected).abs() <= tolerance * expected.abs().max(1.0)
}

fn ln_add(x: f64, y: f64) -> f64 {
    let (high, low) = if x > y { (x, y) } else { (y, x) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// Extremes of finite input, and the ends.
fn hostile() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("numbers only", |x| !x.is_nan()),
        prop::sample::select(vec![
            0.0,
            -0.0,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            f64::MIN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1.0,
            1e16,
            1e-300,
        ]),
        -1e4..1e4_f64,
    ]
}

fn hostile_size() -> impl Strategy<Value = f64> {
    hostile().prop_map(|x| if x.is_finite() && x != 0.0 { x.abs() } else { 1e300 })
}

/// Families whose parameters are legal but absurd.
fn absurd() -> impl Strategy<Value = Family> {
    let finite = || hostile().prop_filter("finite", |x| x.is_finite());
    prop_oneof![
        (finite(), hostile_size()).prop_map(|(mean, sd)| Family::Normal { mean, sd }),
        (finite(), hostile_size()).prop_map(|(mu, sigma)| Family::Lognormal { mu, sigma }),
        hostile_size().prop_map(|mean| Family::Exponential { mean }),
        (hostile_size(), hostile_size()).prop_map(|(shape, scale)| Family::Gamma { shape, scale }),
        (hostile_size(), hostile_size()).prop_map(|(shape, scale)| Family::Weibull { shape, scale }),
        (finite(), hostile_size()).prop_map(|(mean, scale)| Family::Laplace { mean, scale }),
        (finite(), hostile_size()).prop_map(|(mean, scale)| Family::Logistic { mean, scale }),
        (hostile_size(), finite(), hostile_size()).prop_map(|(df, mean, scale)| Family::StudentT {
            df,
            mean,
            scale
        }),
        hostile_size().prop_map(|mean| Family::Poisson { mean }),
        (0..1_u64 << 53, 0.0..=1.0).prop_map(|(trials, p)| Family::Binomial { trials, p }),
        (hostile_size(), hostile_size()).prop_map(|(r, p)| Family::NegativeBinomial { r, p: p.min(1.0) }),
        hostile_size().prop_map(|p| Family::Geometric { p: p.min(1.0) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adjacent_bins_add_up(
        d in any_distribution(), at in -8.0..8.0_f64, left in size(), right in size(),
    ) {
        let spread = spread(&d);
        let middle = d.median() + at * spread;
        let (a, b) = (middle - 1e-2 * left * spread, middle + 1e-2 * right * spread);
        let sum = ln_add(d.ln_mass(a, middle), d.ln_mass(middle, b));
        prop_assert!(close(sum, d.ln_mass(a, b), 1e-9), "{sum} not {}", d.ln_mass(a, b));
    }

    #[test]
    fn everything_has_mass_one(d in any_distribution(), x in -1e4..1e4_f64) {
        let all = d.ln_mass(f64::NEG_INFINITY, f64::INFINITY);
        prop_assert!(all.abs() < 1e-13, "{all}");
        let parts = ln_add(d.ln_mass(f64::NEG_INFINITY, x), d.ln_mass(x, f64::INFINITY));
        prop_assert!(parts.abs() < 1e-12, "{parts}");
        prop_assert!((d.cdf(x) + d.sf(x) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn tails_are_monotone(d in any_distribution(), x in -20.0..20.0_f64, by in 1e-3..5.0_f64) {
        let a = d.median() + x * spread(&d);
        let b = a + by * spread(&d);
        let rises = |low: f64, high: f64| low <= high || low - high <= 1e-12 * high.abs();
        prop_assert!(rises(d.ln_cdf(a), d.ln_cdf(b)), "ln_cdf {} {}", d.ln_cdf(a), d.ln_cdf(b));
        prop_assert!(rises(d.ln_sf(b), d.ln_sf(a)), "ln_sf {} {}", d.ln_sf(b), d.ln_sf(a));
    }

    #[test]
    fn offset_shifts(family in plain(), offset in -64..64_i32, at in -5.0..5.0_f64, width in size()) {
        let offset = f64::from(offset);
        let base = Distribution::new(family.clone(), 0.0).unwrap();
        let moved = Distribution::new(family, offset).unwrap();
        // On a dyadic grid the shift is exact.
        let grid = |x: f64| (x * 1024.0).round() / 1024.0;
        let a = grid(base.median() + at * spread(&base));
        let b = a + grid(width).max(1.0 / 1024.0);
        prop_assume!(a.abs() < 1e9);
        prop_assert_eq!(moved.ln_mass(a + offset, b + offset), base.ln_mass(a, b));
        prop_assert_eq!(moved.ln_cdf(a + offset), base.ln_cdf(a));
        prop_assert_eq!(moved.ln_sf(a + offset), base.ln_sf(a));
        prop_assert_eq!(moved.mean(), base.mean() + offset);
        prop_assert_eq!(moved.variance(), base.variance());
    }

    #[test]
    fn mixture_of_one_is_its_component(family in plain(), weight in size(), at in -5.0..5.0_f64, width in size()) {
        let alone = Distribution::new(family, 0.0).unwrap();
        let mixed = Distribution::mixture(vec![weight], vec![alone.clone()]).unwrap();
        let a = alone.median() + at * spread(&alone);
        prop_assert!(close(mixed.ln_mass(a, a + width), alone.ln_mass(a, a + width), 1e-14));
        prop_assert!(close(mixed.ln_cdf(a), alone.ln_cdf(a), 1e-14));
        prop_assert!(close(mixed.ln_density(a), alone.ln_density(a), 1e-14));
        prop_assert_eq!(mixed.mean(), alone.mean());
        prop_assert_eq!(mixed.is_discrete(), alone.is_discrete());
        prop_assert_eq!(mixed.is_continuous(), alone.is_continuous());
    }

    #[test]
    fn quantile_inverts_the_tails(d in any_distribution(), p in 0.001..0.999_f64) {
        let x = d.quantile(p);
        // Student's t with few degrees of freedom has quantiles beyond the range of f64.
        prop_assume!(x.is_finite());
        prop_assert!(d.cdf(x) >= p * (1.0 - 1e-11), "cdf({x}) = {} below {p}", d.cdf(x));
        // 4e-12 below an atom is not the atom any more.
        let below = x - 4e-12_f64.max(1e-9 * x.abs()).max(1e-9 * spread(&d));
        prop_assert!(d.cdf(below) <= p * (1.0 + 1e-11), "cdf({below}) = {} above {p}", d.cdf(below));
    }

    #[test]
    fn density_is_the_mass_of_a_thin_bin(family in plain(), p in 0.01..0.99_f64) {
        let d = Distribution::new(family, 0.0).unwrap();
        let x = d.quantile(p);
        let (half, unit) = if d.is_discrete() { (0.5, 1.0) } else {
            let half = 1e-6 * spread(&d).min(x.abs().max(1e-6));
            (half, (x + half) - (x - half))
        };
        // A histogram or a kink inside the bin is another matter.
        let smooth = (d.ln_density(x - half) - d.ln_density(x + half)).abs() < 1e-3;
        if d.is_discrete() || smooth {
            prop_assert!(close(d.ln_mass(x - half, x + half), d.ln_density(x) + unit.ln(), 1e-5));
        }
    }

    #[test]
    fn never_nan(family in absurd(), offset in -1e3..1e3_f64, x in hostile(), y in hostile()) {
        let d = Distribution::new(family, offset).unwrap();
        let (a, b) = if x < y { (x, y) } else { (y, x) };
        for value in [d.ln_mass(a, b), d.ln_cdf(a), d.ln_sf(a), d.ln_cdf(b), d.ln_sf(b)] {
            prop_assert!(value <= 0.0, "{value}");
        }
        prop_assert!(!d.ln_density(a).is_nan());
        prop_assert!(!d.mean().is_nan());
        prop_assert!(d.variance() >= 0.0);
    }
}
