//! Every quorum's evidence and peak: sums and maxima over the support, as many quorums as a vector has lanes reduced
//! together.

use super::lanes::{Aligned, Real, at, loaded, put, reduced, times};
use super::pairs::Pairs;
use super::walk::{Shape, Visit, Walk, Walked};
use fearless_simd::prelude::*;

#[derive(Debug, Default)]
pub(super) struct Search<T> {
    /// `Σ_x P(x) Π r_i(x)` of each quorum, in the order of the walk; then zeros up to whole vectors.
    pub(super) sums: Vec<T>,
    /// `max_x P(x) Π r_i(x)` of each quorum, likewise.
    pub(super) peaks: Vec<T>,
    pub(super) walk: Walk<T>,
    /// Whether the walk's last run was of whole rows.
    pub(super) whole: bool,
    groups: [Aligned<T>; 2],
    pairs: Pairs<T>,
}

/// Groups that are gathered before they are reduced.
const GROUPS: usize = 4;

/// Cells that a walk's rests may take: they are to stay in the cache.
const REST_CELLS: usize = 1 << 15;

impl<T: Real> Search<T> {
    /// Of `rows`, one for each replica that is left, as long as `prior`; each of the `quorums` quorums leaves `faults` out.
    pub(super) fn run<S: Simd, const PEAKS: bool>(
        &mut self,
        simd: S,
        prior: &[T],
        rows: &[T],
        faults: usize,
        quorums: usize,
    ) {
        let lanes = T::Native::<S>::LEN;
        let (stride, n) = (prior.len(), rows.len() / prior.len());
        let vectors = stride / lanes;
        self.sums.clear();
        self.sums.resize(quorums.next_multiple_of(lanes), T::of(0.0));
        self.peaks.clear();
        self.peaks.resize(if PEAKS { self.sums.len() } else { 0 }, T::of(0.0));
        self.groups.iter_mut().for_each(|group| group.resize(GROUPS * lanes * lanes));
        let fits = |wide: usize| Shape::rests(n, faults) * wide * lanes <= REST_CELLS;
        let mut from = 0;
        while from < vectors {
            // Rows are looked at some vectors at a time; how many is known to the compiler.
            let left = vectors - from;
            let wide = [8, 4, 2].into_iter().find(|&wide| wide <= left && fits(wide)).unwrap_or(1);
            let shape = Shape { n, f: faults, stride, from, wide };
            match wide {
                8 => self.part::<S, PEAKS, 8>(simd, prior, rows, shape),
                4 => self.part::<S, PEAKS, 4>(simd, prior, rows, shape),
                2 => self.part::<S, PEAKS, 2>(simd, prior, rows, shape),
                _ => self.part::<S, PEAKS, 1>(simd, prior, rows, shape),
            }
            self.whole = wide == vectors;
            from += wide;
        }
        // What stands behind the quorums may be searched with them.
        self.sums[quorums..].fill(T::of(0.0));
        if PEAKS {
            self.peaks[quorums..].fill(T::of(0.0));
        }
    }

    fn part<S: Simd, const PEAKS: bool, const WIDE: usize>(
        &mut self,
        simd: S,
        prior: &[T],
        rows: &[T],
        shape: Shape,
    ) {
        self.walk.reserve(shape, T::Native::<S>::LEN);
        let [group, peak_group] = &mut self.groups;
        let mut sums = Sums::<T, PEAKS, WIDE> {
            group: group.as_mut_slice(),
            peak_group: peak_group.as_mut_slice(),
            gathered: 0,
            settled: 0,
            sums: &mut self.sums,
            peaks: &mut self.peaks,
        };
        let (walk, pairs) = (&mut self.walk, &mut self.pairs);
        if !PEAKS && T::UNIT > f64::UNIT && Pairs::<T>::fits(shape, T::Native::<S>::LEN) {
            simd.vectorize(
                #[inline(always)]
                || {
                    let walked = walk.prepare(simd, rows, shape);
                    pairs.make(simd, walked);
                    let mut by_pairs = ByPairs { sums: &mut sums, pairs };
                    walk.show(simd, prior, rows, shape, &mut by_pairs);
                    sums.settle(simd);
                },
            );
            return;
        }
        simd.vectorize(
            #[inline(always)]
            || {
                walk.run(simd, prior, rows, shape, false, &mut sums);
                sums.settle(simd);
            },
        );
    }
}

/// Sums and peaks over `WIDE` vectors of each row, on top of those of the vectors before.
struct Sums<'a, T, const PEAKS: bool, const WIDE: usize> {
    /// A vector for each of the quorums that have gathered, to be reduced.
    group: &'a mut [T],
    peak_group: &'a mut [T],
    gathered: usize,
    /// Groups that have been reduced.
    settled: usize,
    sums: &'a mut [T],
    peaks: &'a mut [T],
}

