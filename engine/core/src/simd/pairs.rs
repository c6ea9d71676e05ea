//! Rests of the walk without two replicas.
//!
//! Where many are left out most nodes of the walk have but a few leaves, and going from one to the next costs more than
//! they do. With the products of all remaining rows but two as a look-up there are fewer nodes with more to do.

use super::choose::choose;
use super::lanes::{Aligned, Real, at, put, times};
use super::walk::{Shape, Walked};
use fearless_simd::prelude::*;

/// For each replica `a` the products of the rows from `a` on without two of them.
#[derive(Debug, Default)]
pub(super) struct Pairs<T> {
    rows: Aligned<T>,
    /// Where those of each replica begin.
    places: Vec<usize>,
}

/// With fewer faults than this making them costs as much as they save.
const FAULTS_MIN: usize = 4;
/// Cells that they may take: they are to stay in the second cache.
const CELLS: usize = 1 << 16;

impl<T: Real> Pairs<T> {
    pub(super) fn fits(shape: Shape, lanes: usize) -> bool {
        shape.f >= FAULTS_MIN && Self::place(shape, lanes, shape.n) <= CELLS
    }

    /// Where those from `a` on begin.
    fn place(shape: Shape, lanes: usize, a: usize) -> usize {
        // Each a has C(n − a, 2) rows, and the first that is asked for is f − 2.
        (choose(shape.n + 3 - shape.f, 3) - choose(shape.n + 1 - a, 3)) * shape.wide * lanes
    }

    /// Those from `a` on: by the first left out, then by the second.
    #[inline(always)]
    pub(super) fn of(&self, a: usize) -> &[T] {
        &self.rows.as_slice()[self.places[a]..self.places[a + 1]]
    }

    /// Makes them from the rests without one.
    #[inline(always)]
    pub(super) fn make<S: Simd>(&mut self, simd: S, walked: Walked<'_, T>) {
        let lanes = T::Native::<S>::LEN;
        let shape = walked.shape;
        self.rows.resize(Self::place(shape, lanes, shape.n));
        self.places.clear();
        let first = shape.f - 2;
        self.places.extend((0..=shape.n).map(|a| Self::place(shape, lanes, a.max(first))));
        for a in (first..shape.n - 1).rev() {
            let (here, behind) = self.rows.as_mut_slice().split_at_mut(self.places[a + 1]);
            let here = &mut here[self.places[a]..];
            let rests = walked.rests::<S>(a + 1);
            let (without, with) = here.split_at_mut(rests.len());
            without.copy_from_slice(rests);
            let row = walked.row::<S>(a);
            let cells = shape.wide * lanes;
            for (out, behind) in with.chunks_exact_mut(cells).zip(behind.chunks_exact(cells)) {
                for v in 0..shape.wide {
                    let product = times::<S, T>(simd, at::<S, T>(simd, behind, v), at::<S, T>(simd, row, v));
                    put::<S, T>(out, v, product);
                }
            }
        }
    }
}
