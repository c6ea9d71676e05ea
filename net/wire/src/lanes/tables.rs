//! Multiples of points that are known before a signature comes: of the base point, and of each registered key.

use super::field::{Fe, negated};
use super::point::{
    Affine, Cached, affine, cached, cached_identity, double, identity, normalised, plus_affine, point_of,
};
use super::point::{negated_affine_where, negated_where};
use super::vector::{V, lanes, load, set1, store, transposed, words_of};
use core::arch::x86_64::*;
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use std::sync::OnceLock;

/// One affine point: y + x, y − x and 2d·xy, five canonical limbs each, and a word to fill up.
#[repr(align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row([u64; 16]);

impl Row {
    const IDENTITY: Self = {
        let mut words = [0; 16];
        words[0] = 1;
        words[5] = 1;
        Self(words)
    };
}

/// What is kept of a registered key A: −A and −2^128·A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyRows {
    pub(super) low: Row,
    pub(super) high: Row,
}

/// 0 … 128 times a point.
pub(super) type Multiples = [Row; 129];

/// Multiples of the base point B and of 2^128·B: 32 KiB.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) low: Box<Multiples>,
    pub(super) high: Box<Multiples>,
}

/// The base point's tables, made once a process.
///
/// # Safety
/// The processor must have the features of [`super::available`].
pub(super) unsafe fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let high = ED25519_BASEPOINT_POINT * two_to_the_128();
        // SAFETY: by this function's own condition.
        let multiples = |point| unsafe { multiples(point) };
        Base { low: multiples(ED25519_BASEPOINT_POINT), high: multiples(high) }
    })
}

fn two_to_the_128() -> curve25519_dalek::Scalar {
    let half = curve25519_dalek::Scalar::from(1_u128 << 127);
    half + half
}

lanes! {
    fn multiples(point: EdwardsPoint) -> Box<Multiples> {
        let mut rows = Box::new([Row::IDENTITY; 129]);
        let mut next = point;
        for rows in rows[1..].chunks_exact_mut(8) {
            let mut encodings = [[0; 32]; 8];
            for encoding in &mut encodings {
                *encoding = next.compress().to_bytes();
                next += point;
            }
            let (x, y, _) = super::field::decompressed(words_of(encodings.each_ref()));
            rows.copy_from_slice(&rows_of(&affine(&x, &y)));
        }
        rows
    }

    /// The rows of eight keys, whose encodings are canonical and do encode points.
    pub(super) fn key_rows(encodings: [&[u8; 32]; 8]) -> [KeyRows; 8] {
        let (x, y, _) = super::field::decompressed(words_of(encodings));
        let minus_x = negated(&x);
        let mut point = point_of(&minus_x, &y);
        for _ in 0..128 {
            point = double(&point, false);
        }
        let low = rows_of(&affine(&minus_x, &y));
        let high = rows_of(&normalised(&point));
        let mut keys = [KeyRows { low: Row::IDENTITY, high: Row::IDENTITY }; 8];
        for (key, (low, high)) in keys.iter_mut().zip(low.into_iter().zip(high)) {
            *key = KeyRows { low, high };
        }
        keys
    }

    /// A row of each lane.
    fn rows_of(points: &Affine) -> [Row; 8] {
        let Affine { y_plus_x: Fe(p), y_minus_x: Fe(m), xy2d: Fe(t) } = points;
        let first = transposed([p[0], p[1], p[2], p[3], p[4], m[0], m[1], m[2]]);
        let second = transposed([m[3], m[4], t[0], t[1], t[2], t[3], t[4], set1(0)]);
        let mut rows = [Row::IDENTITY; 8];
        for (row, (first, second)) in rows.iter_mut().zip(first.into_iter().zip(second)) {
            let (a, b) = row.0.split_at_mut(8);
            a.copy_from_slice(&store(first));
            b.copy_from_slice(&store(second));
        }
        rows
    }

    /// A lane of each row.
    pub(super) fn affine_of(rows: [&Row; 8]) -> Affine {
        let (mut first, mut second) = ([set1(0); 8], [set1(0); 8]);
        for (lane, row) in rows.into_iter().enumerate() {
            let (halves, _) = row.0.as_chunks::<8>();
            first[lane] = load(&halves[0]);
            second[lane] = load(&halves[1]);
        }
        let [p0, p1, p2, p3, p4, m0, m1, m2] = transposed(first);
        let [m3, m4, t0, t1, t2, t3, t4, _] = transposed(second);
        Affine {
            y_plus_x: Fe([p0, p1, p2, p3, p4]),
            y_minus_x: Fe([m0, m1, m2, m3, m4]),
            xy2d: Fe([t0, t1, t2, t3, t4]),
        }
    }

    fn digits(lanes: &[i16; 8]) -> V {
        let mut wide = [0_u64; 8];
        for (wide, &digit) in wide.iter_mut().zip(lanes) {
            *wide = i64::from(digit) as u64;
        }
        load(&wide)
    }

    /// Digit times point, digits −128 … 128: a row of the table each.
    pub(super) fn chosen_row(table: &Multiples, lanes: &[i16; 8]) -> Affine {
        let mut rows = [&table[0]; 8];
        for (row, digit) in rows.iter_mut().zip(lanes) {
            *row = &table[usize::from(digit.unsigned_abs())];
        }
        negated_affine_where(_mm512_movepi64_mask(digits(lanes)), &affine_of(rows))
    }

    /// 1 … 8 times the point of each lane.
    pub(super) fn small_multiples(q: &Affine) -> [Cached; 8] {
        let p1 = plus_affine(&identity(), q, true);
        let p2 = double(&p1, true);
        let p3 = plus_affine(&p2, q, true);
        let p4 = double(&p2, true);
        let p5 = plus_affine(&p4, q, true);
        let p6 = double(&p3, true);
        let p7 = plus_affine(&p6, q, true);
        let p8 = double(&p4, true);
        [cached(&p1), cached(&p2), cached(&p3), cached(&p4), cached(&p5), cached(&p6), cached(&p7), cached(&p8)]
    }

    /// Digit times point, digits −8 … 8.
    pub(super) fn chosen(table: &[Cached; 8], lanes: &[i16; 8]) -> Cached {
        let digits = digits(lanes);
        let magnitude = _mm512_abs_epi64(digits);
        let mut found = cached_identity();
        for (i, multiple) in table.iter().enumerate() {
            let here = _mm512_cmpeq_epi64_mask(magnitude, set1(i as u64 + 1));
            for k in 0..5 {
                let take = |old: V, new: V| _mm512_mask_mov_epi64(old, here, new);
                found.y_plus_x.0[k] = take(found.y_plus_x.0[k], multiple.y_plus_x.0[k]);
                found.y_minus_x.0[k] = take(found.y_minus_x.0[k], multiple.y_minus_x.0[k]);
                found.z2.0[k] = take(found.z2.0[k], multiple.z2.0[k]);
                found.t2d.0[k] = take(found.t2d.0[k], multiple.t2d.0[k]);
            }
        }
        negated_where(_mm512_movepi64_mask(digits), &found)
    }
}
