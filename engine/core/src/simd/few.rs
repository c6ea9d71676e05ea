//! Rounds of few replicas: every quorum's evidence and P(honest) from one pass over the support.
//!
//! With at most two of at most eight replicas faulty there are at most 37 sets of replicas that may be left out, none
//! and too few included. The sum over the support of the product of all other rows is made for each of them, vector by
//! vector, with the loops written out for the number of replicas: the rows of a vector and what is multiplied of them stay in
//! registers. The largest sets are the quorums', and all together, weighted, are the marginal model.

use super::choose::choose;
use super::lanes::{Aligned, LANES_MAX, Real, at, padded, put, reduced, times, tiny};
use fearless_simd::prelude::*;

/// Most replicas.
pub(super) const REPLICAS_MAX: usize = 8;
/// Room for a sum for each set, in whole vectors of any length.
const SUMS: usize = 48;

/// A stretch of cells that is some whole vectors at every level.
pub(super) type Block<T> = [T; LANES_MAX];

/// Calls the method for `N` replicas and `F` faulty ones.
macro_rules! for_shape {
    ($faults:expr, $n:expr, $this:ident.$method:ident($($argument:expr),*)) => {
        for_shape!(@ $faults, $n, { $this. } $method ($($argument),*))
    };
    ($faults:expr, $n:expr, Self::$method:ident($($argument:expr),*)) => {
        for_shape!(@ $faults, $n, { Self:: } $method ($($argument),*))
    };
    (@ $faults:expr, $n:expr, { $($path:tt)* } $method:ident $arguments:tt) => {
        match ($faults, $n) {
            (1, 3) => $($path)* $method::<S, 3, 1> $arguments,
            (1, 4) => $($path)* $method::<S, 4, 1> $arguments,
            (1, 5) => $($path)* $method::<S, 5, 1> $arguments,
            (1, 6) => $($path)* $method::<S, 6, 1> $arguments,
            (1, 7) => $($path)* $method::<S, 7, 1> $arguments,
            (1, _) => $($path)* $method::<S, 8, 1> $arguments,
            (_, 4) => $($path)* $method::<S, 4, 2> $arguments,
            (_, 5) => $($path)* $method::<S, 5, 2> $arguments,
            (_, 6) => $($path)* $method::<S, 6, 2> $arguments,
            (_, 7) => $($path)* $method::<S, 7, 2> $arguments,
            _ => $($path)* $method::<S, 8, 2> $arguments,
        }
    };
}
pub(super) use for_shape;

/// The sums over the support of `P(x)` times the rows but those left out.
#[derive(Debug, Default)]
pub(super) struct Few<T> {
    n: usize,
    faults: usize,
    /// First those that leave `faults` out, in the order of the walk; then those that leave fewer out, likewise.
    sums: Aligned<T>,
    /// Each sum's lanes.
    lanes: Aligned<T>,
}

impl<T: Real> Few<T> {
    /// Whether there is such a pass for `n` replicas of which `faults` may be faulty.
    pub(super) fn fits(n: usize, faults: usize) -> bool {
        (1..=2).contains(&faults) && (faults + 2..=REPLICAS_MAX).contains(&n)
    }

