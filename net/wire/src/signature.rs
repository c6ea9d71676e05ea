//! What is signed, and what can be said of a signature before any curve arithmetic.

use thiserror::Error;

use crate::{DIGEST_TAG, DIRECT_SIGNED_BYTES_MAX, SIGNATURE_BYTES};

/// The message that Ed25519 signs for a frame: the frame itself, or a tag and its digest.
#[derive(Debug, Clone, Copy)]
pub struct SignedMessage<'a>(Form<'a>);

#[derive(Debug, Clone, Copy)]
enum Form<'a> {
    Direct(&'a [u8]),
    Digest([u8; 64]),
}

impl<'a> SignedMessage<'a> {
    /// What is signed for a frame's header and body.
    ///
    /// Ed25519 reads its message twice through SHA-512; BLAKE3 is an order of magnitude faster, which
    /// tells on long frames only. The length decides, so that a frame has one form.
    #[must_use]
    pub fn of_frame(header_and_body: &'a [u8]) -> Self {
        if header_and_body.len() <= DIRECT_SIGNED_BYTES_MAX {
            return Self(Form::Direct(header_and_body));
        }
        let mut message = [0; 64];
        let (tag, digest) = message.split_at_mut(DIGEST_TAG.len());
        tag.copy_from_slice(&DIGEST_TAG);
        digest.copy_from_slice(blake3::hash(header_and_body).as_bytes());
        Self(Form::Digest(message))
    }

    /// The bytes to sign.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Direct(bytes) => bytes,
            Form::Digest(bytes) => bytes,
        }
    }
}

/// What is wrong with a signature's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureShapeError {
    /// The scalar `s` is not below the group's order ℓ.
    #[error("the signature's s is not below the group's order")]
    ScalarNotReduced,
    /// `R` is not the canonical encoding of a point, or is the identity.
    #[error("the signature's R is not canonical or is the identity")]
    PointNotCanonical,
}

/// ℓ = 2^252 + 27742317777372353535851937790883648493, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// p = 2^255 − 19, little-endian.
const PRIME: [u8; 32] = [
    0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
];

/// The part of the rule for signatures that comparing bytes decides: `s < ℓ`, `R` canonical and not the identity.
///
/// Whatever fails here `verify_strict` would refuse too, some twenty microseconds later.
///
/// # Errors
/// Which half of the signature is wrong.
///
/// ```
/// use centauri_wire::{SignatureShapeError, check_signature_shape};
/// assert_eq!(check_signature_shape(&[0xff; 64]), Err(SignatureShapeError::ScalarNotReduced));
/// ```
pub fn check_signature_shape(signature: &[u8; SIGNATURE_BYTES]) -> Result<(), SignatureShapeError> {
    let (r, s) = signature.split_at(32);
    if !is_below(s, &ORDER) {
        return Err(SignatureShapeError::ScalarNotReduced);
    }
    let mut y = [0; 32];
    y.copy_from_slice(r);
    let [.., last] = &mut y;
    let sign = *last >> 7;
    *last &= 0x7f;
    // x = 0 only at y = ±1: the identity, refused with either sign, and the point of order two, whose
    // encoding with the sign of x set is not canonical (without it, the equation refuses it).
    if !is_below(&y, &PRIME) || is_one(&y) || (sign == 1 && is_minus_one(&y)) {
        return Err(SignatureShapeError::PointNotCanonical);
    }
    Ok(())
}

/// Little-endian comparison of public bytes.
fn is_below(value: &[u8], bound: &[u8; 32]) -> bool {
    value.iter().rev().lt(bound.iter().rev())
}

fn is_one(y: &[u8; 32]) -> bool {
    matches!(y, [1, rest @ ..] if rest.iter().all(|&byte| byte == 0))
}

fn is_minus_one(y: &[u8; 32]) -> bool {
    let [first, rest @ ..] = y;
    let [_, prime_rest @ ..] = &PRIME;
    *first == 0xec && rest == prime_rest
}
