//! The `marginal` model across lanes of support points.
//!
//! With `B_i[b]` the sum over the ways to leave b of the replicas before i out, `B_{i+1}[b] = B_i[b]·r_i + B_i[b−1]`: in
//! ratios a replica that is left out is a factor of 1, and a step is one fused multiply-add. The weights have `c^{−b}` in
//! them for the factor that the left-out ones do not have. Backwards from the weights,
//! `A_i[b] = A_{i+1}[b]·r_i + A_{i+1}[b+1]`, and replica i is honest in `r_i Σ_b B_i[b]·A_{i+1}[b]` of the whole.

use super::lanes::{Aligned, Real, at, put, times, tiny};
use super::reach::{Bound, Reach};
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
    reach: Reach<T>,
    bound: Bound,
}

impl<T: Real> Marginal<T> {
    /// Of `rows`, one for each replica that is left, as long as `prior`, at most `faults` of them faulty.
    pub(super) fn run<S: Simd>(
        &mut self,
        simd: S,
        prior: &[T],
        rows: &[T],
        faults: usize,
        ln_unit: f64,
        whole: bool,
    ) {
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
                || this.large(simd, prior, rows, width, whole),
            ),
        }
    }

    /// Makes the weights.
    pub(super) fn weigh(&mut self, n: usize, faults: usize, ln_unit: f64) {
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
        if faults >= SMALL {
            self.bound = Bound::new(&self.weights);
        }
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
                        known[0] = times::<S, T>(simd, known[0], ratio);
                    }
                    let mut total = times::<S, T>(simd, known[0], weights[0]);
                    for b in 1..WIDTH {
                        total = known[b].mul_add(weights[b], total);
                    }
                    total = times::<S, T>(simd, total, mass);
                    put::<S, T>(self.total.as_mut_slice(), v, total);
                    all += total;
                    let mut after = weights;
                    for i in (0..n).rev() {
                        let ratio = at::<S, T>(simd, rows, i * vectors + v);
                        let mut dot = times::<S, T>(simd, at::<S, T>(simd, before, i * WIDTH), after[0]);
                        for (b, &after) in after.iter().enumerate().skip(1) {
                            dot = at::<S, T>(simd, before, i * WIDTH + b).mul_add(after, dot);
                        }
                        for b in 0..WIDTH - 1 {
                            after[b] = after[b].mul_add(ratio, after[b + 1]);
                        }
                        after[WIDTH - 1] = times::<S, T>(simd, after[WIDTH - 1], ratio);
                        let share = times::<S, T>(simd, times::<S, T>(simd, dot, ratio), mass);
                        let share = if v == 0 { share } else { share + at::<S, T>(simd, shares, i) };
                        put::<S, T>(shares, i, share);
                    }
                }
                self.finish(simd, all, n);
            },
        );
    }

    /// The same for any number of faults, some replicas at a time, at the points that [`Reach`] leaves. With `whole` the
    /// others have their `total` too.
    #[inline(always)]
    fn large<S: Simd>(&mut self, simd: S, prior: &[T], rows: &[T], width: usize, whole: bool) {
        let lanes = T::Native::<S>::LEN;
        let (stride, n) = (prior.len(), rows.len() / prior.len());
        self.shares.as_mut_slice().fill(T::of(0.0));
        self.total.as_mut_slice().fill(T::of(0.0));
        self.reach.begin(simd, prior, rows, self.bound);
        let unseen = UNSEEN / (stride * stride * stride) as f64;
        let (mut all, mut sum) = (T::Native::<S>::splat(simd, T::of(0.0)), 0.0);
        while let Some(from) = self.reach.next(simd, unseen * sum) {
            let mass = self.reach.take(simd, from);
            let sweep = Sweep { rows, stride, from, width };
            let total = self.forward(simd, sweep, n, mass);
            all += total;
            let here = total.reduce_sum().wide();
            sum += here;
            if here > unseen * sum {
                self.backward(simd, sweep, n, mass);
            }
        }
        for from in (0..stride).step_by(lanes).filter(|_| whole) {
            let mass = self.reach.take(simd, from);
            if mass.reduce_max().wide() > 0.0 {
                all += self.forward(simd, Sweep { rows, stride, from, width }, n, mass);
            }
        }
        self.finish(simd, all, n);
    }

    /// Adds up `total` at a vector of points and gives it; the sums before each block are put down in `before`.
    #[inline(always)]
    fn forward<S: Simd>(
        &mut self,
        simd: S,
        sweep: Sweep<'_, T>,
        n: usize,
        mass: T::Native<S>,
    ) -> T::Native<S> {
        let (width, single) = (sweep.width, n % BLOCK);
        let row_cells = width * T::Native::<S>::LEN;
        let before = self.before.as_mut_slice();
        before[..row_cells].fill(T::of(0.0));
        put::<S, T>(before, 0, T::Native::<S>::splat(simd, T::of(1.0)));
        // The replicas that do not make up a block come first, one by one.
        for i in 0..single {
            sweep.forward::<S, 1>(simd, i, &mut before[i * row_cells..]);
        }
        let mut place = single;
        for first in (single..n).step_by(BLOCK) {
            sweep.forward::<S, BLOCK>(simd, first, &mut before[place * row_cells..]);
            place += 1;
        }
        let mut total = tiny::<S, T>(simd);
        for (b, &weight) in self.weights.iter().enumerate() {
            let weight = T::Native::<S>::splat(simd, weight);
            total = at::<S, T>(simd, before, place * width + b).mul_add(weight, total);
        }
        total = times::<S, T>(simd, total, mass);
        let here = &mut self.total.as_mut_slice()[sweep.from..sweep.from + T::Native::<S>::LEN];
        (T::Native::<S>::from_slice(simd, here) + total).store_slice(here);
        total
    }

    /// Adds up `shares` at the vector of points at which [`Self::forward`] was last.
    #[inline(always)]
    fn backward<S: Simd>(&mut self, simd: S, sweep: Sweep<'_, T>, n: usize, mass: T::Native<S>) {
        let single = n % BLOCK;
        let row_cells = sweep.width * T::Native::<S>::LEN;
        let (before, after) = (self.before.as_slice(), self.after.as_mut_slice());
        for (b, &weight) in self.weights.iter().enumerate() {
            put::<S, T>(after, b, T::Native::<S>::splat(simd, weight));
        }
        let shares = self.shares.as_mut_slice();
        for place in (0..single + (n - single) / BLOCK).rev() {
            let known = &before[place * row_cells..(place + 1) * row_cells];
            if place < single {
                let [honest] = sweep.backward::<S, 1>(simd, place, known, after);
                let honest = times::<S, T>(simd, honest, sweep.ratio::<S>(simd, place));
                add(simd, shares, place, times::<S, T>(simd, honest, mass));
            } else {
                let first = single + (place - single) * BLOCK;
                let honest = sweep.backward::<S, BLOCK>(simd, first, known, after);
                let ratios = sweep.ratios::<S, BLOCK>(simd, first);
                for (k, share) in shares_of_block::<S, T>(simd, &ratios, &honest).into_iter().enumerate() {
                    add(simd, shares, first + k, times::<S, T>(simd, share, mass));
                }
            }
        }
    }
}

