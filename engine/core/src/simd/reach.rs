//! Which grid points can matter to the marginal model, before its recurrence is run at them.
//!
//! For any t > 0, `Π_i (r_i + t) = Σ_b t^b E_b` with `E_b` the sum over the ways to leave b out, all terms of it positive.
//! What the model gives a point, `P Σ_b v_b E_b` with weights `v_b`, is therefore at most `P·max_b(v_b t^−b)·Π_i (r_i + t)`:
//! one product in place of f + 1 sums. A point whose bound is too small to show next to what others have given is left out.

use super::lanes::{Aligned, Real, at, put};
use fearless_simd::prelude::*;

/// The points that have not been looked at, and what they can give at most.
#[derive(Debug, Default)]
pub(super) struct Reach<T> {
    /// 0 where the point has been looked at or is impossible.
    bounds: Aligned<T>,
    /// P(x), likewise.
    masses: Aligned<T>,
}

/// The bound's constants.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bound {
    t: f64,
    /// `max_b v_b t^−b`.
    scale: f64,
}

/// Part of the largest `t` at which being smaller costs nothing where no replica agrees with a point.
const T_PART: f64 = 1.0 / 4.0;
/// Beyond these a bound says nothing: products of (1 + t) and the scale have to stay finite in float32.
const T_MAX: f64 = 0.5;
const SCALE_MAX: f64 = 1e25;
/// Products are looked at so many vectors at a time.
const GROUP: usize = 4;

impl Bound {
    /// For these weights `v_0` … `v_f`; v_f is `c^−f/((f + 1) C(n, f))`.
    pub(super) fn new<T: Real>(weights: &[T]) -> Self {
        let f = weights.len() - 1;
        let last = weights[f].wide() * (f + 1) as f64;
        // At this t the last weight counts as much as the first.
        let t = (last.powf(1.0 / f.max(1) as f64) * T_PART).min(T_MAX);
        let per_t = 1.0 / t;
        let mut power = 1.0;
        let mut scale = 0.0;
        for weight in weights {
            scale = f64::max(scale, weight.wide() * power);
            power *= per_t;
        }
        Self { t, scale }
    }
}

impl<T: Real> Reach<T> {
    /// Bounds every point of `prior`, `rows` being one for each replica.
    #[inline(always)]
    pub(super) fn begin<S: Simd>(&mut self, simd: S, prior: &[T], rows: &[T], bound: Bound) {
        self.masses.resize(prior.len());
        self.masses.as_mut_slice().copy_from_slice(prior);
        self.bounds.resize(prior.len());
        let vectors = prior.len() / T::Native::<S>::LEN;
        let grouped = vectors / GROUP * GROUP;
        for v in (0..grouped).step_by(GROUP) {
            self.bound::<S, GROUP>(simd, rows, v, bound);
        }
        for v in grouped..vectors {
            self.bound::<S, 1>(simd, rows, v, bound);
        }
    }

    #[inline(always)]
    fn bound<S: Simd, const WIDE: usize>(&mut self, simd: S, rows: &[T], from: usize, bound: Bound) {
        let masses = self.masses.as_slice();
        let t = T::Native::<S>::splat(simd, T::of(bound.t));
        let mut products = [T::Native::<S>::splat(simd, T::of(bound.scale)); WIDE];
        for (v, product) in products.iter_mut().enumerate() {
            *product *= at::<S, T>(simd, masses, from + v);
        }
        for row in rows.chunks_exact(masses.len()) {
            for (v, product) in products.iter_mut().enumerate() {
                *product *= at::<S, T>(simd, row, from + v) + t;
            }
        }
        // Where products underflow less than this is lost.
        let least = if bound.t > 0.0 && bound.scale < SCALE_MAX { T::LOST } else { f64::INFINITY };
        let least = T::Native::<S>::splat(simd, T::of(least));
        let zero = T::Native::<S>::splat(simd, T::of(0.0));
        for (v, &product) in products.iter().enumerate() {
            let possible = at::<S, T>(simd, masses, from + v).simd_gt(zero);
            put::<S, T>(self.bounds.as_mut_slice(), from + v, possible.select(product.max(least), zero));
        }
    }

    /// Where a vector of points begins that is to be looked at next; `None` where no point has a bound above `least`.
    #[inline(always)]
    pub(super) fn next<S: Simd>(&self, simd: S, least: f64) -> Option<usize> {
        let bounds = self.bounds.as_slice();
        let lanes = T::Native::<S>::LEN;
        let vectors = bounds.len() / lanes;
        let mut top = at::<S, T>(simd, bounds, 0);
        for v in 1..vectors {
            top = top.max(at::<S, T>(simd, bounds, v));
        }
        let top = top.reduce_max();
        if top.wide() <= least {
            return None;
        }
        let tops = T::Native::<S>::splat(simd, top);
        let x = (0..vectors).find_map(|v| {
            let bits = at::<S, T>(simd, bounds, v).simd_ge(tops).to_bitmask();
            (bits != 0).then(|| v * lanes + bits.trailing_zeros() as usize)
        })?;
        // Next to what has been looked at the vector goes the other way.
        let seen = |x: usize| bounds.get(x).is_none_or(|bound| bound.wide() == 0.0);
        let back = match (x == 0 || seen(x - 1), seen(x + 1)) {
            (true, _) => 0,
            (_, true) => lanes - 1,
            _ => lanes / 2 - 1,
        };
        Some(x.saturating_sub(back).min(bounds.len() - lanes))
    }

    /// P(x) of the vector of points from `from` on, 0 where a point has been looked at before; now they all have.
    #[inline(always)]
    pub(super) fn take<S: Simd>(&mut self, simd: S, from: usize) -> T::Native<S> {
        let points = from..from + T::Native::<S>::LEN;
        let masses = &mut self.masses.as_mut_slice()[points.clone()];
        let taken = T::Native::<S>::from_slice(simd, masses);
        masses.fill(T::of(0.0));
        self.bounds.as_mut_slice()[points].fill(T::of(0.0));
        taken
    }
}
