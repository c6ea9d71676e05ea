//! Whether two windows of one sender's values come from the same distribution.

/// Kolmogorov and Smirnov's test of two samples: whether they differ by more than chance makes of them, at most `alarm_rate` of
/// the times.
///
/// `D > √(−ln(α/2)/2 · (a + b)/(a·b))`, `D` being the largest difference of the empirical distribution functions. Of equal values only
/// what comes after all of them counts, so discrete samples raise fewer false alarms.
pub(super) fn differ(older: &mut [f64], newer: &mut [f64], alarm_rate: f64) -> bool {
    let (a, b) = (older.len() as f64, newer.len() as f64);
    let limit = (-0.5 * (0.5 * alarm_rate).ln() * (a + b) / (a * b)).sqrt();
    distance(older, newer) > limit
}

fn distance(older: &mut [f64], newer: &mut [f64]) -> f64 {
    older.sort_unstable_by(f64::total_cmp);
    newer.sort_unstable_by(f64::total_cmp);
    let (mut i, mut j, mut most) = (0, 0, 0.0_f64);
    while let (Some(x), Some(y)) = (older.get(i), newer.get(j)) {
        let at = x.min(*y);
        i += older.iter().skip(i).take_while(|value| **value <= at).count();
        j += newer.iter().skip(j).take_while(|value| **value <= at).count();
        most = most.max((i as f64 / older.len() as f64 - j as f64 / newer.len() as f64).abs());
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitMix64;

    #[test]
    fn the_distance_is_that_by_definition() {
        let mut rng = SplitMix64::new(1);
        for _ in 0..200 {
            let mut draw =
                |count: usize| -> Vec<f64> { (0..count).map(|_| (rng.unit() * 8.0).floor()).collect() };
            let (mut a, mut b) = (draw(13), draw(7));
            let cdf =
                |of: &[f64], x: f64| of.iter().filter(|value| **value <= x).count() as f64 / of.len() as f64;
            let expected = (0..8).map(|x| (cdf(&a, f64::from(x)) - cdf(&b, f64::from(x))).abs());
            let expected = expected.fold(0.0, f64::max);
            assert!((distance(&mut a, &mut b) - expected).abs() < 1e-12);
        }
    }

    /// How many of `seeds` tests of windows of `newer` against `older` values raise the alarm, with the newer ones moved.
    fn alarms(seeds: u64, (older, newer): (usize, usize), moved: f64, alarm_rate: f64) -> u64 {
        let of = |seed| {
            let mut rng = SplitMix64::new(seed);
            let mut normal = |_| {
                let radius = (-2.0 * (1.0 - rng.unit()).ln()).sqrt();
                radius * (std::f64::consts::TAU * rng.unit()).cos()
            };
            let mut before: Vec<f64> = (0..older).map(&mut normal).collect();
            let mut after: Vec<f64> = (0..newer).map(&mut normal).map(|z| z + moved).collect();
            u64::from(differ(&mut before, &mut after, alarm_rate))
        };
        (0..seeds).map(of).sum()
    }

    #[test]
    fn false_alarms_are_no_more_frequent_than_promised() {
        // Binomial: of 20,000 at 1 % 200 are expected, and more than 4 standard deviations of 14 above that is no chance.
        for (older, newer) in [(64, 64), (512, 64), (960, 64)] {
            let found = alarms(20_000, (older, newer), 0.0, 0.01);
            println!("{newer} against {older}: {found} of 20,000 at 0.01");
            assert!((40..256).contains(&found), "{older} {newer}: {found}");
        }
        let found = alarms(20_000, (512, 64), 0.0, 1e-4);
        println!("64 against 512: {found} of 20,000 at 0.0001");
        assert!(found <= 8, "two are expected: {found}");
    }

    #[test]
    fn steps_are_seen() {
        for (moved, least) in [(1.0, 700), (1.5, 995), (3.0, 1_000)] {
            let found = alarms(1_000, (512, 64), moved, 1e-4);
            println!("a step of {moved} sd: {found} of 1,000");
            assert!(found >= least, "{moved}: {found}");
        }
    }
}
