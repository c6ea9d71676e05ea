//! Eight 64-bit words: what every part of the lane verifier stands on.

use core::arch::x86_64::*;

/// Eight words, one a lane.
pub(super) type V = __m512i;

/// Gives functions the processor's features that lanes need. They may be called from each other; from elsewhere only where
/// [`super::available`] has said that the processor has these features.
macro_rules! lanes {
    ($($item:item)*) => {
        $(
            #[target_feature(enable = "avx512f,avx512ifma,avx512vl,avx512dq,avx512bw")]
            #[inline]
            $item
        )*
    };
}
pub(super) use lanes;

lanes! {
    /// The same word in every lane.
    pub(super) fn set1(word: u64) -> V {
        _mm512_set1_epi64(word as i64)
    }

    /// 19·x, for x below 2^59.
    pub(super) fn x19(x: V) -> V {
        let x = opaque(x);
        _mm512_add_epi64(_mm512_add_epi64(opaque(_mm512_slli_epi64::<4>(x)), _mm512_slli_epi64::<1>(x)), x)
    }

    /// The same vector, of which the compiler no longer knows where it came from. It would make one 64-bit multiplication
    /// of the shifts and sums of `x19`, and that is three operations in a row on Intel's processors.
    fn opaque(mut x: V) -> V {
        // SAFETY: there is no instruction in it.
        unsafe { core::arch::asm!("/* {0} */", inout(zmm_reg) x, options(pure, nomem, nostack, preserves_flags)) };
        x
    }

    pub(super) fn load(words: &[u64; 8]) -> V {
        // SAFETY: the reference covers the 64 bytes that are read; the load asks for no alignment.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    pub(super) fn load_bytes(bytes: &[u8; 64]) -> V {
        // SAFETY: as in `load`.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    pub(super) fn store(v: V) -> [u64; 8] {
        let mut words = [0; 8];
        // SAFETY: the array covers the 64 bytes that are written; the store asks for no alignment.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), v) };
        words
    }

    /// Word k of row i becomes word i of row k.
    pub(super) fn transposed(r: [V; 8]) -> [V; 8] {
        let s0 = _mm512_unpacklo_epi64(r[0], r[1]);
        let s1 = _mm512_unpackhi_epi64(r[0], r[1]);
        let s2 = _mm512_unpacklo_epi64(r[2], r[3]);
        let s3 = _mm512_unpackhi_epi64(r[2], r[3]);
        let s4 = _mm512_unpacklo_epi64(r[4], r[5]);
        let s5 = _mm512_unpackhi_epi64(r[4], r[5]);
        let s6 = _mm512_unpacklo_epi64(r[6], r[7]);
        let s7 = _mm512_unpackhi_epi64(r[6], r[7]);
        let [e0, e2, e4, e6] = quarters(s0, s2, s4, s6);
        let [e1, e3, e5, e7] = quarters(s1, s3, s5, s7);
        [e0, e1, e2, e3, e4, e5, e6, e7]
    }

    /// The 4 × 4 transposition of 128-bit blocks.
    fn quarters(a: V, b: V, c: V, d: V) -> [V; 4] {
        let even_ab = _mm512_shuffle_i64x2::<0x88>(a, b);
        let odd_ab = _mm512_shuffle_i64x2::<0xdd>(a, b);
        let even_cd = _mm512_shuffle_i64x2::<0x88>(c, d);
        let odd_cd = _mm512_shuffle_i64x2::<0xdd>(c, d);
        [
            _mm512_shuffle_i64x2::<0x88>(even_ab, even_cd),
            _mm512_shuffle_i64x2::<0x88>(odd_ab, odd_cd),
            _mm512_shuffle_i64x2::<0xdd>(even_ab, even_cd),
            _mm512_shuffle_i64x2::<0xdd>(odd_ab, odd_cd),
        ]
    }

    /// Eight strings of 32 bytes as four vectors of little-endian words.
    pub(super) fn words_of(strings: [&[u8; 32]; 8]) -> [V; 4] {
        let mut words = [[0_u64; 8]; 4];
        for (lane, string) in strings.into_iter().enumerate() {
            let (chunks, _) = string.as_chunks::<8>();
            for (row, chunk) in words.iter_mut().zip(chunks) {
                row[lane] = u64::from_le_bytes(*chunk);
            }
        }
        let [a, b, c, d] = &words;
        [load(a), load(b), load(c), load(d)]
    }
}
