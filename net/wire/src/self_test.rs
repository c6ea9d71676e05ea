//! Whether a verifier of eight signatures at a time gives the verdicts of `verify_strict`, before it is trusted with any.

use crate::{PublicKey, SIGNATURE_BYTES};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha512};

/// A signature with its key and message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) key: PublicKey,
    pub(crate) message: &'a [u8],
    pub(crate) signature: [u8; SIGNATURE_BYTES],
}

/// RFC 8032, section 7.1, TEST 3: a known answer that does not come from this process's own arithmetic.
const KNOWN_KEY: [u8; 32] = [
    0xfc, 0x51, 0xcd, 0x8e, 0x62, 0x18, 0xa1, 0xa3, 0x8d, 0xa4, 0x7e, 0xd0, 0x02, 0x30, 0xf0, 0x58, 0x08,
    0x16, 0xed, 0x13, 0xba, 0x33, 0x03, 0xac, 0x5d, 0xeb, 0x91, 0x15, 0x48, 0x90, 0x80, 0x25,
];
const KNOWN_MESSAGE: [u8; 2] = [0xaf, 0x82];
const KNOWN_SIGNATURE: [u8; SIGNATURE_BYTES] = [
    0x62, 0x91, 0xd6, 0x57, 0xde, 0xec, 0x24, 0x02, 0x48, 0x27, 0xe6, 0x9c, 0x3a, 0xbe, 0x01, 0xa3, 0x0c,
    0xe5, 0x48, 0xa2, 0x84, 0x74, 0x3a, 0x44, 0x5e, 0x36, 0x80, 0xd7, 0xdb, 0x5a, 0xc3, 0xac, 0x18, 0xff,
    0x9b, 0x53, 0x8d, 0x16, 0xf2, 0x90, 0xae, 0x67, 0xf7, 0x60, 0x98, 0x4d, 0xc6, 0x59, 0x4a, 0x7c, 0x15,
    0xe9, 0x71, 0x6e, 0xd2, 0x8d, 0xc0, 0x27, 0xbe, 0xce, 0xea, 0x1e, 0xc4, 0x0a,
];

/// Whether `verify` (a bit for each of eight cases) is right on known answers, on good signatures over messages of many
/// lengths, and on every kind of bad one, in every lane.
pub(crate) fn passes(verify: impl Fn(&[Case<'_>; 8]) -> u8) -> bool {
    let text: Vec<u8> = (0..crate::DIRECT_SIGNED_BYTES_MAX).map(|i| (i * 31 % 251) as u8).collect();
    let Ok(known_key) = PublicKey::register(&KNOWN_KEY) else { return false };
    let known = Case { key: known_key, message: &KNOWN_MESSAGE, signature: KNOWN_SIGNATURE };
    let mut cases = vec![known];
    for (seed, length) in [0, 1, 46, 47, 48, 111, 175, 176, 200, 303, text.len()].into_iter().enumerate() {
        let signing = SigningKey::from_bytes(&[seed as u8 + 1; 32]);
        let key = PublicKey::of_own(signing.verifying_key());
        let message = &text[..length];
        let good = Case { key, message, signature: signing.sign(message).to_bytes() };
        cases.push(good);
        cases.extend(spoilt(&good));
    }
    cases.extend(hostile(&text[..100]));
    let expected: Vec<bool> = cases.iter().map(|c| c.key.verify(c.message, &c.signature)).collect();
    // Every case once in every lane, beside ever other neighbours.
    let right = (0..8 * cases.len()).step_by(8).all(|start| {
        let shift = start / 8 % 8;
        let at = |lane: usize| (start / 8 + lane * (1 + shift)) % cases.len();
        let given = std::array::from_fn(|lane| cases[at(lane)]);
        let wanted = (0..8).fold(0, |bits, lane| bits | u8::from(expected[at(lane)]) << lane);
        verify(&given) == wanted
    });
    right && expected[0]
}

/// Signatures that must be refused: each breaks one part of the rule.
fn spoilt<'a>(good: &Case<'a>) -> Vec<Case<'a>> {
    let with = |signature| Case { signature, ..*good };
    let mut flipped_r = good.signature;
    flipped_r[3] ^= 1;
    let mut flipped_s = good.signature;
    flipped_s[35] ^= 4;
    let mut malleable = good.signature;
    malleable[63] |= 0xe0;
    let mut identity = good.signature;
    identity[..32].copy_from_slice(EIGHT_TORSION[0].compress().as_bytes());
    let mut signatures = vec![flipped_r, flipped_s, malleable, identity];
    let (r, _) = good.signature.split_at(32);
    if let Some(r) = CompressedEdwardsY::from_slice(r).ok().and_then(|r| r.decompress()) {
        signatures.extend([r + EIGHT_TORSION[1], r + ED25519_BASEPOINT_POINT, -r].map(|r| with_r(good, r)));
    }
    let mut other_s = good.signature;
    other_s[32..].copy_from_slice(Scalar::from(5_u64).as_bytes());
    signatures.push(other_s);
    signatures.into_iter().map(with).collect()
}

