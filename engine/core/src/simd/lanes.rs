//! What the kernels need of numbers and of vectors of them.

use fearless_simd::prelude::*;

/// Rows are padded to a multiple of this many cells: the most lanes that any vector has.
pub(super) const LANES_MAX: usize = 16;

/// `points` rounded up to whole vectors.
pub(super) fn padded(points: usize) -> usize {
    points.next_multiple_of(LANES_MAX)
}

/// A number that kernels compute with: float32 or float64.
pub(super) trait Real: SimdFloatElement {
    /// Rounding unit.
    const UNIT: f64;
    /// The smallest normal number: see [`times`].
    const TINY: Self;
    /// In sums of products of numbers up to 1 that are at least this large underflow does not show: [`Real::TINY`] times
    /// the largest number of terms (4,096 points, 129 × 128 steps) is 2⁻²³ of it.
    const SAFE: f64;
    /// Nothing that is compared may be taken for nearer than this (natural logarithm): the scalar code rounds too.
    const SLACK_MIN: f64;
    /// More than all that underflow takes from a product of numbers of which few are above 1 and none above 1.5.
    const LOST: f64;
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
}

impl Real for f32 {
    const UNIT: f64 = 1.0 / (1u64 << 24) as f64;
    const TINY: Self = Self::MIN_POSITIVE;
    const SAFE: f64 = 1e-23;
    const SLACK_MIN: f64 = 0.0;
    const LOST: f64 = 1e-36;
    fn of(x: f64) -> Self {
        x as f32
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    const UNIT: f64 = 1.0 / (1u64 << 53) as f64;
    const TINY: Self = Self::MIN_POSITIVE;
    const SAFE: f64 = 1e-280;
    const SLACK_MIN: f64 = 1e-9;
    const LOST: f64 = 1e-280;
    fn of(x: f64) -> Self {
        x
    }
    fn wide(self) -> f64 {
        self
    }
}

/// A buffer that begins at a cache line, so that no vector straddles two.
#[derive(Debug, Default)]
pub(super) struct Aligned<T> {
    cells: Vec<T>,
    from: usize,
    len: usize,
}

impl<T: Real> Aligned<T> {
    /// Makes it `len` cells long; what they hold is not specified.
    pub(super) fn resize(&mut self, len: usize) {
        const LINE: usize = 64;
        if len + LINE / size_of::<T>() > self.cells.len() {
            self.cells.resize(len + LINE / size_of::<T>(), T::of(0.0));
            // Where no offset would do (it may be refused) any will: alignment is for speed alone.
            self.from = self.cells.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        }
        self.len = len;
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.cells[self.from..self.from + self.len]
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.cells[self.from..self.from + self.len]
    }
}

/// The vector at place `v` of `cells`.
#[inline(always)]
pub(super) fn at<S: Simd, T: Real>(simd: S, cells: &[T], v: usize) -> T::Native<S> {
    let len = T::Native::<S>::LEN;
    T::Native::<S>::from_slice(simd, &cells[v * len..(v + 1) * len])
}

/// The product of `a` and `b`, which are normal numbers or 0, and [`Real::TINY`].
///
/// Far from what a replica reports products get arbitrarily small, and numbers below the smallest normal one cost some
/// processors more than a hundred cycles each. A fused step that adds the smallest normal number costs what a
/// multiplication does and has no such result.
#[inline(always)]
pub(super) fn times<S: Simd, T: Real>(simd: S, a: T::Native<S>, b: T::Native<S>) -> T::Native<S> {
    a.mul_add(b, tiny::<S, T>(simd))
}

/// [`Real::TINY`] in every lane: what a sum of fused products begins with.
#[inline(always)]
pub(super) fn tiny<S: Simd, T: Real>(simd: S) -> T::Native<S> {
    T::Native::<S>::splat(simd, T::TINY)
}

/// `x`, or 0 where that is below the smallest normal number.
pub(super) fn normal<T: Real>(x: f64) -> T {
    if x < T::TINY.wide() { T::of(0.0) } else { T::of(x) }
}

/// The first `WIDE` vectors of `cells`.
#[inline(always)]
pub(super) fn loaded<S: Simd, T: Real, const WIDE: usize>(simd: S, cells: &[T]) -> [T::Native<S>; WIDE] {
    let mut vectors = [T::Native::<S>::splat(simd, T::of(0.0)); WIDE];
    for (v, vector) in vectors.iter_mut().enumerate() {
        *vector = at::<S, T>(simd, cells, v);
    }
    vectors
}

/// Puts a vector at place `v` of `cells`.
#[inline(always)]
pub(super) fn put<S: Simd, T: Real>(cells: &mut [T], v: usize, vector: T::Native<S>) {
    let len = T::Native::<S>::LEN;
    vector.store_slice(&mut cells[v * len..(v + 1) * len]);
}

/// Of as many vectors as a vector has lanes, one after the other in `group`, lane by lane the reduction by `two` of all
/// lanes of each.
#[inline(always)]
pub(super) fn reduced<S: Simd, T: Real>(
    simd: S,
    group: &[T],
    two: impl Fn(T::Native<S>, T::Native<S>) -> T::Native<S>,
) -> T::Native<S> {
    let lanes = T::Native::<S>::LEN;
    let mut vectors = [T::Native::<S>::splat(simd, T::of(0.0)); LANES_MAX];
    for (k, vector) in vectors.iter_mut().enumerate().take(lanes) {
        *vector = at::<S, T>(simd, group, k);
    }
    // Written out, so that the vectors stay in registers. With neighbours half a group apart the lanes end up in order.
    macro_rules! halve {
        ($half:literal) => {
            if lanes > $half {
                for k in 0..$half {
                    let (a, b) = (vectors[k], vectors[k + $half]);
                    vectors[k] = two(a.zip_low(b), a.zip_high(b));
                }
            }
        };
    }
    halve!(8);
    halve!(4);
    halve!(2);
    halve!(1);
    vectors[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::SimdLevel;
    use fearless_simd::dispatch;

    fn products_are_normal<S: Simd, T: Real>(simd: S) {
        let splat = |x: f64| T::Native::<S>::splat(simd, T::of(x));
        let mut product = splat(1.0);
        for _ in 0..200 {
            product = times::<S, T>(simd, product, splat(1e-3));
            assert!(product.reduce_min().wide() >= T::TINY.wide(), "{product:?}");
        }
        assert_eq!(times::<S, T>(simd, splat(0.25), splat(0.5)).reduce_min().wide(), 0.125);
    }

    #[test]
    fn no_product_falls_below_the_smallest_normal_number() {
        for level in SimdLevel::present() {
            dispatch!(level.token(), simd => {
                products_are_normal::<_, f32>(simd);
                products_are_normal::<_, f64>(simd);
            });
        }
        assert_eq!(normal::<f32>(1e-40), 0.0);
        assert_eq!(normal::<f32>(1e-37), 1e-37);
        assert_eq!(normal::<f64>(1e-320), 0.0);
        assert_eq!(normal::<f64>(1e-300), 1e-300);
    }
}