    /// `row` gives the row of each replica, as long as `prior`; they must fit.
    #[inline(always)]
    pub(super) fn run<'a, S: Simd>(
        &mut self,
        simd: S,
        (prior, row): (&'a [T], impl Fn(usize) -> &'a [T]),
        (n, faults): (usize, usize),
    ) {
        (self.n, self.faults) = (n, faults);
        self.sums.resize(SUMS);
        self.lanes.resize(SUMS * T::Native::<S>::LEN);
        let rows = blocks(prior, row, n);
        let prior = prior.as_chunks().0;
        for_shape!(faults, n, self.pass(simd, prior, &rows));
    }

    /// The marginal model of `weights`: its distribution, up to a factor, into `total`, P(honest) of each replica into
    /// `honest`; gives the distribution's sum. As in [`super::marginal`], with the loops written out.
    pub(super) fn marginal<'a, S: Simd>(
        &mut self,
        simd: S,
        (prior, row): (&'a [T], impl Fn(usize) -> &'a [T]),
        (n, faults): (usize, usize),
        weights: &[T],
        (total, honest): (&mut Aligned<T>, &mut Vec<f64>),
    ) -> f64 {
        let rows = blocks(prior, row, n);
        total.resize(prior.len());
        let (prior, total) = (prior.as_chunks().0, total.as_mut_slice().as_chunks_mut().0);
        let mut shares = [0.0; REPLICAS_MAX + 1];
        for_shape!(faults, n, Self::recurrence(simd, (prior, &rows), weights, total, &mut shares));
        let sum = shares[n];
        let per_sum = 1.0 / sum;
        honest.clear();
        honest.extend(shares[..n].iter().map(|share| (share * per_sum).min(1.0)));
        sum
    }

    fn recurrence<S: Simd, const N: usize, const F: usize>(
        simd: S,
        (prior, rows): (&[Block<T>], &[&[Block<T>]; REPLICAS_MAX]),
        weights: &[T],
        total: &mut [Block<T>],
        shares: &mut [f64; REPLICAS_MAX + 1],
    ) {
        simd.vectorize(
            #[inline(always)]
            || recurrence::<S, T, N, F>(simd, (prior, rows), weights, total, shares),
        );
    }

    fn pass<S: Simd, const N: usize, const F: usize>(
        &mut self,
        simd: S,
        prior: &[Block<T>],
        rows: &[&[Block<T>]; REPLICAS_MAX],
    ) {
        let (lanes, sums) = (self.lanes.as_mut_slice(), self.sums.as_mut_slice());
        simd.vectorize(
            #[inline(always)]
            || {
                pass::<S, T, N, F>(simd, prior, rows, lanes);
                let group = T::Native::<S>::LEN * T::Native::<S>::LEN;
                for (place, lanes) in lanes.chunks_exact(group).enumerate() {
                    if place * T::Native::<S>::LEN <= singles::<N, F>() + N {
                        let sum = reduced::<S, T>(
                            simd,
                            lanes,
                            #[inline(always)]
                            |a, b| a + b,
                        );
                        put::<S, T>(sums, place, sum);
                    }
                }
            },
        );
    }

    /// Evidence of the quorums, then zeros up to whole vectors; the other sums are lost.
    pub(super) fn quorums(&mut self) -> &[T] {
        let quorums = choose(self.n, self.faults);
        let sums = &mut self.sums.as_mut_slice()[..padded(quorums)];
        sums[quorums..].fill(T::of(0.0));
        sums
    }

    /// P(honest) of each replica by the marginal model of these `weights`, and the sum over all sets; a replica is
    /// honest in what does not leave it out.
    pub(super) fn honest(&self, weights: &[T], honest: &mut Vec<f64>) -> f64 {
        let n = self.n;
        let mut without = [0.0; REPLICAS_MAX];
        let mut pairs = 0.0;
        let mut rest = self.sums.as_slice();
        if self.faults == 2 {
            let weight = weights[2].wide();
            for a in 0..n {
                let (now, later) = rest.split_at(n - 1 - a);
                for (b, sum) in now.iter().enumerate() {
                    let mass = sum.wide() * weight;
                    without[a] += mass;
                    without[a + 1 + b] += mass;
                    pairs += mass;
                }
                rest = later;
            }
        }
        let weight = weights[1].wide();
        let mut all = pairs + rest[n].wide() * weights[0].wide();
        for (without, sum) in without.iter_mut().zip(&rest[..n]) {
            let mass = sum.wide() * weight;
            *without += mass;
            all += mass;
        }
        let per_sum = 1.0 / all;
        honest.clear();
        honest.extend(without[..n].iter().map(|without| ((all - without) * per_sum).clamp(0.0, 1.0)));
        all
    }
}

/// The rows in blocks.
#[inline(always)]
pub(super) fn blocks<'a, T: Real>(
    prior: &'a [T],
    row: impl Fn(usize) -> &'a [T],
    n: usize,
) -> [&'a [Block<T>]; REPLICAS_MAX] {
    let mut rows = [prior.as_chunks().0; REPLICAS_MAX];
    for (i, rows) in rows.iter_mut().enumerate().take(n) {
        *rows = row(i).as_chunks().0;
    }
    rows
}

/// The place of the sums that leave one out.
const fn singles<const N: usize, const F: usize>() -> usize {
    if F == 2 { N * (N - 1) / 2 } else { 0 }
}

#[inline(always)]
fn pass<S: Simd, T: Real, const N: usize, const F: usize>(
    simd: S,
    prior: &[Block<T>],
    rows: &[&[Block<T>]; REPLICAS_MAX],
    out: &mut [T],
) {
    let lanes = T::Native::<S>::LEN;
    let zero = T::Native::<S>::splat(simd, T::of(0.0));
    let mut sums = [tiny::<S, T>(simd); SUMS];
    let mut ratios = [zero; REPLICAS_MAX];
    // Products of all rows behind one.
    let mut after = [zero; REPLICAS_MAX];
    for (block, prior) in prior.iter().enumerate() {
        let mut cells = [prior; N];
        for (cells, row) in cells.iter_mut().zip(rows) {
            *cells = &row[block];
        }
        for v in 0..LANES_MAX / lanes {
            for i in 0..N {
                ratios[i] = at::<S, T>(simd, cells[i], v);
            }
            after[N - 2] = ratios[N - 1];
            for i in (0..N - 2).rev() {
                after[i] = times::<S, T>(simd, after[i + 1], ratios[i + 1]);
            }
            let mut before = at::<S, T>(simd, prior, v);
            // Written out, so that all places are known and the sums need no memory.
            macro_rules! leave_out {
                ($($a:literal)*) => {$(
                    if $a < N {
                        let single = singles::<N, F>() + $a;
                        if $a + 1 < N {
                            if F == 2 {
                                let place = $a * (2 * N - $a - 1) / 2;
                                let mut known = before;
                                for b in $a + 1..N - 1 {
                                    sums[place + b - $a - 1] = known.mul_add(after[b], sums[place + b - $a - 1]);
                                    known = times::<S, T>(simd, known, ratios[b]);
                                }
                                sums[place + N - $a - 2] += known;
                            }
                            sums[single] = before.mul_add(after[$a], sums[single]);
                        } else {
                            sums[single] += before;
                        }
                        before = times::<S, T>(simd, before, ratios[$a]);
                    }
                )*};
            }
            leave_out!(0 1 2 3 4 5 6 7);
            sums[singles::<N, F>() + N] += before;
        }
    }
    macro_rules! keep {
        ($($k:literal)*) => {$(
            if $k < singles::<N, F>() + N + 1 {
                put::<S, T>(out, $k, sums[$k]);
            }
        )*};
    }
    keep!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18);
    keep!(19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36);
}

