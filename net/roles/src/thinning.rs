//! Which values of a stream of traffic are sampled: a bounded share, at places nobody outside can foresee.

/// What one value costs; also certainty, in parts of a billion.
const ONE: u64 = 1_000_000_000;
/// The chance of a value is set anew when this much time has passed, and of the floor so much is saved up.
const INTERVAL_NS: u64 = 10 * ONE;
/// Of the share so many values are saved up: chance may take some in a row.
const SAVED: u64 = 64;

/// How much may be sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Of a million values.
    pub(crate) share_ppm: u32,
    /// And so many a second.
    pub(crate) floor_per_s: u32,
    /// Sets the places.
    pub(crate) seed: u64,
}

impl Allowance {
    /// What may be saved up.
    fn saved(self) -> u64 {
        (SAVED * ONE).saturating_add(u64::from(self.floor_per_s).saturating_mul(INTERVAL_NS))
    }

    /// The chance of a value, in parts of a billion, where `count` came in `elapsed_ns`: a little less than what they earn, so that
    /// chance seldom takes more.
    fn chance(self, elapsed_ns: u64, count: u64) -> u64 {
        if self.share_ppm >= 1_000_000 {
            return ONE;
        }
        let floor = u128::from(self.floor_per_s) * u128::from(elapsed_ns.min(INTERVAL_NS));
        let earned = u128::from(self.share_ppm) * 1_000 + floor / u128::from(count.max(1));
        u64::try_from(earned * 95 / 100).unwrap_or(u64::MAX).min(ONE)
    }
}

/// Chooses from the values of one distribution.
///
/// Each value that passes earns its share of one, and time earns the floor; what is sampled is paid from that, so that over any stretch
/// the bound holds exactly but for what was saved up. Whether a value is sampled a hash of the seed and its number decides, with a
/// chance that follows the traffic of the last interval: neither what a value is nor its place in a burst has a say. Where more
/// comes than is earned, the chance falls to the share alone until the interval ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thinning {
    credit: u64,
    /// When the floor was last paid.
    paid_ns: Option<i64>,
    seen: u64,
    /// In parts of a billion.
    chance: u64,
    /// When the interval began, and the values seen before.
    began: (i64, u64),
}

impl Thinning {
    /// Whether the next value is to be sampled.
    pub(crate) fn take(&mut self, now_ns: i64, allowance: Allowance) -> bool {
        self.earn(now_ns, allowance);
        let (began_ns, before) = self.began;
        let elapsed_ns = if now_ns > began_ns { now_ns.abs_diff(began_ns) } else { 0 };
        if elapsed_ns >= INTERVAL_NS {
            self.chance = allowance.chance(elapsed_ns, self.seen - before);
            self.began = (now_ns, self.seen);
        }
        self.seen += 1;
        if mixed(allowance.seed, self.seen) % ONE >= self.chance {
            return false;
        }
        if self.credit < ONE {
            self.chance = allowance.chance(0, 1);
            return false;
        }
        self.credit -= ONE;
        true
    }

    fn earn(&mut self, now_ns: i64, allowance: Allowance) {
        let floor = u64::from(allowance.floor_per_s);
        match self.paid_ns {
            // At the start all is sampled for as long as what an interval earns lasts.
            None => {
                (self.credit, self.chance) = (floor.saturating_mul(INTERVAL_NS), ONE);
                (self.began, self.paid_ns) = ((now_ns, 0), Some(now_ns));
            }
            Some(paid_ns) if now_ns > paid_ns => {
                self.credit = self.credit.saturating_add(floor.saturating_mul(now_ns.abs_diff(paid_ns)));
                self.paid_ns = Some(now_ns);
            }
            Some(_) => {}
        }
        let share = u64::from(allowance.share_ppm) * (ONE / 1_000_000);
        self.credit = self.credit.saturating_add(share).min(allowance.saved());
    }
}

