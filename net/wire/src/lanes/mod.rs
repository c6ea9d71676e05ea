//! Eight signatures at a time in the eight lanes of AVX-512 registers, by 52-bit multiply-add (IFMA).
//!
//! A batch of independent verdicts: no random linear combination, so that no verdict depends on another lane, and the cost
//! is the same whatever the share of forgeries. Everything here is public, so nothing needs constant time; what it owes is
//! exactness, which the tests hold against `verify_strict`.

mod digits;
mod equation;
mod field;
mod point;
mod sha512;
mod tables;
mod vector;

use crate::{SIGNATURE_BYTES, check_signature_shape};
use curve25519_dalek::Scalar;
use equation::{Side, Statements};
use point::Point;
use sha512::Padded;
use std::fmt;
use tables::KeyRows;

/// Lanes of a register.
pub(crate) const LANES: usize = 8;
/// Most groups of a claim a lane that are verified together: they share what can be shared, and no verdict.
pub(crate) const GROUPS: usize = equation::GROUPS;

/// Whether this processor has what the lanes need.
pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
}

/// A registered key with its rows.
#[derive(Clone, Copy)]
pub(crate) struct LaneKey {
    encoding: [u8; 32],
    rows: KeyRows,
}

impl fmt::Debug for LaneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneKey").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}

/// One signature that somebody claims to have made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneClaim<'a> {
    pub(crate) key: &'a LaneKey,
    pub(crate) message: &'a [u8],
    pub(crate) signature: &'a [u8; SIGNATURE_BYTES],
}

/// The lanes; that one exists means that the processor has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneVerifier(());

impl LaneVerifier {
    /// `None` where the processor lacks a feature.
    pub(crate) fn new() -> Option<Self> {
        available().then_some(Self(()))
    }

    /// Prepares keys that the rule allows to be registered.
    pub(crate) fn prepare(self, encodings: &[[u8; 32]]) -> Vec<LaneKey> {
        let mut keys = Vec::with_capacity(encodings.len());
        for chunk in encodings.chunks(LANES) {
            let lanes = std::array::from_fn(|lane| &chunk[lane.min(chunk.len() - 1)]);
            // SAFETY: `self` exists only where the processor has the features.
            let rows = unsafe { tables::key_rows(lanes) };
            keys.extend(chunk.iter().zip(rows).map(|(&encoding, rows)| LaneKey { encoding, rows }));
        }
        keys
    }

    /// For each of at most [`GROUPS`] groups a bit for each claim that the rule accepts: `s < ℓ`, `R` canonical and not the
    /// identity, `sB − kA = R` exactly.
    pub(crate) fn verify(self, groups: &[[LaneClaim<'_>; LANES]]) -> [u8; GROUPS] {
        let Some(first) = groups.first() else { return [0; GROUPS] };
        let mut padded = Padded::new();
        let mut well_formed = [0; GROUPS];
        let mut sides = [Side { sum: self.identity(), r: r_of(first) }; GROUPS];
        for ((claims, well_formed), side) in groups.iter().zip(&mut well_formed).zip(&mut sides) {
            *side = Side { sum: self.sum(claims, &mut padded, well_formed), r: r_of(claims) };
        }
        let sides = &sides[..groups.len().min(GROUPS)];
        // SAFETY: `self` exists only where the processor has the features.
        let mut good = unsafe { equation::equal(sides) };
        for (good, well_formed) in good.iter_mut().zip(well_formed) {
            *good &= well_formed;
        }
        good
    }

    fn identity(self) -> Point {
        // SAFETY: `self` exists only where the processor has the features.
        unsafe { point::identity() }
    }

    /// sB − kA of a group; sets the bits of those claims that are well-formed.
    fn sum(self, claims: &[LaneClaim<'_>; LANES], padded: &mut Padded, well_formed: &mut u8) -> Point {
        for (lane, claim) in claims.iter().enumerate() {
            let (r, _) = halves(claim.signature);
            let fits = padded.set(lane, r, &claim.key.encoding, claim.message);
            *well_formed |= u8::from(fits && check_signature_shape(claim.signature).is_ok()) << lane;
        }
        // SAFETY: `self` exists only where the processor has the features.
        let digests = unsafe { sha512::digests(padded) };
        let statements = Statements {
            keys: claims.map(|claim| &claim.key.rows),
            k: digests.map(|digest| Scalar::from_bytes_mod_order_wide(&digest).to_bytes()),
            // A lane that is not well-formed is refused whatever the equation says of it.
            s: claims.map(|claim| halves(claim.signature).1),
        };
        // SAFETY: as above.
        unsafe { equation::sum(tables::base(), &statements) }
    }
}

fn r_of<'a>(claims: &[LaneClaim<'a>; LANES]) -> [&'a [u8; 32]; LANES] {
    claims.map(|claim| halves(claim.signature).0)
}

/// R and s.
fn halves(signature: &[u8; SIGNATURE_BYTES]) -> (&[u8; 32], &[u8; 32]) {
    let (chunks, _) = signature.as_chunks::<32>();
    (&chunks[0], &chunks[1])
}
