//! Clocks that differ: each node has its own, with an offset and a drift.

/// What every clock would show at simulated time 0 if it were right: nanoseconds since the Unix epoch.
pub const EPOCH_NS: i64 = 1_800_000_000_000_000_000;

/// A node's clock: it shows `EPOCH_NS + offset + t·(1 + drift)` at simulated time `t`.
///
/// ```
/// use centauri_sim::{Clock, EPOCH_NS};
/// let clock = Clock { offset_ns: -5, drift_ppb: 1_000 };
/// assert_eq!(clock.shows_ns(2_000_000), EPOCH_NS - 5 + 2_000_002);
/// assert_eq!(clock.first_at_ns(EPOCH_NS + 7), 12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// How far it is ahead at time 0, in nanoseconds.
    pub offset_ns: i64,
    /// How much faster it goes, in billionths: above −1,000,000,000.
    pub drift_ppb: i64,
}

const BILLION: i128 = 1_000_000_000;

impl Clock {
    /// What it shows at simulated time `at_ns`.
    #[must_use]
    pub fn shows_ns(&self, at_ns: i64) -> i64 {
        let at = i128::from(at_ns);
        let drifted = (at * i128::from(self.drift_ppb)).div_euclid(BILLION);
        clamped(i128::from(EPOCH_NS) + i128::from(self.offset_ns) + at + drifted)
    }

    /// The first simulated time at which it shows `local_ns` or later.
    #[must_use]
    pub fn first_at_ns(&self, local_ns: i64) -> i64 {
        let since = i128::from(local_ns) - i128::from(EPOCH_NS) - i128::from(self.offset_ns);
        let mut at = clamped(since * BILLION / (BILLION + i128::from(self.drift_ppb)));
        // The division rounds; the clock itself says on which side of the boundary that was.
        while self.shows_ns(at) < local_ns && at < i64::MAX {
            at += 1;
        }
        while at > i64::MIN && self.shows_ns(at - 1) >= local_ns {
            at -= 1;
        }
        at
    }
}

fn clamped(wide: i128) -> i64 {
    i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_at_which_a_clock_shows_something_is_the_first() {
        for drift_ppb in [-900_000, -7, 0, 3, 250_000] {
            let clock = Clock { offset_ns: 12_345_678, drift_ppb };
            for local in (0..200).map(|step| EPOCH_NS + step * 7_654_321 + step) {
                let at = clock.first_at_ns(local);
                assert!(clock.shows_ns(at) >= local && clock.shows_ns(at - 1) < local, "{drift_ppb} {local}");
            }
        }
    }
}
