//! Tumbling and sliding windows on a clock of nanoseconds.

use std::ops::RangeInclusive;

use crate::error::{ConfigError, check_number};

/// Windows of equal length that open at equal distances: window `i` covers `[epoch + i·period, epoch + i·period + length)`.
///
/// With a length of one period they lie one after the other (*tumbling*); longer ones overlap (*sliding*), shorter ones leave
/// gaps. Indices may be negative. Nothing overflows: what lies outside 64 bits is `None`.
///
/// ```
/// use centauri_roles::Windows;
/// let windows = Windows::new(0, 1_000)?;
/// assert_eq!(windows.index_of(-1), Some(-1));
/// assert_eq!(windows.opens_ns(2), Some(2_000));
/// # Ok::<(), centauri_roles::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Windows {
    epoch_ns: i64,
    period_ns: i64,
    length_ns: i64,
}

impl Windows {
    /// Tumbling windows of `period_ns` (at least 1), the one of index 0 opening at `epoch_ns`.
    ///
    /// # Errors
    /// A period below 1.
    pub fn new(epoch_ns: i64, period_ns: i64) -> Result<Self, ConfigError> {
        check_number("period_ns", period_ns, period_ns > 0, "at least 1")?;
        Ok(Self { epoch_ns, period_ns, length_ns: period_ns })
    }

    /// Windows of `length_ns` of which one opens every `period_ns` (both at least 1), the one of index 0 at `epoch_ns`.
    ///
    /// # Errors
    /// A period or a length below 1.
    ///
    /// ```
    /// use centauri_roles::Windows;
    /// let windows = Windows::sliding(0, 10, 30)?;
    /// assert_eq!(windows.covering(35), Some(1..=3));
    /// # Ok::<(), centauri_roles::ConfigError>(())
    /// ```
    pub fn sliding(epoch_ns: i64, period_ns: i64, length_ns: i64) -> Result<Self, ConfigError> {
        check_number("length_ns", length_ns, length_ns > 0, "at least 1")?;
        Ok(Self { length_ns, ..Self::new(epoch_ns, period_ns)? })
    }

    /// When window 0 opens.
    #[must_use]
    pub fn epoch_ns(&self) -> i64 {
        self.epoch_ns
    }

    /// The windows' length.
    #[must_use]
    pub fn length_ns(&self) -> i64 {
        self.length_ns
    }

    /// The windows that cover `at_ns`; `None` if there are none, as in a gap.
    #[must_use]
    pub fn covering(&self, at_ns: i64) -> Option<RangeInclusive<i64>> {
        let last = self.index_of(at_ns)?;
        let since = i128::from(at_ns) - i128::from(self.epoch_ns) - i128::from(self.length_ns);
        let first = i64::try_from(since.div_euclid(i128::from(self.period_ns)) + 1).unwrap_or(i64::MIN);
        (first <= last).then_some(first..=last)
    }

    /// From one window's opening to the next.
    #[must_use]
    pub fn period_ns(&self) -> i64 {
        self.period_ns
    }

    /// The latest window that opens at `at_ns` or earlier: of tumbling ones the window that covers it.
    #[must_use]
    pub fn index_of(&self, at_ns: i64) -> Option<i64> {
        let since = i128::from(at_ns) - i128::from(self.epoch_ns);
        i64::try_from(since.div_euclid(i128::from(self.period_ns))).ok()
    }

    /// When window `index` opens.
    #[must_use]
    pub fn opens_ns(&self, index: i64) -> Option<i64> {
        self.after_opening_ns(index, 0)
    }

    /// `after_ns` after window `index` opens.
    #[must_use]
    pub fn after_opening_ns(&self, index: i64, after_ns: i64) -> Option<i64> {
        let opens = i128::from(self.epoch_ns) + i128::from(index) * i128::from(self.period_ns);
        i64::try_from(opens + i128::from(after_ns)).ok()
    }

