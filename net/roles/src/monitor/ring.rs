//! The newest values of one sender, which fade with time.

use std::collections::VecDeque;

use super::estimate::Profile;

/// The newest values, the oldest first, each with the time at which it came.
#[derive(Debug)]
pub(super) struct Ring {
    values: VecDeque<(f64, i64)>,
    values_max: usize,
    /// How many have come since the last test for a change.
    fresh: usize,
    /// What the last test showed: the time of the first value after the change.
    pub(super) changed_ns: Option<i64>,
    /// When the sender was last heard.
    pub(super) heard_ns: i64,
}

impl Ring {
    pub(super) fn new(values_max: usize) -> Self {
        Self { values: VecDeque::new(), values_max, fresh: 0, changed_ns: None, heard_ns: i64::MIN }
    }

    pub(super) fn push(&mut self, now_ns: i64, value: f64) {
        if self.values.len() >= self.values_max {
            self.values.pop_front();
        }
        self.values.push_back((value, now_ns));
        self.fresh = (self.fresh + 1).min(self.values.len());
    }

    /// How many values there are, and how many new ones they are worth, rounded: `(Σw)²/Σw²`.
    pub(super) fn worth(&self, now_ns: i64, half_life_ns: i64) -> usize {
        let weights = self.values.iter().map(|(_, at_ns)| weight(now_ns, *at_ns, half_life_ns));
        let (sum, squares) = weights.fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
        if squares > 0.0 { (sum * sum / squares).round() as usize } else { 0 }
    }

    /// The values in order, with their weights.
    pub(super) fn profile(&self, now_ns: i64, half_life_ns: i64) -> Profile {
        let weighted = self.values.iter().map(|(value, at)| (*value, weight(now_ns, *at, half_life_ns)));
        Profile::new(weighted.collect())
    }

    /// The values that came since the last test, and those before, once there are `window` of each.
    pub(super) fn untested(&mut self, window: usize) -> Option<Windows> {
        let before = self.values.len().checked_sub(self.fresh)?;
        if self.fresh < window {
            return None;
        }
        self.fresh = 0;
        if before < window {
            return None;
        }
        let of = |(value, _): &(f64, i64)| *value;
        let since_ns = self.values.get(before)?.1;
        let older = self.values.range(..before).map(of).collect();
        Some(Windows { older, newer: self.values.range(before..).map(of).collect(), since_ns })
    }

    /// Forgets what came before.
    pub(super) fn forget(&mut self, before_ns: i64) {
        self.values.retain(|(_, at_ns)| *at_ns >= before_ns);
        self.changed_ns = None;
        self.fresh = 0;
    }
}

/// What a test for a change compares.
#[derive(Debug)]
pub(super) struct Windows {
    pub(super) older: Vec<f64>,
    pub(super) newer: Vec<f64>,
    /// When the first of the newer ones came.
    pub(super) since_ns: i64,
}

/// Never 0: a sample of old values only is the sample that there is.
fn weight(now_ns: i64, at_ns: i64, half_life_ns: i64) -> f64 {
    let half_lives = now_ns.saturating_sub(at_ns).max(0) as f64 / half_life_ns as f64;
    (-half_lives.min(200.0)).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_values_are_kept() {
        let mut ring = Ring::new(3);
        for value in 0..8 {
            ring.push(0, f64::from(value));
        }
        assert_eq!(ring.profile(0, 1).quantiles(3), [5.0, 6.0, 7.0]);
        assert_eq!(ring.worth(0, 1), 3);
    }

    #[test]
    fn old_values_fade() {
        let mut ring = Ring::new(100);
        for at in 0..20 {
            ring.push(at / 10 * 1_000, if at < 10 { -1.0 } else { 1.0 });
        }
        // Three half-lives: ten values of weight 1/8 and ten of weight 1, so a ninth of the weight is old.
        assert_eq!(ring.profile(1_000, 333).quantiles(9)[..2], [-1.0, 1.0]);
        assert_eq!(ring.worth(1_000, 333), 12);
        assert_eq!(ring.worth(1_000, i64::MAX), 20);
        assert_eq!(ring.worth(i64::MAX, 1), 20, "all of them equally old");
    }

    #[test]
    fn a_window_is_tested_once() {
        let mut ring = Ring::new(100);
        let push = |ring: &mut Ring, at: i64| (0..10).for_each(|value| ring.push(at, f64::from(value)));
        push(&mut ring, 1);
        assert!(ring.untested(10).is_none(), "nothing older");
        push(&mut ring, 2);
        let windows = ring.untested(10).unwrap();
        assert_eq!((windows.older.len(), windows.newer.len(), windows.since_ns), (10, 10, 2));
        assert!(ring.untested(10).is_none());
        push(&mut ring, 3);
        ring.forget(3);
        push(&mut ring, 4);
        push(&mut ring, 5);
        let windows = ring.untested(10).unwrap();
        assert_eq!((windows.older.len(), windows.newer.len(), windows.since_ns), (10, 20, 4));
    }
}
