//! The walk over all quorums, by whom they leave out.
//!
//! In lexicographic order of those left out: the later a quorum comes, the earlier it is in the lexicographic order of
//! its own members. All but the last one left out are a node of the tree, with the product of the prior and of the rows
//! that are decided to be in; the last one is a look-up of the products of all remaining rows but one, made once. A
//! quorum's products are thus those of two vectors, a *base* and a *rest*.

use super::lanes::{Aligned, Real, at, put, times};
use fearless_simd::prelude::*;

/// What is done with the quorums.
pub(super) trait Visit<S: Simd, T: Real> {
    /// How many of those left out `twigs` sees to, where at least so many are: two or three.
    const HELD: usize = 2;

    /// The quorums that differ in the last one left out: the products are `base` times each row of `rests`, which are
    /// as long as `base`.
    fn leaves(&mut self, simd: S, base: &[T], rests: &[T]);

    /// The quorums that differ in the last two left out, of which the first is at `next` or behind it: for each place
    /// of it the leaves behind it, after which it is in. Or in the last three, where so many are held.
    fn twigs(&mut self, simd: S, base: &mut [T], next: usize, walked: Walked<'_, T>);
}

/// What a visitor needs to go on by itself.
#[derive(Clone, Copy)]
pub(super) struct Walked<'a, T> {
    pub(super) shape: Shape,
    rows: &'a [T],
    rests: &'a [T],
}

impl<'a, T: Real> Walked<'a, T> {
    /// The rests where the last one left out is at `next` or behind it.
    #[inline(always)]
    pub(super) fn rests<S: Simd>(&self, next: usize) -> &'a [T] {
        let lanes = T::Native::<S>::LEN;
        let place = |a: usize| self.shape.rest(a, a) * lanes;
        &self.rests[place(next)..place(next + 1)]
    }

    /// The part of a replica's row that is looked at.
    #[inline(always)]
    pub(super) fn row<S: Simd>(&self, i: usize) -> &'a [T] {
        let lanes = T::Native::<S>::LEN;
        let from = self.shape.row(i, lanes) * lanes;
        &self.rows[from..from + self.shape.wide * lanes]
    }
}

/// What is walked: some vectors of each row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) n: usize,
    pub(super) f: usize,
    /// Cells from one row to the next.
    pub(super) stride: usize,
    /// The vectors of a row that are looked at: from `from`, `wide` of them.
    pub(super) from: usize,
    pub(super) wide: usize,
}

impl Shape {
    /// The place of row `(a, j)` among the rests: the product of the rows from `a` on without `j`.
    #[inline(always)]
    fn rest(self, a: usize, j: usize) -> usize {
        (a * (2 * self.n - a + 1) / 2 + (j - a)) * self.wide
    }

    /// The place of a replica's row.
    #[inline(always)]
    fn row(self, i: usize, lanes: usize) -> usize {
        i * (self.stride / lanes) + self.from
    }

    /// Rows of rests that the walk makes.
    pub(super) fn rests(n: usize, f: usize) -> usize {
        if f < 2 { n } else { n * (n + 1) / 2 }
    }
}

/// The walk's memory.
#[derive(Debug, Default)]
pub(super) struct Walk<T> {
    /// Products at each level.
    base: Aligned<T>,
    rests: Aligned<T>,
}

impl<T: Real> Walk<T> {
    /// Makes room for a walk of this shape.
    pub(super) fn reserve(&mut self, shape: Shape, lanes: usize) {
        self.base.resize(shape.f.max(1) * shape.wide * lanes);
        self.rests.resize(Shape::rests(shape.n, shape.f) * shape.wide * lanes);
    }

    /// Shows all quorums to `visitor`. The rests are made unless they are `ready`, from a run of the same shape and rows.
    #[inline(always)]
    pub(super) fn run<S: Simd>(
        &mut self,
        simd: S,
        prior: &[T],
        rows: &[T],
        shape: Shape,
        ready: bool,
        visitor: &mut impl Visit<S, T>,
    ) {
        if !ready {
            self.prepare(simd, rows, shape);
        }
        self.show(simd, prior, rows, shape, visitor);
    }

    /// Makes the rests.
    #[inline(always)]
    pub(super) fn prepare<'a, S: Simd>(&'a mut self, simd: S, rows: &'a [T], shape: Shape) -> Walked<'a, T> {
        let rests = self.rests.as_mut_slice();
        match shape.f {
            0 => all_in(simd, rows, shape, rests),
            1 => all_but_one(simd, rows, shape, rests),
            _ => remaining(simd, rows, shape, rests),
        }
        Walked { shape, rows, rests }
    }