/// By the owner of a good key: R plus a point of small order, with an s for which the equation holds but for that point.
fn hostile(message: &[u8]) -> Vec<Case<'_>> {
    let (secret, nonce) = (Scalar::from(0x00c0_ffee_u64), Scalar::from(0xdead_beef_u64));
    let Ok(key) = PublicKey::register(&EdwardsPoint::mul_base(&secret).compress().to_bytes()) else {
        return Vec::new();
    };
    let signed = |torsion: &EdwardsPoint| {
        let r = (EdwardsPoint::mul_base(&nonce) + torsion).compress().to_bytes();
        let s = nonce + challenge(&r, key.as_bytes(), message) * secret;
        let mut signature = [0; SIGNATURE_BYTES];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(s.as_bytes());
        Case { key, message, signature }
    };
    EIGHT_TORSION.iter().map(signed).collect()
}

/// k = SHA-512(R, A, M) mod ℓ.
fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
    let digest = Sha512::new().chain_update(r).chain_update(a).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&digest.into())
}

fn with_r(good: &Case<'_>, r: EdwardsPoint) -> [u8; SIGNATURE_BYTES] {
    let mut signature = good.signature;
    signature[..32].copy_from_slice(r.compress().as_bytes());
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(cases: &[Case<'_>; 8]) -> u8 {
        (0..8).fold(0, |bits, lane| {
            let case = &cases[lane];
            bits | u8::from(case.key.verify(case.message, &case.signature)) << lane
        })
    }

    #[test]
    fn the_rule_itself_passes_and_any_one_lane_that_errs_does_not() {
        assert!(passes(strict));
        assert!(!passes(|_| 0xff));
        assert!(!passes(|_| 0));
        for lane in 0..8 {
            assert!(!passes(|cases| strict(cases) | 1 << lane), "a lane that takes all");
            assert!(!passes(|cases| strict(cases) & !(1 << lane)), "a lane that refuses all");
        }
    }

    /// 8(sB − kA − R) = 0, which forgives torsion.
    fn cofactored(cases: &[Case<'_>; 8]) -> u8 {
        (0..8).fold(0, |bits, lane| {
            let Case { key, message, signature } = &cases[lane];
            let (r_bytes, s) = signature.split_at(32);
            let s = Scalar::from_canonical_bytes(s.try_into().unwrap()).into_option();
            let r = CompressedEdwardsY::from_slice(r_bytes).unwrap().decompress();
            let good = s.zip(r).is_some_and(|(s, r)| {
                let a = key.verifying_key().to_edwards();
                let k = challenge(r_bytes.try_into().unwrap(), key.as_bytes(), message);
                (EdwardsPoint::mul_base(&s) - a * k - r).is_small_order()
            });
            bits | u8::from(good && crate::check_signature_shape(signature).is_ok()) << lane
        })
    }

    #[test]
    fn a_verifier_that_forgives_torsion_does_not_pass() {
        assert!(!passes(cofactored));
    }
}
