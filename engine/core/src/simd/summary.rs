//! Products of a quorum's rows in float64, and what is reported of a distribution.

use super::choose::TIE_RATIO;
use super::lanes::{Aligned, LANES_MAX, Real, times};
use super::ratios::Ratios;
use super::round::Round;
use crate::decision::{Quorum, Summary};
use crate::support::Support;
use fearless_simd::prelude::*;

/// A distribution over the support, up to a factor.
#[derive(Debug, Default)]
pub(super) struct Masses {
    /// Zero from the support's end on.
    pub(super) cells: Aligned<f64>,
    pub(super) sum: f64,
    pub(super) peak: f64,
}

/// Rows that are multiplied in one go.
const ROWS: usize = 8;

impl Masses {
    /// `P(x) Π_{i∈quorum} r_i(x)`.
    pub(super) fn of_quorum<S: Simd>(&mut self, simd: S, round: &Round, ratios: &Ratios, quorum: Quorum) {
        let prior = round.prior::<f64>(ratios);
        self.cells.resize(prior.len());
        let mut rows = [prior; ROWS];
        let (mut count, mut first) = (0, true);
        for i in quorum.positions() {
            if count == ROWS {
                self.multiply(simd, first.then_some(prior), &rows);
                (count, first) = (0, false);
            }
            rows[count] = round.row::<f64>(ratios, i);
            count += 1;
        }
        self.multiply(simd, first.then_some(prior), &rows[..count]);
    }

    /// Multiplies `source`, or else the cells, by `rows`, and finds sum and peak.
    fn multiply<S: Simd>(&mut self, simd: S, source: Option<&[f64]>, rows: &[&[f64]]) {
        let this = &mut *self;
        simd.vectorize(
            #[inline(always)]
            || {
                let lanes = S::f64s::LEN;
                let zero = S::f64s::splat(simd, 0.0);
                let (mut sum, mut peak) = (zero, zero);
                for (block, cells) in
                    this.cells.as_mut_slice().as_chunks_mut::<LANES_MAX>().0.iter_mut().enumerate()
                {
                    let source = source.map_or(&*cells, |source| &source.as_chunks().0[block]);
                    let mut masses = [zero; LANES_MAX];
                    for (mass, source) in masses.iter_mut().zip(source.chunks_exact(lanes)) {
                        *mass = S::f64s::from_slice(simd, source);
                    }
                    for row in rows {
                        let row = &row.as_chunks::<LANES_MAX>().0[block];
                        for (mass, row) in masses.iter_mut().zip(row.chunks_exact(lanes)) {
                            *mass = times::<S, f64>(simd, *mass, S::f64s::from_slice(simd, row));
                        }
                    }
                    for (&mass, cells) in masses.iter().zip(cells.chunks_exact_mut(lanes)) {
                        sum += mass;
                        peak = peak.max(mass);
                        mass.store_slice(cells);
                    }
                }
                this.sum = sum.reduce_sum();
                this.peak = peak.reduce_max();
            },
        );
    }

    /// Of `cells`, in any precision.
    pub(super) fn of_cells<S: Simd, T: Real>(&mut self, simd: S, from: &[T]) {
        self.cells.resize(from.len());
        let this = &mut *self;
        simd.vectorize(
            #[inline(always)]
            || {
                let cells = this.cells.as_mut_slice();
                for (to, from) in cells.iter_mut().zip(from) {
                    *to = from.wide();
                }
                let mut sum = S::f64s::splat(simd, 0.0);
                let mut peak = sum;
                for cells in cells.chunks_exact(S::f64s::LEN) {
                    let mass = S::f64s::from_slice(simd, cells);
                    sum += mass;
                    peak = peak.max(mass);
                }
                this.sum = sum.reduce_sum();
                this.peak = peak.reduce_max();
            },
        );
    }