    /// Shows all quorums to `visitor`, with the rests that there are.
    #[inline(always)]
    pub(super) fn show<S: Simd>(
        &mut self,
        simd: S,
        prior: &[T],
        rows: &[T],
        shape: Shape,
        visitor: &mut impl Visit<S, T>,
    ) {
        let (base, rests) = (self.base.as_mut_slice(), self.rests.as_slice());
        let cells = shape.wide * T::Native::<S>::LEN;
        for v in 0..shape.wide {
            put::<S, T>(base, v, at::<S, T>(simd, prior, shape.from + v));
        }
        if shape.f < 2 {
            visitor.leaves(simd, &base[..cells], if shape.f == 0 { &rests[..cells] } else { rests });
        } else {
            descend(simd, rows, shape, base, rests, visitor);
        }
    }
}

/// The only rest where nobody is left out.
#[inline(always)]
fn all_in<S: Simd, T: Real>(simd: S, rows: &[T], shape: Shape, rests: &mut [T]) {
    let lanes = T::Native::<S>::LEN;
    for v in 0..shape.wide {
        let mut product = T::Native::<S>::splat(simd, T::of(1.0));
        for i in 0..shape.n {
            product = times::<S, T>(simd, product, at::<S, T>(simd, rows, shape.row(i, lanes) + v));
        }
        put::<S, T>(rests, v, product);
    }
}

/// Where one is left out: a product from behind times one from the front.
#[inline(always)]
fn all_but_one<S: Simd, T: Real>(simd: S, rows: &[T], shape: Shape, rests: &mut [T]) {
    let lanes = T::Native::<S>::LEN;
    let one = T::Native::<S>::splat(simd, T::of(1.0));
    for v in 0..shape.wide {
        let mut after = one;
        for j in (0..shape.n).rev() {
            put::<S, T>(rests, shape.rest(0, j) + v, after);
            after = times::<S, T>(simd, after, at::<S, T>(simd, rows, shape.row(j, lanes) + v));
        }
        let mut before = one;
        for j in 0..shape.n {
            let place = shape.rest(0, j) + v;
            let product = times::<S, T>(simd, before, at::<S, T>(simd, rests, place));
            put::<S, T>(rests, place, product);
            before = times::<S, T>(simd, before, at::<S, T>(simd, rows, shape.row(j, lanes) + v));
        }
    }
}

/// The rests for all `a` that the walk asks for.
#[inline(always)]
fn remaining<S: Simd, T: Real>(simd: S, rows: &[T], shape: Shape, rests: &mut [T]) {
    let lanes = T::Native::<S>::LEN;
    let last = shape.n - 1;
    for v in 0..shape.wide {
        put::<S, T>(rests, shape.rest(last, last) + v, T::Native::<S>::splat(simd, T::of(1.0)));
        for a in (shape.f - 1..last).rev() {
            // Without a: all that follow it, which is the next row without its own first, times that.
            let next = at::<S, T>(simd, rows, shape.row(a + 1, lanes) + v);
            let product = times::<S, T>(simd, at::<S, T>(simd, rests, shape.rest(a + 1, a + 1) + v), next);
            put::<S, T>(rests, shape.rest(a, a) + v, product);
            let first = at::<S, T>(simd, rows, shape.row(a, lanes) + v);
            let (from, to) = (shape.rest(a + 1, a + 1) + v, shape.rest(a, a + 1) + v);
            for k in 0..last - a {
                let product = times::<S, T>(simd, at::<S, T>(simd, rests, from + k * shape.wide), first);
                put::<S, T>(rests, to + k * shape.wide, product);
            }
        }
    }
}

#[inline(always)]
fn descend<S: Simd, T: Real, V: Visit<S, T>>(
    simd: S,
    rows: &[T],
    shape: Shape,
    base: &mut [T],
    rests: &[T],
    visitor: &mut V,
) {
    let Shape { n, f, wide, .. } = shape;
    let lanes = T::Native::<S>::LEN;
    let mut out = [0usize; 128];
    let mut level = 0;
    let walked = Walked { shape, rows, rests };
    loop {
        let next = out[level];
        if level + V::HELD == f {
            let base = &mut base[level * wide * lanes..(level + 1) * wide * lanes];
            visitor.twigs(simd, base, next, walked);
        } else if next + f - level <= n {
            for v in 0..wide {
                let product = at::<S, T>(simd, base, level * wide + v);
                put::<S, T>(base, (level + 1) * wide + v, product);
            }
            level += 1;
            out[level] = next + 1;
            continue;
        }
        if level == 0 {
            return;
        }
        level -= 1;
        // The one that was left out at this level is in now.
        for v in 0..wide {
            let row = at::<S, T>(simd, rows, shape.row(out[level], lanes) + v);
            let product = times::<S, T>(simd, at::<S, T>(simd, base, level * wide + v), row);
            put::<S, T>(base, level * wide + v, product);
        }
        out[level] += 1;
    }
}