#[inline(always)]
fn recurrence<S: Simd, T: Real, const N: usize, const F: usize>(
    simd: S,
    (prior, rows): (&[Block<T>], &[&[Block<T>]; REPLICAS_MAX]),
    weights: &[T],
    total: &mut [Block<T>],
    out: &mut [f64; REPLICAS_MAX + 1],
) {
    let lanes = T::Native::<S>::LEN;
    let zero = T::Native::<S>::splat(simd, T::of(0.0));
    let one = T::Native::<S>::splat(simd, T::of(1.0));
    let mut last = [zero; 3];
    for (last, &weight) in last.iter_mut().zip(weights) {
        *last = T::Native::<S>::splat(simd, weight);
    }
    let mut shares = [tiny::<S, T>(simd); REPLICAS_MAX];
    let mut all = zero;
    let mut ratios = [zero; REPLICAS_MAX];
    for ((block, prior), total) in prior.iter().enumerate().zip(total) {
        let mut cells = [prior; N];
        for (cells, row) in cells.iter_mut().zip(rows) {
            *cells = &row[block];
        }
        for v in 0..LANES_MAX / lanes {
            let mass = at::<S, T>(simd, prior, v);
            // Sums over the ways to leave none, one and two of the replicas before each out.
            let mut before = [[zero; 3]; REPLICAS_MAX + 1];
            before[0][0] = one;
            macro_rules! forward {
                ($($i:literal)*) => {$(
                    if $i < N {
                        let known = before[$i];
                        let ratio = at::<S, T>(simd, cells[$i.min(N - 1)], v);
                        ratios[$i] = ratio;
                        before[$i + 1] = match $i {
                            0 => [ratio, one, zero],
                            1 => [times::<S, T>(simd, known[0], ratio), known[0] + ratio, one],
                            _ => [
                                times::<S, T>(simd, known[0], ratio),
                                known[1].mul_add(ratio, known[0]),
                                if F == 2 { known[2].mul_add(ratio, known[1]) } else { zero },
                            ],
                        };
                    }
                )*};
            }
            forward!(0 1 2 3 4 5 6 7);
            let known = before[N];
            let mut mixed = known[1].mul_add(last[1], times::<S, T>(simd, known[0], last[0]));
            if F == 2 {
                mixed = known[2].mul_add(last[2], mixed);
            }
            mixed = times::<S, T>(simd, mixed, mass);
            all += mixed;
            put::<S, T>(total, v, mixed);
            let mut after = last;
            macro_rules! backward {
                ($($i:literal)*) => {$(
                    if $i < N {
                        let (known, ratio) = (before[$i], ratios[$i]);
                        let mut dot = if $i > 0 { times::<S, T>(simd, known[0], after[0]) } else { after[0] };
                        if $i > 0 {
                            dot = if $i == 1 { dot + after[1] } else { known[1].mul_add(after[1], dot) };
                        }
                        if F == 2 && $i > 1 {
                            dot = if $i == 2 { dot + after[2] } else { known[2].mul_add(after[2], dot) };
                        }
                        shares[$i] = times::<S, T>(simd, dot, ratio).mul_add(mass, shares[$i]);
                        // The first replica asks for nothing but the first of them.
                        if $i > 0 {
                            after[0] = after[0].mul_add(ratio, after[1]);
                        }
                        if $i > 1 {
                            if F == 2 {
                                after[1] = after[1].mul_add(ratio, after[2]);
                            }
                            let last = &mut after[F];
                            *last = times::<S, T>(simd, *last, ratio);
                        }
                    }
                )*};
            }
            backward!(7 6 5 4 3 2 1 0);
        }
    }
    macro_rules! keep {
        ($($i:literal)*) => {$(
            if $i < N {
                out[$i] = shares[$i].reduce_sum().wide();
            }
        )*};
    }
    keep!(0 1 2 3 4 5 6 7);
    out[N] = all.reduce_sum().wide();
}
