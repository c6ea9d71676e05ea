//! The `marginal` model across lanes of support points.
//!
//! With `B_i[b]` the sum over the ways to leave b of the replicas before i out, `B_{i+1}[b] = B_i[b]·r_i + B_i[b−1]`: in
//! ratios a replica that is left out is a factor of 1, and a step is one fused multiply-add. The weights have `c^{−b}` in
//! them for the factor that the left-out ones do not have. Backwards from the weights,
//! `A_i[b] = A_{i+1}[b]·r_i + A_{i+1}[b+1]`, and replica i is honest in `r_i Σ_b B_i[b]·A_{i+1}[b]` of the whole.

use super::lanes::{Aligned, Real, at, put};
use fearless_simd::prelude::*;

/// The recurrence's memory, and what it leaves there.
#[derive(Debug, Default)]
pub(super) struct Marginal<T> {
    /// `w_b c^{−b}`.
    pub(super) weights: Vec<T>,
    /// Per grid point `P(x) Σ_b w_b c^{−b} Σ_{|F|=b} Π_{i∉F} r_i(x)`.
    pub(super) total: Aligned<T>,
    /// Sum of `total`.
    pub(super) sum: f64,
    /// P(honest) of each replica that is left.
    pub(super) honest: Vec<f64>,
    /// What the weights are of: replicas, faults and the unit.
    weighed: Option<(usize, usize, f64)>,
    shares: Aligned<T>,
    before: Aligned<T>,
    after: Aligned<T>,
}

impl<T: Real> Marginal<T> {
    /// Of `rows`, one for each replica that is left, as long as `prior`, at most `faults` of them faulty.
    pub(super) fn run<S: Simd>(&mut self, simd: S, prior: &[T], rows: &[T], faults: usize, ln_unit: f64) {
        let (n, width) = (rows.len() / prior.len(), faults + 1);
        self.weigh(n, faults, ln_unit);
        let lanes = T::Native::<S>::LEN;
        self.total.resize(prior.len());
        self.shares.resize(n * lanes);
        self.before.resize((n + 1) * width * lanes);
        self.after.resize(width * lanes);
        self.honest.clear();
        let this = &mut *self;
        match width {
            1 => this.small::<S, 1>(simd, prior, rows),
            2 => this.small::<S, 2>(simd, prior, rows),
            3 => this.small::<S, 3>(simd, prior, rows),
            4 => this.small::<S, 4>(simd, prior, rows),
            _ => simd.vectorize(
                #[inline(always)]
                || this.sweep(simd, prior, rows, n, width),
            ),
        }
    }

    fn weigh(&mut self, n: usize, faults: usize, ln_unit: f64) {
        if self.weighed == Some((n, faults, ln_unit)) {
            return;
        }
        self.weighed = Some((n, faults, ln_unit));
        self.weights.clear();
        let per_fault = (-ln_unit).exp();
        let mut weight = 1.0 / (faults + 1) as f64;
        for b in 0..=faults {
            self.weights.push(T::of(weight));
            weight *= per_fault * (b + 1) as f64 / (n - b) as f64;
        }
    }

    #[inline(always)]
    fn sweep<S: Simd>(&mut self, simd: S, prior: &[T], rows: &[T], n: usize, width: usize) {
        let lanes = T::Native::<S>::LEN;
        let zero = T::Native::<S>::splat(simd, T::of(0.0));
        self.shares.as_mut_slice().fill(T::of(0.0));
        let mut sum = zero;
        for v in 0..prior.len() / lanes {
            let mass = at::<S, T>(simd, prior, v);
            let total = mass * self.forward(simd, rows, prior.len(), v, n, width);
            put::<S, T>(self.total.as_mut_slice(), v, total);
            sum += total;
            self.backward(simd, rows, prior.len(), v, n, width, mass);
        }
        self.finish(simd, sum, n);
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, sum: T::Native<S>, n: usize) {
        self.sum = sum.reduce_sum().wide();
        let per_sum = 1.0 / self.sum;
        let shares = self.shares.as_slice();
        for i in 0..n {
            let share = at::<S, T>(simd, shares, i).reduce_sum().wide();
            self.honest.push((share * per_sum).min(1.0));
        }
    }