    /// The first window that opens at `at_ns` or later.
    #[must_use]
    pub fn first_from(&self, at_ns: i64) -> Option<i64> {
        let index = self.index_of(at_ns)?;
        if self.opens_ns(index) == Some(at_ns) { Some(index) } else { index.checked_add(1) }
    }

    /// How many windows are unfinished at a time where each is closed `after_ns` after it opens.
    pub(crate) fn unfinished(&self, after_ns: i64) -> u64 {
        after_ns.max(0).unsigned_abs().div_ceil(self.period_ns.unsigned_abs()).max(1)
    }
}

/// The place of window `index` in a ring of `slots`.
pub(crate) fn slot_of(index: i64, slots: usize) -> usize {
    let slots = i64::try_from(slots).unwrap_or(i64::MAX).max(1);
    usize::try_from(index.rem_euclid(slots)).unwrap_or(0)
}

/// Whether `index` is one of the `slots` windows from `next` on.
pub(crate) fn is_open(index: i64, next: i64, slots: usize) -> bool {
    index >= next && index.abs_diff(next) < slots as u64
}

/// `a − b` in seconds, without overflow.
pub(crate) fn seconds_between(a_ns: i64, b_ns: i64) -> f64 {
    (i128::from(a_ns) - i128::from(b_ns)) as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_belongs_to_the_window_that_it_opens() {
        let windows = Windows::new(500, 1_000).unwrap();
        for (at, index) in [(499, -1), (500, 0), (1_499, 0), (1_500, 1), (-501, -2), (-500, -1), (-499, -1)] {
            assert_eq!(windows.index_of(at), Some(index), "{at}");
        }
        assert_eq!(windows.first_from(500), Some(0));
        assert_eq!(windows.first_from(501), Some(1));
        assert!(Windows::new(0, 0).is_err() && Windows::new(0, i64::MIN).is_err());
    }

    #[test]
    fn sliding_windows_cover_what_lies_in_them() {
        for (period, length) in [(10, 10), (10, 30), (10, 35), (10, 4), (7, 1), (1, 5)] {
            let windows = Windows::sliding(3, period, length).unwrap();
            for at in -60..60 {
                let covers = |index: &i64| {
                    let opens = windows.opens_ns(*index).unwrap();
                    opens <= at && at < opens + length
                };
                let found: Vec<i64> = windows.covering(at).into_iter().flatten().collect();
                let expected: Vec<i64> = (-100..100).filter(covers).collect();
                assert_eq!(found, expected, "{at}: every {period} over {length}");
            }
        }
        assert!(Windows::sliding(0, 1, 0).is_err() && Windows::sliding(0, 0, 1).is_err());
        let longest = Windows::sliding(i64::MIN, 1, i64::MAX).unwrap();
        assert!(longest.covering(i64::MAX).is_none() && longest.covering(0).is_none());
        assert_eq!(Windows::sliding(i64::MAX, i64::MAX, i64::MAX).unwrap().covering(i64::MIN), Some(-3..=-3));
    }

    #[test]
    fn extremes_give_none_and_do_not_overflow() {
        let fine = Windows::new(i64::MIN, 1).unwrap();
        assert_eq!(fine.index_of(i64::MAX), None);
        assert_eq!(fine.opens_ns(i64::MAX), Some(-1));
        assert_eq!(fine.opens_ns(i64::MIN), None);
        let coarse = Windows::new(i64::MAX, i64::MAX).unwrap();
        assert_eq!(coarse.index_of(i64::MIN), Some(-3));
        assert_eq!(coarse.opens_ns(i64::MAX), None);
        assert_eq!(coarse.after_opening_ns(0, 1), None);
        assert!(is_open(i64::MIN, i64::MIN, 1) && !is_open(i64::MAX, i64::MIN, 9));
        assert_eq!(slot_of(i64::MIN, 3), usize::try_from(i64::MIN.rem_euclid(3)).unwrap());
        assert!(seconds_between(i64::MAX, i64::MIN) > 1.8e10);
    }
}
