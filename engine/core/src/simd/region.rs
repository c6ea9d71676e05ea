//! The hull of every quorum's most probable point.
//!
//! In float32 where no quorum's peak underflows there, which is coarser: points within 1e-5 of a peak tie for it.

use super::choose::TIE_RATIO;
use super::lanes::{Real, at, loaded, put, times};
use super::walk::{Shape, Visit, Walk, Walked};
use fearless_simd::prelude::*;

/// Cells that a walk's rests may take; a region that would need more is the scalar code's.
const REST_CELLS_MAX: usize = 1 << 20;

/// Smallest and largest most probable point over all possible quorums of `rows`, each of which leaves `faults` out. `None`
/// where a quorum's peak has underflowed, which only one that is impossible may (`none_underflows`), where no quorum is
/// possible, or where it would take too much memory.
///
/// `ready` says that the walk's last run was of these very rows, whole.
pub(super) fn hull<S: Simd, T: Real>(
    simd: S,
    walk: &mut Walk<T>,
    prior: &[T],
    rows: &[T],
    faults: usize,
    (ready, none_underflows): (bool, bool),
) -> Option<(usize, usize)> {
    let n = rows.len() / prior.len();
    if Shape::rests(n, faults) * prior.len() > REST_CELLS_MAX {
        return None;
    }
    let wide = prior.len() / T::Native::<S>::LEN;
    let shape = Shape { n, f: faults, stride: prior.len(), from: 0, wide };
    if !ready {
        walk.reserve(shape, T::Native::<S>::LEN);
    }
    let (low, high, underflow) = match wide {
        // As many vectors as registers hold, and whatever else.
        4 => Hull::<T, 4>::of(simd, walk, prior, rows, shape, ready),
        8 => Hull::<T, 8>::of(simd, walk, prior, rows, shape, ready),
        _ => Hull::<T, 0>::of(simd, walk, prior, rows, shape, ready),
    };
    let certain = low <= high && (none_underflows || !underflow);
    certain.then_some((low, high))
}

/// How near to its peak a quorum's point is one, as a factor.
pub(super) fn tie<T: Real>() -> T {
    T::of(if T::UNIT > f64::UNIT { 1.0 - 1e-5 } else { TIE_RATIO })
}

/// Over `WIDE` vectors; 0 for any number.
struct Hull<T, const WIDE: usize> {
    low: usize,
    high: usize,
    underflow: bool,
    tie: T,
}

impl<T: Real, const WIDE: usize> Hull<T, WIDE> {
    /// Smallest and largest most probable point, and whether a peak has underflowed.
    fn of<S: Simd>(
        simd: S,
        walk: &mut Walk<T>,
        prior: &[T],
        rows: &[T],
        shape: Shape,
        ready: bool,
    ) -> (usize, usize, bool) {
        let mut hull = Self { low: usize::MAX, high: 0, underflow: false, tie: tie() };
        simd.vectorize(
            #[inline(always)]
            || walk.run(simd, prior, rows, shape, ready, &mut hull),
        );
        (hull.low, hull.high, hull.underflow)
    }

    #[inline(always)]
    fn take(&mut self, first: usize) {
        self.low = self.low.min(first);
        self.high = self.high.max(first);
    }

    /// The most probable point of one quorum, whose products fit in registers.
    #[inline(always)]
    fn take_short<S: Simd>(&mut self, simd: S, known: &[T::Native<S>; WIDE], rest: &[T]) {
        let mut products = *known;
        for (v, product) in products.iter_mut().enumerate() {
            *product = times::<S, T>(simd, *product, at::<S, T>(simd, rest, v));
        }
        let mut peaks = products[0];
        for product in products.iter().skip(1) {
            peaks = peaks.max(*product);
        }
        let peak = peaks.reduce_max();
        if peak.wide() < T::SAFE {
            self.underflow = true;
            return;
        }
        let least = T::Native::<S>::splat(simd, peak * self.tie);
        let mut bits = 0;
        for (v, product) in products.iter().enumerate() {
            bits |= product.simd_ge(least).to_bitmask() << (v * T::Native::<S>::LEN);
        }
        self.take(bits.trailing_zeros() as usize);
    }
}

impl<S: Simd, T: Real, const WIDE: usize> Visit<S, T> for Hull<T, WIDE> {
    #[inline(always)]
    fn leaves(&mut self, simd: S, base: &[T], rests: &[T]) {
        if WIDE > 0 {
            let known = loaded::<S, T, WIDE>(simd, base);
            for rest in rests.chunks_exact(WIDE * T::Native::<S>::LEN) {
                self.take_short(simd, &known, rest);
            }
            return;
        }
        for rest in rests.chunks_exact(base.len()) {
            let mut peaks = T::Native::<S>::splat(simd, T::of(0.0));
            for v in 0..base.len() / T::Native::<S>::LEN {
                peaks = peaks.max(times::<S, T>(simd, at::<S, T>(simd, base, v), at::<S, T>(simd, rest, v)));
            }
            let peak = peaks.reduce_max();
            if peak.wide() < T::SAFE {
                self.underflow = true;
                continue;
            }
            self.take(first_at_least(simd, base, rest, peak * self.tie));
        }
    }

    #[inline(always)]
    fn twigs(&mut self, simd: S, base: &mut [T], next: usize, walked: Walked<'_, T>) {
        for a in next..walked.shape.n - 1 {
            self.leaves(simd, base, walked.rests::<S>(a + 1));
            let row = walked.row::<S>(a);
            for v in 0..walked.shape.wide {
                let product = times::<S, T>(simd, at::<S, T>(simd, base, v), at::<S, T>(simd, row, v));
                put::<S, T>(base, v, product);
            }
        }
    }
}

/// The first cell where the product is at least `least`.
#[inline(always)]
fn first_at_least<S: Simd, T: Real>(simd: S, base: &[T], rest: &[T], least: T) -> usize {
    let lanes = T::Native::<S>::LEN;
    let least = T::Native::<S>::splat(simd, least);
    for (word, (base, rest)) in base.chunks(64).zip(rest.chunks(64)).enumerate() {
        // Without a branch for each vector: where the peak is cannot be foretold.
        let mut bits = 0;
        for v in 0..base.len() / lanes {
            let product = times::<S, T>(simd, at::<S, T>(simd, base, v), at::<S, T>(simd, rest, v));
            bits |= product.simd_ge(least).to_bitmask() << (v * lanes);
        }
        if bits != 0 {
            return word * 64 + bits.trailing_zeros() as usize;
        }
    }
    0
}
