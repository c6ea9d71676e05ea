//! Rounds of few replicas: every quorum's evidence and P(honest) from one pass over the support.
//!
//! With at most two of at most eight replicas faulty there are at most 37 sets of replicas that may be left out, none
//! and too few included. The sum over the support of the product of all other rows is made for each of them, vector by
//! vector, with the loops written out for the number of replicas: the rows of a vector and what is multiplied of them stay in
//! registers. The largest sets are the quorums', and all together, weighted, are the marginal model.

use super::choose::choose;
use super::lanes::{Aligned, LANES_MAX, Real, at, padded, put, reduced};
use fearless_simd::prelude::*;

/// Most replicas.
const REPLICAS_MAX: usize = 8;
/// Room for a sum for each set, in whole vectors of any length.
const SUMS: usize = 48;

/// A stretch of cells that is some whole vectors at every level.
type Block<T> = [T; LANES_MAX];

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
        prior: &'a [T],
        row: impl Fn(usize) -> &'a [T],
        n: usize,
        faults: usize,
    ) {
        (self.n, self.faults) = (n, faults);
        self.sums.resize(SUMS);
        self.lanes.resize(SUMS * T::Native::<S>::LEN);
        let mut rows = [prior.as_chunks().0; REPLICAS_MAX];
        for (i, rows) in rows.iter_mut().enumerate().take(n) {
            *rows = row(i).as_chunks().0;
        }
        let prior = prior.as_chunks().0;
        match (faults, n) {
            (1, 3) => self.pass::<S, 3, 1>(simd, prior, &rows),
            (1, 4) => self.pass::<S, 4, 1>(simd, prior, &rows),
            (1, 5) => self.pass::<S, 5, 1>(simd, prior, &rows),
            (1, 6) => self.pass::<S, 6, 1>(simd, prior, &rows),
            (1, 7) => self.pass::<S, 7, 1>(simd, prior, &rows),
            (1, _) => self.pass::<S, 8, 1>(simd, prior, &rows),
            (_, 4) => self.pass::<S, 4, 2>(simd, prior, &rows),
            (_, 5) => self.pass::<S, 5, 2>(simd, prior, &rows),
            (_, 6) => self.pass::<S, 6, 2>(simd, prior, &rows),
            (_, 7) => self.pass::<S, 7, 2>(simd, prior, &rows),
            _ => self.pass::<S, 8, 2>(simd, prior, &rows),
        }
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
    let mut sums = [zero; SUMS];
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
                after[i] = after[i + 1] * ratios[i + 1];
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
                                    known *= ratios[b];
                                }
                                sums[place + N - $a - 2] += known;
                            }
                            sums[single] = before.mul_add(after[$a], sums[single]);
                        } else {
                            sums[single] += before;
                        }
                        before *= ratios[$a];
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