impl<S: Simd, T: Real, const PEAKS: bool, const WIDE: usize> Visit<S, T> for Sums<'_, T, PEAKS, WIDE> {
    #[inline(always)]
    fn leaves(&mut self, simd: S, base: &[T], rests: &[T]) {
        let known = loaded::<S, T, WIDE>(simd, base);
        self.gather(simd, &known, rests);
    }

    #[inline(always)]
    fn twigs(&mut self, simd: S, base: &mut [T], next: usize, walked: Walked<'_, T>) {
        let mut known = loaded::<S, T, WIDE>(simd, base);
        for a in next..walked.shape.n - 1 {
            self.gather(simd, &known, walked.rests::<S>(a + 1));
            let row = walked.row::<S>(a);
            for (v, known) in known.iter_mut().enumerate() {
                *known = times::<S, T>(simd, *known, at::<S, T>(simd, row, v));
            }
        }
    }
}

/// The same where a pair left out is a look-up.
struct ByPairs<'s, 'a, T, const PEAKS: bool, const WIDE: usize> {
    sums: &'s mut Sums<'a, T, PEAKS, WIDE>,
    pairs: &'s Pairs<T>,
}

impl<S: Simd, T: Real, const PEAKS: bool, const WIDE: usize> Visit<S, T> for ByPairs<'_, '_, T, PEAKS, WIDE> {
    const HELD: usize = 3;

    #[inline(always)]
    fn leaves(&mut self, simd: S, base: &[T], rests: &[T]) {
        self.sums.leaves(simd, base, rests);
    }

    #[inline(always)]
    fn twigs(&mut self, simd: S, base: &mut [T], next: usize, walked: Walked<'_, T>) {
        let mut known = loaded::<S, T, WIDE>(simd, base);
        for a in next..walked.shape.n - 2 {
            self.sums.gather(simd, &known, self.pairs.of(a + 1));
            let row = walked.row::<S>(a);
            for (v, known) in known.iter_mut().enumerate() {
                *known = times::<S, T>(simd, *known, at::<S, T>(simd, row, v));
            }
        }
    }
}

impl<T: Real, const PEAKS: bool, const WIDE: usize> Sums<'_, T, PEAKS, WIDE> {
    /// Sum and peak of `known` times each of `rests`.
    #[inline(always)]
    fn gather<S: Simd>(&mut self, simd: S, known: &[T::Native<S>; WIDE], rests: &[T]) {
        let lanes = T::Native::<S>::LEN;
        let mut rests = rests;
        while !rests.is_empty() {
            let place = self.gathered;
            let count = (GROUPS * lanes - place).min(rests.len() / (WIDE * lanes));
            let (now, later) = rests.split_at(count * WIDE * lanes);
            let group = self.group[place * lanes..].chunks_exact_mut(lanes);
            let mut peak_group = self.peak_group[place * lanes..].chunks_exact_mut(lanes);
            for (rest, out) in now.chunks_exact(WIDE * lanes).zip(group) {
                let mut sum = times::<S, T>(simd, known[0], at::<S, T>(simd, rest, 0));
                let mut peak = sum;
                for (v, &known) in known.iter().enumerate().skip(1) {
                    let rest = at::<S, T>(simd, rest, v);
                    if PEAKS {
                        let product = times::<S, T>(simd, known, rest);
                        sum += product;
                        peak = peak.max(product);
                    } else {
                        sum = known.mul_add(rest, sum);
                    }
                }
                sum.store_slice(out);
                if PEAKS && let Some(out) = peak_group.next() {
                    peak.store_slice(out);
                }
            }
            self.gathered = place + count;
            if self.gathered == GROUPS * lanes {
                self.settle(simd);
            }
            rests = later;
        }
    }

    /// Reduces what has gathered; where that is less than a group the rest means nothing.
    #[inline(always)]
    fn settle<S: Simd>(&mut self, simd: S) {
        let lanes = T::Native::<S>::LEN;
        for group in 0..self.gathered.div_ceil(lanes) {
            let cells = group * lanes * lanes..(group + 1) * lanes * lanes;
            let place = self.settled + group;
            let sums = reduced::<S, T>(
                simd,
                &self.group[cells.clone()],
                #[inline(always)]
                |a, b| a + b,
            );
            let sums = at::<S, T>(simd, self.sums, place) + sums;
            put::<S, T>(self.sums, place, sums);
            if PEAKS {
                let peaks = reduced::<S, T>(
                    simd,
                    &self.peak_group[cells],
                    #[inline(always)]
                    |a: T::Native<S>, b: T::Native<S>| a.max(b),
                );
                let peaks = at::<S, T>(simd, self.peaks, place).max(peaks);
                put::<S, T>(self.peaks, place, peaks);
            }
        }
        self.settled += self.gathered.div_ceil(lanes);
        self.gathered = 0;
    }
}
