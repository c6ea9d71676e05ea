//! SHA-512 (FIPS 180-4) of eight messages in eight lanes.

use super::vector::{V, lanes, load_bytes, set1, store, transposed};
use crate::DIRECT_SIGNED_BYTES_MAX;
use core::arch::x86_64::*;

const BLOCK_BYTES: usize = 128;
/// R and A come before the message.
const PREFIX_BYTES: usize = 64;
/// The end mark and the length in bits come after it.
const SUFFIX_BYTES: usize = 17;
const BLOCKS_MAX: usize = (PREFIX_BYTES + DIRECT_SIGNED_BYTES_MAX + SUFFIX_BYTES).div_ceil(BLOCK_BYTES);

/// Eight padded messages. A message is R, A and at most [`DIRECT_SIGNED_BYTES_MAX`] bytes, which is all that is ever signed.
#[derive(Debug)]
pub(super) struct Padded {
    blocks: [[[u8; BLOCK_BYTES]; BLOCKS_MAX]; 8],
    counts: [usize; 8],
}

impl Padded {
    pub(super) fn new() -> Self {
        Self { blocks: [[[0; BLOCK_BYTES]; BLOCKS_MAX]; 8], counts: [0; 8] }
    }

    /// Puts R, A and the message into `lane`; `false`, and nothing put, where the message is too long.
    pub(super) fn set(&mut self, lane: usize, r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> bool {
        if message.len() > DIRECT_SIGNED_BYTES_MAX {
            return false;
        }
        let bytes = PREFIX_BYTES + message.len();
        let count = (bytes + SUFFIX_BYTES).div_ceil(BLOCK_BYTES);
        let padded = &mut self.blocks[lane].as_flattened_mut()[..count * BLOCK_BYTES];
        let (r_and_a, rest) = padded.split_at_mut(PREFIX_BYTES);
        r_and_a[..32].copy_from_slice(r);
        r_and_a[32..].copy_from_slice(a);
        let (text, padding) = rest.split_at_mut(message.len());
        text.copy_from_slice(message);
        padding.fill(0);
        padding[0] = 0x80;
        let length_at = padding.len() - 8;
        padding[length_at..].copy_from_slice(&(8 * bytes as u64).to_be_bytes());
        self.counts[lane] = count;
        true
    }
}

/// First 64 bits of the fractional parts of the cube roots of the first 80 primes.
const ROUND: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
];

/// First 64 bits of the fractional parts of the square roots of the first 8 primes.
const INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

lanes! {
    /// The digests of eight messages.
    pub(super) fn digests(padded: &Padded) -> [[u8; 64]; 8] {
        let mut state = [set1(0); 8];
        for (word, initial) in state.iter_mut().zip(INITIAL) {
            *word = set1(initial);
        }
        let most = padded.counts.iter().copied().max().unwrap_or(0);
        for block in 0..most {
            let mut unfinished = 0_u8;
            for (lane, &count) in padded.counts.iter().enumerate() {
                unfinished |= u8::from(block < count) << lane;
            }
            // A lane whose message has ended computes on what lies there, and keeps its state.
            let next = compressed(&state, message_words(padded, block));
            for (word, next) in state.iter_mut().zip(next) {
                *word = _mm512_mask_mov_epi64(*word, unfinished, next);
            }
        }
        for word in &mut state {
            *word = swapped(*word);
        }
        let mut digests = [[0; 64]; 8];
        for (digest, row) in digests.iter_mut().zip(transposed(state)) {
            let (chunks, _) = digest.as_chunks_mut::<8>();
            for (chunk, word) in chunks.iter_mut().zip(store(row)) {
                *chunk = word.to_le_bytes();
            }
        }
        digests
    }

    /// The bytes of each word in reverse.
    fn swapped(words: V) -> V {
        let order = _mm512_broadcast_i32x4(_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
        _mm512_shuffle_epi8(words, order)
    }

    /// The sixteen words of each lane's block.
    fn message_words(padded: &Padded, block: usize) -> [V; 16] {
        let (mut first, mut second) = ([set1(0); 8], [set1(0); 8]);
        for lane in 0..8 {
            let (halves, _) = padded.blocks[lane][block].as_chunks::<64>();
            first[lane] = load_bytes(&halves[0]);
            second[lane] = load_bytes(&halves[1]);
        }
        let (first, second) = (transposed(first), transposed(second));
        let mut words = [set1(0); 16];
        for i in 0..8 {
            words[i] = swapped(first[i]);
            words[8 + i] = swapped(second[i]);
        }
        words
    }

    fn xor3(a: V, b: V, c: V) -> V {
        _mm512_ternarylogic_epi64::<0x96>(a, b, c)
    }

    fn plus3(a: V, b: V, c: V) -> V {
        _mm512_add_epi64(_mm512_add_epi64(a, b), c)
    }

    /// Word t + 16 of the message schedule, in place of word t.
    fn expanded(w: &[V; 16], t: usize) -> V {
        let (w1, w14) = (w[(t + 1) % 16], w[(t + 14) % 16]);
        let small_0 = xor3(_mm512_ror_epi64::<1>(w1), _mm512_ror_epi64::<8>(w1), _mm512_srli_epi64::<7>(w1));
        let small_1 = xor3(_mm512_ror_epi64::<19>(w14), _mm512_ror_epi64::<61>(w14), _mm512_srli_epi64::<6>(w14));
        _mm512_add_epi64(plus3(w[t % 16], small_0, w[(t + 9) % 16]), small_1)
    }

    fn compressed(state: &[V; 8], mut w: [V; 16]) -> [V; 8] {
        let mut s = *state;
        for (t, &constant) in ROUND.iter().enumerate() {
            if t >= 16 {
                w[t % 16] = expanded(&w, t);
            }
            let [a, b, c, d, e, f, g, h] = s;
            let big_1 = xor3(_mm512_ror_epi64::<14>(e), _mm512_ror_epi64::<18>(e), _mm512_ror_epi64::<41>(e));
            let choose = _mm512_ternarylogic_epi64::<0xca>(e, f, g);
            let keyed = _mm512_add_epi64(w[t % 16], set1(constant));
            let first = _mm512_add_epi64(plus3(h, big_1, choose), keyed);
            let big_0 = xor3(_mm512_ror_epi64::<28>(a), _mm512_ror_epi64::<34>(a), _mm512_ror_epi64::<39>(a));
            let majority = _mm512_ternarylogic_epi64::<0xe8>(a, b, c);
            s = [plus3(first, big_0, majority), a, b, c, _mm512_add_epi64(d, first), e, f, g];
        }
        for (word, before) in s.iter_mut().zip(state) {
            *word = _mm512_add_epi64(*word, *before);
        }
        s
    }
}
