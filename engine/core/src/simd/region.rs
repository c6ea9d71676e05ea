//! The hull of every quorum's most probable point, in float64.

use super::choose::TIE_RATIO;
use super::lanes::{Real, at, put};
use super::walk::{Shape, Visit, Walk, Walked};
use fearless_simd::prelude::*;

/// Cells that a walk's rests may take; a region that would need more is the scalar code's.
const REST_CELLS_MAX: usize = 1 << 20;

/// Smallest and largest most probable point over all possible quorums of `rows`, each of which leaves `faults` out. `None`
/// where a quorum's peak has underflowed, which only one that is impossible may (`none_underflows`), where no quorum is
/// possible, or where it would take too much memory.
pub(super) fn hull<S: Simd>(
    simd: S,
    walk: &mut Walk<f64>,
    prior: &[f64],
    rows: &[f64],
    faults: usize,
    none_underflows: bool,
) -> Option<(usize, usize)> {
    let n = rows.len() / prior.len();
    if Shape::rests(n, faults) * prior.len() > REST_CELLS_MAX {
        return None;
    }
    let wide = prior.len() / S::f64s::LEN;
    let shape = Shape { n, f: faults, stride: prior.len(), from: 0, wide };
    walk.reserve(shape, S::f64s::LEN);
    let mut hull = Hull { low: usize::MAX, high: 0, underflow: false };
    simd.vectorize(
        #[inline(always)]
        || walk.run(simd, prior, rows, shape, &mut hull),
    );
    let certain = hull.low <= hull.high && (none_underflows || !hull.underflow);
    certain.then_some((hull.low, hull.high))
}

struct Hull {
    low: usize,
    high: usize,
    underflow: bool,
}

impl<S: Simd> Visit<S, f64> for Hull {
    #[inline(always)]
    fn leaves(&mut self, simd: S, base: &[f64], rests: &[f64]) {
        for rest in rests.chunks_exact(base.len()) {
            let mut peaks = S::f64s::splat(simd, 0.0);
            for v in 0..base.len() / S::f64s::LEN {
                peaks = peaks.max(at::<S, f64>(simd, base, v) * at::<S, f64>(simd, rest, v));
            }
            let peak = peaks.reduce_max();
            if peak < f64::SAFE {
                self.underflow = true;
                continue;
            }
            let first = first_at_least(simd, base, rest, peak * TIE_RATIO);
            self.low = self.low.min(first);
            self.high = self.high.max(first);
        }
    }

    #[inline(always)]
    fn twigs(&mut self, simd: S, base: &mut [f64], next: usize, walked: Walked<'_, f64>) {
        for a in next..walked.shape.n - 1 {
            self.leaves(simd, base, walked.rests::<S>(a + 1));
            let row = walked.row::<S>(a);
            for v in 0..walked.shape.wide {
                let product = at::<S, f64>(simd, base, v) * at::<S, f64>(simd, row, v);
                put::<S, f64>(base, v, product);
            }
        }
    }
}

/// The first cell where the product is at least `least`.
#[inline(always)]
fn first_at_least<S: Simd>(simd: S, base: &[f64], rest: &[f64], least: f64) -> usize {
    let least = S::f64s::splat(simd, least);
    for (word, (base, rest)) in base.chunks(64).zip(rest.chunks(64)).enumerate() {
        // Without a branch for each vector: where the peak is cannot be foretold.
        let mut bits = 0;
        for v in 0..base.len() / S::f64s::LEN {
            let product = at::<S, f64>(simd, base, v) * at::<S, f64>(simd, rest, v);
            bits |= product.simd_ge(least).to_bitmask() << (v * S::f64s::LEN);
        }
        if bits != 0 {
            return word * 64 + bits.trailing_zeros() as usize;
        }
    }
    0
}