    /// The same for up to `WIDTH` − 1 faults, with the sums in registers.
    fn small<S: Simd, const WIDTH: usize>(&mut self, simd: S, prior: &[T], rows: &[T]) {
        simd.vectorize(
            #[inline(always)]
            || {
                let vectors = prior.len() / T::Native::<S>::LEN;
                let n = rows.len() / prior.len();
                let zero = T::Native::<S>::splat(simd, T::of(0.0));
                let mut weights = [zero; WIDTH];
                for (vector, &weight) in weights.iter_mut().zip(&self.weights) {
                    *vector = T::Native::<S>::splat(simd, weight);
                }
                let (before, shares) = (self.before.as_mut_slice(), self.shares.as_mut_slice());
                let mut all = zero;
                for v in 0..vectors {
                    let mass = at::<S, T>(simd, prior, v);
                    let mut known = [zero; WIDTH];
                    known[0] = T::Native::<S>::splat(simd, T::of(1.0));
                    for i in 0..n {
                        let ratio = at::<S, T>(simd, rows, i * vectors + v);
                        for (b, &known) in known.iter().enumerate() {
                            put::<S, T>(before, i * WIDTH + b, known);
                        }
                        for b in (1..WIDTH).rev() {
                            known[b] = known[b].mul_add(ratio, known[b - 1]);
                        }
                        known[0] *= ratio;
                    }
                    let mut total = known[0] * weights[0];
                    for b in 1..WIDTH {
                        total = known[b].mul_add(weights[b], total);
                    }
                    total *= mass;
                    put::<S, T>(self.total.as_mut_slice(), v, total);
                    all += total;
                    let mut after = weights;
                    for i in (0..n).rev() {
                        let ratio = at::<S, T>(simd, rows, i * vectors + v);
                        let mut dot = at::<S, T>(simd, before, i * WIDTH) * after[0];
                        for (b, &after) in after.iter().enumerate().skip(1) {
                            dot = at::<S, T>(simd, before, i * WIDTH + b).mul_add(after, dot);
                        }
                        for b in 0..WIDTH - 1 {
                            after[b] = after[b].mul_add(ratio, after[b + 1]);
                        }
                        after[WIDTH - 1] *= ratio;
                        let share = dot * ratio * mass;
                        let share = if v == 0 { share } else { share + at::<S, T>(simd, shares, i) };
                        put::<S, T>(shares, i, share);
                    }
                }
                self.finish(simd, all, n);
            },
        );
    }

    #[inline(always)]
    fn forward<S: Simd>(
        &mut self,
        simd: S,
        rows: &[T],
        stride: usize,
        v: usize,
        n: usize,
        width: usize,
    ) -> T::Native<S> {
        let lanes = T::Native::<S>::LEN;
        let before = self.before.as_mut_slice();
        before[..width * lanes].fill(T::of(0.0));
        before[..lanes].fill(T::of(1.0));
        for (i, row) in rows.chunks_exact(stride).enumerate() {
            let ratio = at::<S, T>(simd, row, v);
            let (known, next) =
                before[i * width * lanes..(i + 2) * width * lanes].split_at_mut(width * lanes);
            let mut left = T::Native::<S>::splat(simd, T::of(0.0));
            for (old, new) in known.chunks_exact(lanes).zip(next.chunks_exact_mut(lanes)) {
                let kept = T::Native::<S>::from_slice(simd, old);
                kept.mul_add(ratio, left).store_slice(new);
                left = kept;
            }
        }
        let mut total = T::Native::<S>::splat(simd, T::of(0.0));
        for (cells, &weight) in before[n * width * lanes..].chunks_exact(lanes).zip(&self.weights) {
            total =
                T::Native::<S>::from_slice(simd, cells).mul_add(T::Native::<S>::splat(simd, weight), total);
        }
        total
    }

    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "the place in the sweep, inlined into it")]
    fn backward<S: Simd>(
        &mut self,
        simd: S,
        rows: &[T],
        stride: usize,
        v: usize,
        n: usize,
        width: usize,
        mass: T::Native<S>,
    ) {
        let lanes = T::Native::<S>::LEN;
        let after = self.after.as_mut_slice();
        let shares = self.shares.as_mut_slice();
        for (cells, &weight) in after.chunks_exact_mut(lanes).zip(&self.weights) {
            cells.fill(weight);
        }
        for i in (0..n).rev() {
            let ratio = at::<S, T>(simd, &rows[i * stride..(i + 1) * stride], v);
            // Of i replicas no more than i can have been left out.
            let reach = width.min(i + 1);
            let known = &self.before.as_slice()[i * width * lanes..(i * width + reach) * lanes];
            let mut dot = T::Native::<S>::splat(simd, T::of(0.0));
            let zero = dot;
            for b in 0..reach {
                let later = at::<S, T>(simd, after, b);
                dot = at::<S, T>(simd, known, b).mul_add(later, dot);
                let next = if b + 1 < width { at::<S, T>(simd, after, b + 1) } else { zero };
                put::<S, T>(after, b, later.mul_add(ratio, next));
            }
            let share = at::<S, T>(simd, shares, i);
            put::<S, T>(shares, i, (dot * ratio).mul_add(mass, share));
        }
    }
}
