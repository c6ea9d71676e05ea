//! The field of 2^255 − 19, eight elements at a time.
//!
//! An element is `Σ limb_i·2^(51 i)`, five limbs. *Tight* limbs are below 2^51 + 2^16: what every product, sum and
//! difference here gives, but for those that are said to be [`Wide`]. *Loose* ones are below 2^52: what every function here
//! takes. `VPMADD52` reads the low 52 bits of its factors and no more, so a limb of 2^52 would not overflow but vanish: that is
//! why sums and differences carry at once.

use super::vector::{V, lanes, set1, x19};
use core::arch::x86_64::*;

/// Eight field elements, one a lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fe(pub(super) [V; 5]);

/// Eight field elements that have not been carried: limbs below 2^61. What is only added to and subtracted from others is
/// carried once, afterwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide([V; 5]);

const LOW_51: i64 = (1 << 51) - 1;
/// The limbs of 2p, from which a loose element is taken away without any limb going below zero: its limbs must not exceed
/// these.
const TWO_P: [u64; 5] = [(1 << 52) - 38, (1 << 52) - 2, (1 << 52) - 2, (1 << 52) - 2, (1 << 52) - 2];
/// The limbs of 2^9·2p, all above 2^60.9: from these a wide element is taken away, whose limbs are below 2^60.3.
const WIDE_MULTIPLE_OF_P: [u64; 5] =
    [TWO_P[0] << 9, TWO_P[1] << 9, TWO_P[2] << 9, TWO_P[3] << 9, TWO_P[4] << 9];
/// −121665/121666.
pub(super) const D: [u64; 5] = [
    929_955_233_495_203,
    466_365_720_129_213,
    1_662_059_464_998_953,
    2_033_849_074_728_123,
    1_442_794_654_840_575,
];
/// 2·D.
pub(super) const D2: [u64; 5] = [
    1_859_910_466_990_425,
    932_731_440_258_426,
    1_072_319_116_312_658,
    1_815_898_335_770_999,
    633_789_495_995_903,
];
/// A square root of −1.
const SQRT_MINUS_ONE: [u64; 5] = [
    1_718_705_420_411_056,
    234_908_883_556_509,
    2_233_514_472_574_048,
    2_117_202_627_021_982,
    765_476_049_583_133,
];