/// With fewer faults than this the sums stay in registers.
const SMALL: usize = 4;
/// Points that together give less than this part of the sum, divided by the square of the number of points, are left out:
/// mean and sd do not show them.
const UNSEEN: f64 = 1e-12;

/// Replicas that are taken together: a sum is then read and written once for all of them.
const BLOCK: usize = 4;

#[inline(always)]
fn add<S: Simd, T: Real>(simd: S, cells: &mut [T], v: usize, more: T::Native<S>) {
    let sum = at::<S, T>(simd, cells, v) + more;
    put::<S, T>(cells, v, sum);
}

/// What the recurrences of one vector of grid points read.
#[derive(Clone, Copy)]
struct Sweep<'a, T> {
    rows: &'a [T],
    /// Cells from one row to the next.
    stride: usize,
    /// The first of the points.
    from: usize,
    width: usize,
}

impl<T: Real> Sweep<'_, T> {
    #[inline(always)]
    fn ratio<S: Simd>(&self, simd: S, i: usize) -> T::Native<S> {
        T::Native::<S>::from_slice(simd, &self.rows[i * self.stride + self.from..][..T::Native::<S>::LEN])
    }

    #[inline(always)]
    fn ratios<S: Simd, const K: usize>(&self, simd: S, first: usize) -> [T::Native<S>; K] {
        let mut ratios = [T::Native::<S>::splat(simd, T::of(0.0)); K];
        for (k, ratio) in ratios.iter_mut().enumerate() {
            *ratio = self.ratio::<S>(simd, first + k);
        }
        ratios
    }

    /// From the sums before replica `first`, which `cells` begin with, to those `K` replicas on, which are put behind.
    #[inline(always)]
    fn forward<S: Simd, const K: usize>(&self, simd: S, first: usize, cells: &mut [T]) {
        let zero = T::Native::<S>::splat(simd, T::of(0.0));
        let ratios = self.ratios::<S, K>(simd, first);
        let (known, next) = cells.split_at_mut(self.width * T::Native::<S>::LEN);
        // Sums over the replicas up to each of the block, for one less left out.
        let mut less = [tiny::<S, T>(simd); K];
        for b in 0..self.width {
            // Of so few replicas no more can have been left out, nor is it asked for.
            if b > first + K {
                put::<S, T>(next, b, zero);
                continue;
            }
            let mut sum = at::<S, T>(simd, known, b);
            for (less, &ratio) in less.iter_mut().zip(&ratios) {
                let step = sum.mul_add(ratio, *less);
                *less = sum;
                sum = step;
            }
            put::<S, T>(next, b, sum);
        }
    }

    /// From the sums after the block that begins with `first` to those before it, in place in `after`. Gives, by how many
    /// of the block are left out, the sum over everything but the block; `known` are the sums before it.
    #[inline(always)]
    fn backward<S: Simd, const K: usize>(
        &self,
        simd: S,
        first: usize,
        known: &[T],
        after: &mut [T],
    ) -> [T::Native<S>; K] {
        let tiny = tiny::<S, T>(simd);
        let ratios = self.ratios::<S, K>(simd, first);
        let (mut more, mut later, mut sums) = ([tiny; K], [tiny; K], [tiny; K]);
        for b in (0..self.width.min(first + K + 1)).rev() {
            let mut sum = at::<S, T>(simd, after, b);
            for k in (1..K).rev() {
                later[k] = later[k - 1];
            }
            later[0] = sum;
            for (more, &ratio) in more.iter_mut().zip(&ratios) {
                let step = sum.mul_add(ratio, *more);
                *more = sum;
                sum = step;
            }
            if b <= first {
                let known = at::<S, T>(simd, known, b);
                for (sum, &later) in sums.iter_mut().zip(&later) {
                    *sum = known.mul_add(later, *sum);
                }
                put::<S, T>(after, b, sum);
            }
        }
        sums
    }
}

/// The part in which each replica of a block is honest, from the sums by how many of the block are left out: for each of
/// those the ways to leave so many of the other three out.
#[inline(always)]
fn shares_of_block<S: Simd, T: Real>(
    simd: S,
    r: &[T::Native<S>; BLOCK],
    left_out: &[T::Native<S>; BLOCK],
) -> [T::Native<S>; BLOCK] {
    let [none, one, two, three] = *left_out;
    let both = [times::<S, T>(simd, r[0], r[1]), times::<S, T>(simd, r[2], r[3])];
    let either = [r[0] + r[1], r[2] + r[3]];
    let mut shares = *r;
    for (k, share) in shares.iter_mut().enumerate() {
        let (twin, pair) = (r[k ^ 1], 1 - k / 2);
        let all = times::<S, T>(simd, twin, both[pair]);
        let all_but_one = twin.mul_add(either[pair], both[pair]);
        let only_one = twin + either[pair];
        let rest = none.mul_add(all, one.mul_add(all_but_one, two.mul_add(only_one, three)));
        *share = times::<S, T>(simd, *share, rest);
    }
    shares
}