/// A number that looks random without the seed; the mixing is that of [`crate::SplitMix64`].
pub(crate) fn mixed(seed: u64, place: u64) -> u64 {
    crate::SplitMix64::new(seed ^ place.wrapping_mul(0xd134_2543_de82_ef95)).bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// The numbers of the values taken, of `count` that come at even distances in `seconds`.
    fn taken(allowance: Allowance, count: i64, seconds: i64) -> Vec<i64> {
        let mut thinning = Thinning::default();
        (0..count).filter(|at| thinning.take(at * seconds * SECOND / count, allowance)).collect()
    }

    #[test]
    fn whatever_the_traffic_the_share_holds() {
        for share_ppm in [1_000, 10_000, 250_000, 700_000] {
            for count in [10_000_i64, 100_000, 1_000_000] {
                let allowance = Allowance { share_ppm, floor_per_s: 0, seed: 7 };
                let exact = count as u64 * u64::from(share_ppm) / 1_000_000;
                let found = taken(allowance, count, 100).len() as u64;
                // 95 % of it, give or take what chance does.
                let least = 0.95 * exact as f64 - 4.0 * (exact as f64).sqrt();
                assert!(found <= exact && found as f64 >= least, "{share_ppm} {count}: {found} {exact}");
            }
        }
    }

    #[test]
    fn all_or_nothing() {
        let allowance = |share_ppm| Allowance { share_ppm, floor_per_s: 0, seed: 1 };
        assert_eq!(taken(allowance(1_000_000), 500, 1).len(), 500);
        assert_eq!(taken(allowance(0), 500, 1).len(), 0);
    }

    #[test]
    fn small_streams_are_sampled_whole_and_large_ones_at_the_floor_at_least() {
        let allowance = Allowance { share_ppm: 10_000, floor_per_s: 4, seed: 7 };
        assert_eq!(taken(allowance, 300, 100).len(), 300, "three a second, below the floor");
        let fast = taken(allowance, 100_000, 100).len();
        assert!((1_200..=1_440).contains(&fast), "1 % and four a second, and ten seconds' worth: {fast}");
    }

    #[test]
    fn a_rise_to_a_hundred_times_the_traffic_is_paid_from_what_was_saved_alone() {
        let allowance = Allowance { share_ppm: 10_000, floor_per_s: 4, seed: 7 };
        let mut thinning = Thinning::default();
        let slow = (0..300).filter(|at| thinning.take(at * SECOND / 3, allowance)).count();
        let fast =
            (0..30_000).filter(|at| thinning.take(100 * SECOND + at * SECOND / 300, allowance)).count();
        assert_eq!(slow, 300);
        assert!(fast <= 300 + 400 + 40 + 64, "in a hundred seconds: {fast}");
    }

    #[test]
    fn places_in_a_burst_are_alike_and_the_seed_moves_them() {
        // A hundred values at once, every second.
        let of = |seed| {
            let allowance = Allowance { share_ppm: 10_000, floor_per_s: 4, seed };
            let mut thinning = Thinning::default();
            let burst = (0..60_000_i64).filter(|at| thinning.take(at / 100 * SECOND, allowance));
            burst.filter(|at| *at >= 2_000).collect::<Vec<_>>()
        };
        let (one, other) = (of(1), of(2));
        let mut tenths = [0_i32; 10];
        for at in &one {
            tenths[(*at % 100 / 10) as usize] += 1;
        }
        let mean = one.len() as f64 / 10.0;
        let spread = 4.0 * mean.sqrt();
        assert!(one.len() > 2_500, "{}", one.len());
        assert!(tenths.iter().all(|count| (f64::from(*count) - mean).abs() < spread), "{tenths:?}");
        let same = one.iter().filter(|at| other.binary_search(at).is_ok()).count();
        assert!(same < one.len() / 10, "a twentieth by chance: {same}");
    }

    #[test]
    fn clocks_that_jump_earn_nothing_beyond_what_is_saved() {
        let allowance = Allowance { share_ppm: 0, floor_per_s: 1, seed: 3 };
        let mut thinning = Thinning::default();
        let times = [0, i64::MIN, i64::MAX, i64::MIN, 0].into_iter().cycle().take(10_000);
        let found = times.filter(|now| thinning.take(*now, allowance)).count();
        assert!(found <= 10 + 74, "{found}");
        let extreme = Allowance { share_ppm: u32::MAX, floor_per_s: u32::MAX, seed: 3 };
        assert!([0, i64::MAX].map(|now| Thinning::default().take(now, extreme)).iter().all(|taken| *taken));
    }
}