lanes! {
    /// The same element in every lane.
    pub(super) fn splat(limbs: [u64; 5]) -> Fe {
        let [a, b, c, d, e] = limbs;
        Fe([set1(a), set1(b), set1(c), set1(d), set1(e)])
    }

    pub(super) fn zero() -> Fe {
        Fe([_mm512_setzero_si512(); 5])
    }

    pub(super) fn one() -> Fe {
        splat([1, 0, 0, 0, 0])
    }

    /// Limbs below 2^62 to tight ones: each keeps 51 bits and gives the rest to the next, the last 19 times to the first.
    ///
    /// One pass is enough: what is carried is below 2^11, and 19 times that below 2^16.
    fn carried(x: [V; 5]) -> Fe {
        let low = set1(LOW_51 as u64);
        let [x0, x1, x2, x3, x4] = x;
        let c0 = _mm512_srli_epi64::<51>(x0);
        let c1 = _mm512_srli_epi64::<51>(x1);
        let c2 = _mm512_srli_epi64::<51>(x2);
        let c3 = _mm512_srli_epi64::<51>(x3);
        let c4 = _mm512_srli_epi64::<51>(x4);
        Fe([
            _mm512_madd52lo_epu64(_mm512_and_si512(x0, low), c4, set1(19)),
            _mm512_add_epi64(_mm512_and_si512(x1, low), c0),
            _mm512_add_epi64(_mm512_and_si512(x2, low), c1),
            _mm512_add_epi64(_mm512_and_si512(x3, low), c2),
            _mm512_add_epi64(_mm512_and_si512(x4, low), c3),
        ])
    }

    /// From the columns of a product to limbs that are still to be carried. `low[k]` and `high[k]` hold the low 52 bits and the rest of the
    /// products of limbs i and j with i + j = k; the rest belongs, doubled, to column k + 1, since 2^52 = 2·2^51.
    ///
    /// Each column sums at most five terms below 2^52: a folded one is below 5·2^52 + 2·5·2^52 = 15·2^52, and one with 19
    /// others below 300·2^52 < 2^60.3.
    fn folded(low: [V; 9], high: [V; 9]) -> Wide {
        let twice = |x: V| _mm512_add_epi64(x, x);
        let r5 = _mm512_add_epi64(low[5], twice(high[4]));
        let r6 = _mm512_add_epi64(low[6], twice(high[5]));
        let r7 = _mm512_add_epi64(low[7], twice(high[6]));
        let r8 = _mm512_add_epi64(low[8], twice(high[7]));
        let r9 = twice(high[8]);
        Wide([
            _mm512_add_epi64(low[0], x19(r5)),
            _mm512_add_epi64(_mm512_add_epi64(low[1], twice(high[0])), x19(r6)),
            _mm512_add_epi64(_mm512_add_epi64(low[2], twice(high[1])), x19(r7)),
            _mm512_add_epi64(_mm512_add_epi64(low[3], twice(high[2])), x19(r8)),
            _mm512_add_epi64(_mm512_add_epi64(low[4], twice(high[3])), x19(r9)),
        ])
    }

    /// a·b.
    pub(super) fn mul(a: &Fe, b: &Fe) -> Fe {
        carried(mul_wide(a, b).0)
    }

    /// a².
    pub(super) fn square(a: &Fe) -> Fe {
        carried(square_wide(a).0)
    }

    /// a·b, not yet carried.
    pub(super) fn mul_wide(a: &Fe, b: &Fe) -> Wide {
        let (mut low, mut high) = ([_mm512_setzero_si512(); 9], [_mm512_setzero_si512(); 9]);
        for i in 0..5 {
            for j in 0..5 {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], a.0[i], b.0[j]);
                high[i + j] = _mm512_madd52hi_epu64(high[i + j], a.0[i], b.0[j]);
            }
        }
        folded(low, high)
    }

    /// a², not yet carried.
    pub(super) fn square_wide(a: &Fe) -> Wide {
        let (mut low, mut high) = ([_mm512_setzero_si512(); 9], [_mm512_setzero_si512(); 9]);
        for i in 0..5 {
            for j in i + 1..5 {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], a.0[i], a.0[j]);
                high[i + j] = _mm512_madd52hi_epu64(high[i + j], a.0[i], a.0[j]);
            }
        }
        for k in 1..8 {
            low[k] = _mm512_add_epi64(low[k], low[k]);
            high[k] = _mm512_add_epi64(high[k], high[k]);
        }
        for i in 0..5 {
            low[2 * i] = _mm512_madd52lo_epu64(low[2 * i], a.0[i], a.0[i]);
            high[2 * i] = _mm512_madd52hi_epu64(high[2 * i], a.0[i], a.0[i]);
        }
        folded(low, high)
    }

    /// An element as one that is still to be carried.
    pub(super) fn widened(a: &Fe) -> Wide {
        Wide(a.0)
    }

    /// a + b; limbs stay below 2^62.
    pub(super) fn sum_of(a: &Wide, b: &Wide) -> Fe {
        carried(limbwise_sum(&Fe(a.0), &Fe(b.0)))
    }

    /// a − b; limbs stay below 2^60.3 + 2^61 < 2^62.
    pub(super) fn difference_of(a: &Wide, b: &Wide) -> Fe {
        let mut x = limbwise_sum(&Fe(a.0), &splat(WIDE_MULTIPLE_OF_P));
        for (x, b) in x.iter_mut().zip(b.0) {
            *x = _mm512_sub_epi64(*x, b);
        }
        carried(x)
    }

    /// 2a.
    pub(super) fn twice_of(a: &Wide) -> Fe {
        sum_of(a, a)
    }

    /// 2a − b for a tight b; limbs stay below 2^61.3 + 2^52.
    pub(super) fn twice_of_less(a: &Wide, b: &Fe) -> Fe {
        let twice = limbwise_sum(&Fe(a.0), &Fe(a.0));
        carried(limbwise_sum(&Fe(twice), &negated_loose(b)))
    }

    fn limbwise_sum(a: &Fe, b: &Fe) -> [V; 5] {
        let mut sum = a.0;
        for (sum, b) in sum.iter_mut().zip(b.0) {
            *sum = _mm512_add_epi64(*sum, b);
        }
        sum
    }

    /// a + b.
    pub(super) fn add(a: &Fe, b: &Fe) -> Fe {
        carried(limbwise_sum(a, b))
    }

    /// −a for a tight a; the result is loose.
    pub(super) fn negated_loose(a: &Fe) -> Fe {
        let mut negated = splat(TWO_P);
        for (limb, a) in negated.0.iter_mut().zip(a.0) {
            *limb = _mm512_sub_epi64(*limb, a);
        }
        negated
    }

    /// −a for a tight a.
    pub(super) fn negated(a: &Fe) -> Fe {
        carried(negated_loose(a).0)
    }

    /// a − b for a tight b.
    pub(super) fn sub(a: &Fe, b: &Fe) -> Fe {
        carried(limbwise_sum(a, &negated_loose(b)))
    }

    fn squared(a: &Fe, times: usize) -> Fe {
        let mut x = *a;
        for _ in 0..times {
            x = square(&x);
        }
        x
    }

    /// z^(2^252 − 3), the power of which square roots and inverses are made. The names say the exponent: `e5` is
    /// z^(2^5 − 1).
    fn power_2_252_less_3(z: &Fe) -> Fe {
        let z2 = square(z);
        let z9 = mul(z, &squared(&z2, 2));
        let z11 = mul(&z2, &z9);
        let e5 = mul(&z9, &square(&z11));
        let e10 = mul(&squared(&e5, 5), &e5);
        let e20 = mul(&squared(&e10, 10), &e10);
        let e40 = mul(&squared(&e20, 20), &e20);
        let e50 = mul(&squared(&e40, 10), &e10);
        let e100 = mul(&squared(&e50, 50), &e50);
        let e200 = mul(&squared(&e100, 100), &e100);
        let e250 = mul(&squared(&e200, 50), &e50);
        mul(&squared(&e250, 2), z)
    }

    /// 1/z, and 0 for 0: z^(p − 2), p − 2 = 8·(2^252 − 3) + 3.
    pub(super) fn inverse(z: &Fe) -> Fe {
        mul(&squared(&power_2_252_less_3(z), 3), &mul(z, &square(z)))
    }

    /// The one representation below p, with limbs below 2^51.
    pub(super) fn canonical(a: &Fe) -> Fe {
        let low = set1(LOW_51 as u64);
        let mut x = carried(a.0).0;
        // Two rounds in sequence leave limbs below 2^51 and a value below 2^255.
        for _ in 0..2 {
            for i in 0..4 {
                x[i + 1] = _mm512_add_epi64(x[i + 1], _mm512_srli_epi64::<51>(x[i]));
                x[i] = _mm512_and_si512(x[i], low);
            }
            x[0] = _mm512_add_epi64(x[0], x19(_mm512_srli_epi64::<51>(x[4])));
            x[4] = _mm512_and_si512(x[4], low);
        }
        // The value is at least p exactly if adding 19 carries out of bit 255; then that carry, times 19, with bit 255 dropped
        // takes p away.
        let mut carry = _mm512_srli_epi64::<51>(_mm512_add_epi64(x[0], set1(19)));
        for limb in &x[1..] {
            carry = _mm512_srli_epi64::<51>(_mm512_add_epi64(*limb, carry));
        }
        x[0] = _mm512_add_epi64(x[0], x19(carry));
        for i in 0..4 {
            x[i + 1] = _mm512_add_epi64(x[i + 1], _mm512_srli_epi64::<51>(x[i]));
            x[i] = _mm512_and_si512(x[i], low);
        }
        x[4] = _mm512_and_si512(x[4], low);
        Fe(x)
    }

    /// A bit for each lane that holds 0.
    pub(super) fn zero_mask(a: &Fe) -> u8 {
        let [a, b, c, d, e] = canonical(a).0;
        let any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)), e);
        _mm512_testn_epi64_mask(any, any)
    }

    /// `a` in the lanes of `mask`, `b` in the others.
    pub(super) fn select(mask: u8, a: &Fe, b: &Fe) -> Fe {
        let mut chosen = b.0;
        for (chosen, a) in chosen.iter_mut().zip(a.0) {
            *chosen = _mm512_mask_mov_epi64(*chosen, mask, a);
        }
        Fe(chosen)
    }

    /// The y of eight compressed points (which the caller has found to be below p) and a mask of their signs of x.
    fn unpacked(words: [V; 4]) -> (Fe, u8) {
        let low = set1(LOW_51 as u64);
        let [w0, w1, w2, w3] = words;
        let join = |a: V, b: V| _mm512_and_si512(_mm512_or_si512(a, b), low);
        let y = Fe([
            _mm512_and_si512(w0, low),
            join(_mm512_srli_epi64::<51>(w0), _mm512_slli_epi64::<13>(w1)),
            join(_mm512_srli_epi64::<38>(w1), _mm512_slli_epi64::<26>(w2)),
            join(_mm512_srli_epi64::<25>(w2), _mm512_slli_epi64::<39>(w3)),
            _mm512_and_si512(_mm512_srli_epi64::<12>(w3), low),
        ]);
        (y, _mm512_movepi64_mask(w3))
    }

    /// A bit for each lane whose point (x, y) has the canonical encoding that `words` hold.
    pub(super) fn encoded_mask(x: &Fe, y: &Fe, words: [V; 4]) -> u8 {
        let (expected, sign) = unpacked(words);
        let (x, y) = (canonical(x), canonical(y));
        let mut differing = _mm512_setzero_si512();
        for (y, expected) in y.0.iter().zip(expected.0) {
            differing = _mm512_or_si512(differing, _mm512_xor_si512(*y, expected));
        }
        let odd = _mm512_test_epi64_mask(x.0[0], set1(1));
        _mm512_testn_epi64_mask(differing, differing) & !(odd ^ sign)
    }

    /// Eight points from their encodings as four words each: x, y, and a mask of the lanes that do encode a point.
    ///
    /// x² = (y² − 1)/(d·y² + 1), x = u·v³·(u·v⁷)^((p − 5)/8) or that times √−1 (RFC 8032, section 5.1.3). The encoding must
    /// be canonical and x = 0 come without a sign, which the caller has checked; other lanes have no meaning.
    pub(super) fn decompressed(words: [V; 4]) -> (Fe, Fe, u8) {
        let (y, sign) = unpacked(words);
        let yy = square(&y);
        let u = sub(&yy, &one());
        let v = add(&mul(&yy, &splat(D)), &one());
        let v3 = mul(&square(&v), &v);
        let v7 = mul(&square(&v3), &v);
        let root = mul(&mul(&u, &v3), &power_2_252_less_3(&mul(&u, &v7)));
        let vxx = mul(&v, &square(&root));
        let is_root = zero_mask(&sub(&vxx, &u));
        let is_root_of_minus = zero_mask(&add(&vxx, &u));
        let root = select(is_root, &root, &mul(&root, &splat(SQRT_MINUS_ONE)));
        let root = canonical(&root);
        let odd = _mm512_test_epi64_mask(root.0[0], set1(1));
        let x = select(odd ^ sign, &negated(&root), &root);
        (x, y, is_root | is_root_of_minus)
    }
}
