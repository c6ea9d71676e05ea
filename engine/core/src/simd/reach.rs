//! Which grid points can matter to the marginal model, before its recurrence is run at them.
//!
//! For any t > 0, `Π_i (r_i + t) = Σ_b t^b E_b` with `E_b` the sum over the ways to leave b out, all terms of it positive.
//! What the model gives a point, `P Σ_b v_b E_b` with weights `v_b`, is therefore at most `P·max_b(v_b t^−b)·Π_i (r_i + t)`:
//! one product in place of f + 1 sums. A point whose bound is too small to show next to what others have given is left out.

use super::lanes::{Aligned, Real, at, put, times};
use fearless_simd::prelude::*;

/// The points that have not been looked at, and what they can give at most.
#[derive(Debug, Default)]
pub(super) struct Reach<T> {
    /// 0 where the point has been looked at or is impossible.
    bounds: Aligned<T>,
    /// P(x), likewise.
    masses: Aligned<T>,
}

/// The bound's constants; a `t` of 0 where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bound {
    t: f64,
    /// `max_b v_b t^−b`.
    scale: f64,
}

/// Few enough above 1 that no product of as many replicas as there can be overflows.
const T_MAX: f64 = 0.5;
/// The first vector begins so many points before the one with the largest bound, if it has room for them.
const BACK: usize = 3;
/// Products are looked at so many vectors at a time.
const GROUP: usize = 4;

impl Bound {
    /// For these weights `v_0` … `v_f`; v_f is `c^−f/((f + 1) C(n, f))`.
    pub(super) fn new<T: Real>(weights: &[T]) -> Self {
        let f = weights.len() - 1;
        let last = weights[f].wide() * (f + 1) as f64;
        // At this t the last weight counts as much as the first: where no replica agrees with a point, the largest t
        // down to which less is better.
        let t = last.powf(1.0 / f.max(1) as f64).min(T_MAX);
        let per_t = 1.0 / t;
        let mut power = 1.0;
        let mut scale = 0.0;
        for weight in weights {
            scale = f64::max(scale, weight.wide() * power);
            power *= per_t;
        }
        // Beyond this, or where a weight is out of range, there is no bound.
        if scale * T::LOST < 1e-6 { Self { t, scale } } else { Self { t: 0.0, scale: 1.0 } }
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
            *product = times::<S, T>(simd, *product, at::<S, T>(simd, masses, from + v));
        }
        for row in rows.chunks_exact(masses.len()) {
            for (v, product) in products.iter_mut().enumerate() {
                *product = times::<S, T>(simd, *product, at::<S, T>(simd, row, from + v) + t);
            }
        }
        // Where products underflow less than this is lost.
        let least = if bound.t > 0.0 { T::LOST } else { f64::INFINITY };
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
            _ => (lanes / 2 - 1).max(BACK).min(lanes - 1),
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

#[cfg(test)]
mod tests {
    use super::*;
    use fearless_simd::{Level, dispatch};

    /// `Σ_b v_b E_b` by the recurrence.
    fn given(weights: &[f64], ratios: impl Iterator<Item = f64>) -> f64 {
        let mut sums = vec![0.0; weights.len()];
        sums[0] = 1.0;
        for ratio in ratios {
            for b in (1..sums.len()).rev() {
                sums[b] = sums[b] * ratio + sums[b - 1];
            }
            sums[0] *= ratio;
        }
        sums.iter().zip(weights).map(|(sum, weight)| sum * weight).sum()
    }

    #[test]
    fn no_point_gives_more_than_its_bound_and_each_is_taken_once() {
        let (n, points) = (9, 48);
        let weights = [0.2, 0.2 * 3.0 / 9.0, 0.2 * 9.0 / 36.0, 0.2 * 27.0 / 84.0, 0.2 * 81.0 / 126.0];
        let prior: Vec<f64> = (0..points).map(|x| if x % 7 == 3 { 0.0 } else { 1.0 / 48.0 }).collect();
        let ratio = |i: usize, x: usize| (-0.1 * (x as f64 - 3.0 * i as f64 - 8.0).powi(2)).exp();
        let rows: Vec<f64> = (0..n * points).map(|cell| ratio(cell / points, cell % points)).collect();
        let mut reach = Reach::default();
        let mut counted = vec![0.0; points];
        dispatch!(Level::baseline(), simd => {
            reach.begin(simd, &prior, &rows, Bound::new(&weights));
            for (x, &mass) in prior.iter().enumerate() {
                let given = mass * given(&weights, (0..n).map(|i| ratio(i, x)));
                let bound = reach.bounds.as_slice()[x];
                assert!(given <= bound * (1.0 + 1e-12), "{x}: {given} {bound}");
            }
            while let Some(from) = reach.next(simd, 0.0) {
                for (lane, &mass) in reach.take(simd, from).as_slice().iter().enumerate() {
                    counted[from + lane] += mass;
                }
            }
        });
        assert_eq!(counted, prior);
    }
}