    /// What is reported of it; `None` where errors of `slack` in the logarithm of a mass leave its value open.
    pub(super) fn summary<S: Simd>(
        &self,
        simd: S,
        support: &Support,
        credible: f64,
        slack: f64,
    ) -> Option<Summary> {
        let cells = self.cells.as_slice();
        let tail = (1.0 - credible) / 2.0;
        let tie = self.peak * TIE_RATIO;
        let (point, alone, (away, square), (low, high)) = simd.vectorize(
            #[inline(always)]
            || {
                let (point, alone) = nearest(simd, cells, tie * (1.0 - slack));
                let moments = moments(simd, cells, point);
                (point, alone, moments, interval(simd, cells, self.sum, tail))
            },
        );
        let mass = cells[point];
        if mass < tie * (1.0 + slack) && !alone {
            return None;
        }
        let last = support.points() - 1;
        let per_sum = 1.0 / self.sum;
        let (away, square) = (away * per_sum, square * per_sum);
        Some(Summary {
            point,
            confidence: mass * per_sum,
            mean: support.min() + (point as f64 + away) * support.step(),
            sd: (square - away * away).max(0.0).sqrt() * support.step(),
            low: support.point(low.min(last)),
            high: support.point(high.min(last)),
        })
    }
}

/// The first cell that is at least `least`, and whether it is the only one.
#[inline(always)]
fn nearest<S: Simd>(simd: S, cells: &[f64], least: f64) -> (usize, bool) {
    let least = S::f64s::splat(simd, least);
    let (mut first, mut count) = (0, 0);
    for (word, cells) in cells.chunks(64).enumerate() {
        let mut bits = 0;
        for (v, cells) in cells.chunks_exact(S::f64s::LEN).enumerate() {
            bits |= S::f64s::from_slice(simd, cells).simd_ge(least).to_bitmask() << (v * S::f64s::LEN);
        }
        if bits != 0 && count == 0 {
            first = word * 64 + bits.trailing_zeros() as usize;
        }
        count += bits.count_ones();
    }
    (first, count == 1)
}

/// First and second moment around `point`, in steps.
#[inline(always)]
fn moments<S: Simd>(simd: S, cells: &[f64], point: usize) -> (f64, f64) {
    let mut away = S::f64s::from_slice(simd, &LANES[..S::f64s::LEN]) - point as f64;
    let zero = S::f64s::splat(simd, 0.0);
    let (mut first, mut second) = (zero, zero);
    for cells in cells.chunks_exact(S::f64s::LEN) {
        let share = S::f64s::from_slice(simd, cells) * away;
        first += share;
        second = share.mul_add(away, second);
        away += S::f64s::LEN as f64;
    }
    (first.reduce_sum(), second.reduce_sum())
}

const LANES: [f64; 8] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];

/// The least cells at which the sum reaches the share `tail` of the whole and the share `1 − tail`; the number of cells
/// where rounding leaves it short.
#[inline(always)]
fn interval<S: Simd>(simd: S, cells: &[f64], sum: f64, tail: f64) -> (usize, usize) {
    /// As in the scalar code: the CDF is a rounded sum.
    const ROUNDING: f64 = 1e-12;
    let lanes = S::f64s::LEN;
    let (from, to) = ((tail - ROUNDING) * sum, (1.0 - tail - ROUNDING) * sum);
    // Counted, not looked for: where it ends is different every time, and so no jump is foreseen.
    let mut reached = 0.0;
    let (mut low, mut high) = ((0, 0.0), (0, 0.0));
    for cells in cells.chunks_exact(lanes) {
        reached += S::f64s::from_slice(simd, cells).reduce_sum();
        for (bound, least) in [(&mut low, from), (&mut high, to)] {
            let short = reached < least;
            bound.0 += usize::from(short);
            bound.1 = if short { reached } else { bound.1 };
        }
    }
    let within = |(v, before): (usize, f64), least: f64| {
        let Some(cells) = cells.chunks_exact(lanes).nth(v) else { return cells.len() };
        let (mut reached, mut first) = (before, 0);
        for &mass in cells {
            reached += mass;
            first += usize::from(reached < least);
        }
        // Added up one by one the sum may fall short of what the whole vector gave.
        v * lanes + first.min(lanes - 1)
    };
    (within(low, from), within(high, to))
}
