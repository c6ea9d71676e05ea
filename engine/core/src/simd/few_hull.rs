//! The region's hull for rounds of few replicas: every quorum's most probable point from one pass over the support.
//!
//! The pass keeps all products and, lane by lane, the largest of each quorum; the peaks come out of one reduction for as
//! many quorums as a vector has lanes, and a comparison with its peak finds each quorum's first point.

use super::choose::choose;
use super::few::{Block, REPLICAS_MAX, blocks, for_shape};
use super::lanes::{Aligned, LANES_MAX, Real, at, put, reduced, times};
use fearless_simd::prelude::*;

/// Most quorums: 8 replicas, two left out.
const QUORUMS_MAX: usize = 28;
/// Room for a number for each quorum, in whole vectors of any length.
const PEAKS: usize = 32;
/// Most cells of a row: beyond this the products leave the first-level cache, and the walk is as fast.
const CELLS_MAX: usize = 256;

/// Every quorum's products.
#[derive(Debug, Default)]
pub(super) struct FewHull<T> {
    /// Vector by vector of the support, a vector for each quorum.
    products: Aligned<T>,
    /// Each quorum's largest product in each lane.
    lanes: Aligned<T>,
    peaks: Aligned<T>,
}

/// What a hull is asked of: rows in blocks, and their number of vectors.
type Rows<'a, T> = [&'a [Block<T>]; REPLICAS_MAX];

impl<T: Real> FewHull<T> {
    /// Whether there is such a pass for rows of so many cells.
    pub(super) fn fits(cells: usize) -> bool {
        cells <= CELLS_MAX
    }

    /// Smallest and largest most probable point over all quorums, a product within `tie` of the peak counting as one; `None`
    /// where a peak has underflowed. The shape must be one that [`super::few::Few`] has.
    pub(super) fn run<'a, S: Simd>(
        &mut self,
        simd: S,
        (prior, row): (&'a [T], impl Fn(usize) -> &'a [T]),
        (n, faults): (usize, usize),
        tie: T,
    ) -> Option<(usize, usize)> {
        let lanes = T::Native::<S>::LEN;
        self.products.resize(prior.len() * choose(n, faults));
        self.lanes.resize(PEAKS * lanes);
        self.peaks.resize(PEAKS);
        let rows = blocks(prior, row, n);
        let prior = prior.as_chunks().0;
        for_shape!(faults, n, self.hull(simd, prior, &rows, tie))
    }

    fn hull<S: Simd, const N: usize, const F: usize>(
        &mut self,
        simd: S,
        prior: &[Block<T>],
        rows: &Rows<'_, T>,
        tie: T,
    ) -> Option<(usize, usize)> {
        let quorums = quorums::<N, F>();
        let lanes = T::Native::<S>::LEN;
        let (products, tops) = (self.products.as_mut_slice(), self.lanes.as_mut_slice());
        let peaks = self.peaks.as_mut_slice();
        simd.vectorize(
            #[inline(always)]
            || {
                multiply::<S, T, N, F>(simd, prior, rows, products, tops);
                for (place, tops) in tops.chunks_exact(lanes * lanes).enumerate() {
                    if place * lanes < quorums {
                        let peak = reduced::<S, T>(
                            simd,
                            tops,
                            #[inline(always)]
                            |a: T::Native<S>, b: T::Native<S>| a.max(b),
                        );
                        put::<S, T>(peaks, place, peak);
                    }
                }
                let products = &products[..prior.len() * LANES_MAX * quorums];
                let (mut low, mut high) = (usize::MAX, 0);
                for (q, &peak) in peaks[..quorums].iter().enumerate() {
                    if peak.wide() < T::SAFE {
                        return None;
                    }
                    let least = T::Native::<S>::splat(simd, peak * tie);
                    let first = first_at_least(simd, products, (q, quorums), least);
                    low = low.min(first);
                    high = high.max(first);
                }
                Some((low, high))
            },
        )
    }
}

/// How many quorums there are.
const fn quorums<const N: usize, const F: usize>() -> usize {
    if F == 2 { N * (N - 1) / 2 } else { N }
}

/// Where quorum `q` of `quorums` first has a product of at least `least`.
#[inline(always)]
fn first_at_least<S: Simd, T: Real>(
    simd: S,
    products: &[T],
    (q, quorums): (usize, usize),
    least: T::Native<S>,
) -> usize {
    let lanes = T::Native::<S>::LEN;
    // As many points as a mask has bits, without a branch for each vector: where the peak is cannot be foretold.
    for (word, products) in products.chunks(64 * quorums).enumerate() {
        let mut bits = 0;
        for (v, products) in products.chunks_exact(quorums * lanes).enumerate() {
            bits |= at::<S, T>(simd, products, q).simd_ge(least).to_bitmask() << (v * lanes);
        }
        if bits != 0 {
            return word * 64 + bits.trailing_zeros() as usize;
        }
    }
    0
}

/// Every quorum's products into `products`, and the largest of each lane into `tops`.
#[inline(always)]
fn multiply<S: Simd, T: Real, const N: usize, const F: usize>(
    simd: S,
    prior: &[Block<T>],
    rows: &Rows<'_, T>,
    products: &mut [T],
    tops: &mut [T],
) {
    let quorums = quorums::<N, F>();
    let lanes = T::Native::<S>::LEN;
    let zero = T::Native::<S>::splat(simd, T::of(0.0));
    let mut peaks = [zero; QUORUMS_MAX];
    let mut ratios = [zero; REPLICAS_MAX];
    // Products of all rows behind one.
    let mut after = [zero; REPLICAS_MAX];
    let mut out = products.chunks_exact_mut(quorums * lanes);
    for (block, prior) in prior.iter().enumerate() {
        let mut cells = [prior; N];
        for (cells, row) in cells.iter_mut().zip(rows) {
            *cells = &row[block];
        }
        for v in 0..LANES_MAX / lanes {
            let Some(out) = out.next() else { return };
            let out = &mut out[..quorums * lanes];
            for i in 0..N {
                ratios[i] = at::<S, T>(simd, cells[i], v);
            }
            after[N - 1] = T::Native::<S>::splat(simd, T::of(1.0));
            for i in (0..N - 1).rev() {
                after[i] = times::<S, T>(simd, after[i + 1], ratios[i + 1]);
            }
            let mut before = at::<S, T>(simd, prior, v);
            // Written out, so that all places are known and the peaks need no memory.
            macro_rules! leave_out {
                ($($a:literal)*) => {$(
                    if $a < N {
                        if F == 2 {
                            let mut known = before;
                            for b in $a + 1..N {
                                let place = $a * (2 * N - $a - 1) / 2 + b - $a - 1;
                                let product = if b + 1 < N { times::<S, T>(simd, known, after[b]) } else { known };
                                peaks[place] = peaks[place].max(product);
                                put::<S, T>(out, place, product);
                                known = times::<S, T>(simd, known, ratios[b]);
                            }
                        } else {
                            let product = times::<S, T>(simd, before, after[$a]);
                            peaks[$a] = peaks[$a].max(product);
                            put::<S, T>(out, $a, product);
                        }
                        before = times::<S, T>(simd, before, ratios[$a]);
                    }
                )*};
            }
            leave_out!(0 1 2 3 4 5 6 7);
        }
    }
    macro_rules! keep {
        ($($k:literal)*) => {$(
            if $k < quorums {
                put::<S, T>(tops, $k, peaks[$k]);
            }
        )*};
    }
    keep!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27);
}
