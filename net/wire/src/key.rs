//! Public keys that may be registered, prepared once.

use std::fmt;

use ed25519_dalek::{Signature, VerifyingKey};
use thiserror::Error;

use crate::{SIGNATURE_BYTES, hex};

/// Why a public key may not be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The bytes do not encode a point of the curve.
    #[error("the public key is not a point of the curve")]
    NotAPoint,
    /// The bytes encode a point in a way other than the canonical one.
    #[error("the public key is not in its canonical encoding")]
    NotCanonical,
    /// A point of order 1, 2, 4 or 8, for which anybody can sign.
    #[error("the public key is of small order")]
    SmallOrder,
    /// A point outside the group of prime order.
    #[error("the public key has a torsion component")]
    Torsion,
}

/// An Ed25519 public key that may be registered: canonical, not of small order, free of torsion.
///
/// On such keys the rule for signatures has one reading only, which is `verify_strict`'s. The
/// decompressed point is kept, so that verifying does not take a square root for the key each time.
///
/// ```
/// use centauri_wire::{KeyError, PublicKey};
/// let mut identity = [0; 32];
/// identity[0] = 1;
/// assert_eq!(PublicKey::register(&identity), Err(KeyError::SmallOrder));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Checks a key and prepares it.
    ///
    /// # Errors
    /// The first of the rule's conditions that the key breaks.
    pub fn register(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?;
        let point = key.to_edwards();
        if point.compress().as_bytes() != bytes {
            return Err(KeyError::NotCanonical);
        }
        if point.is_small_order() {
            return Err(KeyError::SmallOrder);
        }
        if !point.is_torsion_free() {
            return Err(KeyError::Torsion);
        }
        Ok(Self(key))
    }

    /// A key made from a seed lies in the group of prime order by its making.
    pub(crate) fn of_own(key: VerifyingKey) -> Self {
        Self(key)
    }

    /// The rule's verdict: `s < ℓ`, `R` canonical and not the identity, `sB − kA = R` exactly.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The prepared key, for a verifier of several signatures at once.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.0
    }

    /// The key as 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        let mut text = String::with_capacity(64);
        hex::push(&mut text, self.as_bytes());
        text
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.to_hex())
    }
}
