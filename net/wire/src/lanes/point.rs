//! Points of the curve, eight at a time: −x² + y² = 1 + d·x²y², with the complete formulas of Hisil, Wong, Carter and Dawson
//! ("Twisted Edwards Curves Revisited", 2008) for a = −1. Complete: they hold for every pair of points, the identity and
//! equal points too, so a hostile point needs no case of its own.

use super::field::{
    D2, Fe, Wide, add, canonical, difference_of, inverse, mul, mul_wide, negated_loose, one, select, splat,
    square_wide, sub, sum_of, twice_of, twice_of_less, widened, zero,
};
use super::vector::lanes;

/// x = X/Z, y = Y/Z, T = XY/Z.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: Fe,
    pub(super) y: Fe,
    pub(super) z: Fe,
    /// Of meaning only where it was asked for.
    pub(super) t: Fe,
}

/// What an addition needs of a point with any Z.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cached {
    pub(super) y_plus_x: Fe,
    pub(super) y_minus_x: Fe,
    pub(super) z2: Fe,
    pub(super) t2d: Fe,
}

/// What an addition needs of a point with Z = 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    pub(super) y_plus_x: Fe,
    pub(super) y_minus_x: Fe,
    pub(super) xy2d: Fe,
}

lanes! {
    /// The neutral element.
    pub(super) fn identity() -> Point {
        Point { x: zero(), y: one(), z: one(), t: zero() }
    }

    pub(super) fn cached_identity() -> Cached {
        Cached { y_plus_x: one(), y_minus_x: one(), z2: splat([2, 0, 0, 0, 0]), t2d: zero() }
    }

    /// 2p; with T only where `with_t`, since a doubling does not need it.
    pub(super) fn double(p: &Point, with_t: bool) -> Point {
        // What is only added and subtracted is carried in the sum.
        let (xx, yy, zz) = (square_wide(&p.x), square_wide(&p.y), square_wide(&p.z));
        let e = twice_of(&mul_wide(&p.x, &p.y));
        let h = sum_of(&yy, &xx);
        let g = difference_of(&yy, &xx);
        let f = twice_of_less(&zz, &g);
        Point { x: mul(&e, &f), y: mul(&h, &g), z: mul(&g, &f), t: if with_t { mul(&e, &h) } else { e } }
    }

    fn summed(a: &Wide, b: &Wide, c: &Wide, d: &Wide, with_t: bool) -> Point {
        let e = difference_of(a, b);
        let h = sum_of(a, b);
        let g = sum_of(d, c);
        let f = difference_of(d, c);
        Point { x: mul(&e, &f), y: mul(&h, &g), z: mul(&g, &f), t: if with_t { mul(&e, &h) } else { e } }
    }

    /// p + q. `p` must have its T.
    pub(super) fn plus(p: &Point, q: &Cached, with_t: bool) -> Point {
        let a = mul_wide(&add(&p.y, &p.x), &q.y_plus_x);
        let b = mul_wide(&sub(&p.y, &p.x), &q.y_minus_x);
        let c = mul_wide(&p.t, &q.t2d);
        let d = mul_wide(&p.z, &q.z2);
        summed(&a, &b, &c, &d, with_t)
    }

    /// p + q. `p` must have its T.
    pub(super) fn plus_affine(p: &Point, q: &Affine, with_t: bool) -> Point {
        let a = mul_wide(&add(&p.y, &p.x), &q.y_plus_x);
        let b = mul_wide(&sub(&p.y, &p.x), &q.y_minus_x);
        let c = mul_wide(&p.t, &q.xy2d);
        let d = widened(&add(&p.z, &p.z));
        summed(&a, &b, &c, &d, with_t)
    }

    pub(super) fn cached(p: &Point) -> Cached {
        Cached {
            y_plus_x: add(&p.y, &p.x),
            y_minus_x: sub(&p.y, &p.x),
            z2: add(&p.z, &p.z),
            t2d: mul(&p.t, &splat(D2)),
        }
    }

    /// Of x and y; the limbs are canonical, so that they can be kept.
    pub(super) fn affine(x: &Fe, y: &Fe) -> Affine {
        Affine {
            y_plus_x: canonical(&add(y, x)),
            y_minus_x: canonical(&sub(y, x)),
            xy2d: canonical(&mul(&mul(x, y), &splat(D2))),
        }
    }

    pub(super) fn point_of(x: &Fe, y: &Fe) -> Point {
        Point { x: *x, y: *y, z: one(), t: mul(x, y) }
    }

    /// The same points with Z = 1.
    pub(super) fn normalised(p: &Point) -> Affine {
        let z = inverse(&p.z);
        affine(&mul(&p.x, &z), &mul(&p.y, &z))
    }

    /// −q in the lanes of `mask`. The limbs of `q` must be canonical or tight.
    pub(super) fn negated_where(mask: u8, q: &Cached) -> Cached {
        Cached {
            y_plus_x: select(mask, &q.y_minus_x, &q.y_plus_x),
            y_minus_x: select(mask, &q.y_plus_x, &q.y_minus_x),
            z2: q.z2,
            t2d: select(mask, &negated_loose(&q.t2d), &q.t2d),
        }
    }

    /// −q in the lanes of `mask`.
    pub(super) fn negated_affine_where(mask: u8, q: &Affine) -> Affine {
        Affine {
            y_plus_x: select(mask, &q.y_minus_x, &q.y_plus_x),
            y_minus_x: select(mask, &q.y_plus_x, &q.y_minus_x),
            xy2d: select(mask, &negated_loose(&q.xy2d), &q.xy2d),
        }
    }
}
