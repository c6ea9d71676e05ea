//! The grid on which the ideal output lives.

use crate::error::{ModelError, problem};
use crate::limits::{BIN_MAX, POINTS_MAX};

/// The grid `x_s = min + s·step`, `s = 0 … points − 1`.
///
/// Reported values are quantised to the same resolution by [`Support::bin`]; they may lie outside the support.
///
/// ```
/// let support = centauri_engine::Support::new(10.0, 0.5, 5)?;
/// assert_eq!(support.point(4), 12.0);
/// assert_eq!(support.bin(11.2), 2);
/// assert_eq!(support.bin(8.9), -2);
/// # Ok::<(), centauri_engine::ModelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Support {
    min: f64,
    step: f64,
    points: usize,
}

impl Support {
    /// A support of `points` (1 … 4,096) grid points from `min` on, `step` (> 0) apart.
    ///
    /// # Errors
    /// A number that is not finite, a step that is not positive or is lost in rounding, or too many points.
    pub fn new(min: f64, step: f64, points: usize) -> Result<Self, ModelError> {
        if !min.is_finite() {
            return Err(problem("support.min", format!("found {min}, expected a finite number")));
        }
        if !(step.is_finite() && step > 0.0) {
            return Err(problem("support.step", format!("found {step}, expected a finite number above 0")));
        }
        if points == 0 || points > POINTS_MAX {
            return Err(problem("support.points", format!("found {points}, expected 1 to {POINTS_MAX}")));
        }
        let support = Self { min, step, points };
        let last = support.point(points - 1);
        let reach = min.abs().max(last.abs());
        if !last.is_finite() || reach + step / 4.0 == reach {
            return Err(problem(
                "support.step",
                format!("found {step}, expected a step that float64 can resolve between {min} and {last}"),
            ));
        }
        Ok(support)
    }

    /// The smallest grid point.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The distance of neighbouring grid points.
    #[must_use]
    pub fn step(&self) -> f64 {
        self.step
    }

    /// The number of grid points.
    #[must_use]
    pub fn points(&self) -> usize {
        self.points
    }

    /// The grid point of index `s`: `min + s·step`.
    #[must_use]
    pub fn point(&self, s: usize) -> f64 {
        self.min + s as f64 * self.step
    }

    /// All grid points in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.points).map(|s| self.point(s))
    }

    /// The index of the bin that `value` falls into: `⌊(value − min)/step + ½⌋`, clamped to ±2⁴⁰.
    ///
    /// It may lie outside `0 … points − 1`. A value that is not finite is clamped as well (NaN to 0).
    #[must_use]
    pub fn bin(&self, value: f64) -> i64 {
        let index = ((value - self.min) / self.step + 0.5).floor();
        (index as i64).clamp(-BIN_MAX, BIN_MAX)
    }

    /// The middle of bin `i`: `min + i·step`.
    #[must_use]
    pub fn centre(&self, i: i64) -> f64 {
        self.min + i as f64 * self.step
    }
}
