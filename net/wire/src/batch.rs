//! Verifying many signatures: a verdict each, whatever else is in the batch.

use crate::{Pending, PublicKey, Registry, SIGNATURE_BYTES, SignatureVerdict, SignedMessage};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[cfg(target_arch = "x86_64")]
use crate::lanes::{GROUPS, LANES, LaneClaim, LaneKey, LaneVerifier};

/// How many claims are verified at a time: as many as lanes take together.
const GROUP: usize = 64;
#[cfg(target_arch = "x86_64")]
const _: () = assert!(GROUP == GROUPS * LANES);

/// What computes the verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifierKind {
    /// Eight signatures at a time in AVX-512 lanes.
    Lanes,
    /// One signature at a time by `verify_strict` of ed25519-dalek.
    Strict,
}

impl VerifierKind {
    /// `lanes` or `strict`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lanes => "lanes",
            Self::Strict => "strict",
        }
    }
}

/// Which kind a verifier is to be; `auto` or `strict` in configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum VerifierChoice {
    /// Lanes where the processor has them and they pass their self-test, else one at a time.
    #[default]
    Auto,
    /// One at a time.
    Strict,
}

/// Why signatures are verified one at a time though lanes were not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fallback {
    /// The processor has no AVX-512 with 52-bit multiply-add.
    Processor,
    /// The lanes gave a wrong verdict in their self-test.
    SelfTest,
}

impl std::fmt::Display for Fallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Processor => "this processor has no AVX-512 with 52-bit multiply-add",
            Self::SelfTest => "the eight-lane verifier failed its self-test",
        })
    }
}

/// A signature that a registered node is claimed to have made over a message.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The node's place in [`Registry::nodes`].
    pub node_index: usize,
    /// What is signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8; SIGNATURE_BYTES],
}

/// Verifies signatures of registered nodes, many at a time.
///
/// The rule is the one of [`PublicKey::verify`] and knows no batch: `s < ℓ`, `R` canonical and not the identity,
/// `sB − kA = R` exactly, for each signature by itself. A verdict does not depend on the other signatures, their order or
/// their number, and the cost does not depend on how many are forged. Keys are prepared once, when the verifier is made.
///
/// ```
/// use centauri_wire::*;
///
/// let key = KeyFile::generate([7; 32]);
/// let node = NodeEntry { id: NodeId(3), name: "replica-3".into(), role: Role::Replica, key: key.public_key() };
/// let registry = Registry::new(vec![node])?;
/// let verifier = BatchVerifier::new(&registry, VerifierChoice::Auto);
///
/// let mut verdicts = Vec::new();
/// let forged = [1; SIGNATURE_BYTES];
/// verifier.verify(&[Claim { node_index: 0, message: b"21.5", signature: &forged }], &mut verdicts);
/// assert_eq!(verdicts, [SignatureVerdict::Forged]);
/// # Ok::<(), centauri_wire::RegistryError>(())
/// ```
#[derive(Debug, Clone)]
pub struct BatchVerifier {
    keys: Arc<[PublicKey]>,
    #[cfg(target_arch = "x86_64")]
    lanes: Option<Lanes>,
    fallback: Option<Fallback>,
}

#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone)]
struct Lanes {
    verifier: LaneVerifier,
    keys: Arc<[LaneKey]>,
}

#[cfg(target_arch = "x86_64")]
impl Lanes {
    /// What a lane makes of a claim; none where the node is unknown or the message too long for a lane.
    fn claim<'a>(&'a self, claim: &Claim<'a>) -> Option<LaneClaim<'a>> {
        let fits = claim.message.len() <= crate::DIRECT_SIGNED_BYTES_MAX;
        let key = self.keys.get(claim.node_index).filter(|_| fits)?;
        Some(LaneClaim { key, message: claim.message, signature: claim.signature })
    }
}

impl BatchVerifier {
    /// A verifier for the registry's keys. The lanes are tested first; see [`BatchVerifier::fallback`].
    #[must_use]
    pub fn new(registry: &Registry, choice: VerifierChoice) -> Self {
        let keys: Arc<[PublicKey]> = registry.nodes().iter().map(|node| node.key).collect();
        Self::with_keys(keys, choice)
    }

    #[cfg(target_arch = "x86_64")]
    fn with_keys(keys: Arc<[PublicKey]>, choice: VerifierChoice) -> Self {
        let found = match choice {
            VerifierChoice::Strict => return Self { keys, lanes: None, fallback: None },
            VerifierChoice::Auto => tested_lanes(),
        };
        match found {
            Ok(verifier) => {
                let encodings: Vec<[u8; 32]> = keys.iter().map(|key| *key.as_bytes()).collect();
                let lanes = Lanes { verifier, keys: verifier.prepare(&encodings).into() };
                Self { keys, lanes: Some(lanes), fallback: None }
            }
            Err(fallback) => Self { keys, lanes: None, fallback: Some(fallback) },
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn with_keys(keys: Arc<[PublicKey]>, choice: VerifierChoice) -> Self {
        let fallback = (choice == VerifierChoice::Auto).then_some(Fallback::Processor);
        Self { keys, fallback }
    }

    /// What computes the verdicts.
    #[must_use]
    pub fn kind(&self) -> VerifierKind {
        #[cfg(target_arch = "x86_64")]
        if self.lanes.is_some() {
            return VerifierKind::Lanes;
        }
        VerifierKind::Strict
    }

    /// Why there are no lanes, where [`VerifierChoice::Auto`] asked for them.
    #[must_use]
    pub fn fallback(&self) -> Option<Fallback> {
        self.fallback
    }

    /// A verdict for each claim, in order, into `verdicts`, which is emptied first.
    ///
    /// A node that the registry does not have has signed nothing. A message longer than what frames sign (2,048 bytes) is
    /// verified by itself.
    pub fn verify(&self, claims: &[Claim<'_>], verdicts: &mut Vec<SignatureVerdict>) {
        verdicts.clear();
        for chunk in claims.chunks(GROUP) {
            let some = std::array::from_fn(|lane| chunk.get(lane).copied());
            verdicts.extend(self.verify_some(&some).map(SignatureVerdict::of).into_iter().take(chunk.len()));
        }
    }

    /// A verdict for each frame that passed the cheap checks, in order, into `verdicts`, which is emptied first.
    ///
    /// Allocates nothing once `verdicts` has room. Frames whose signature has a wrong form are forged and take no
    /// lane.
    pub fn verify_pending<'p, 'a: 'p>(
        &self,
        pending: impl IntoIterator<Item = &'p Pending<'a>>,
        verdicts: &mut Vec<SignatureVerdict>,
    ) {
        verdicts.clear();
        // Positions and messages of the next claims to be verified together.
        let mut group: [Option<(usize, &Pending<'a>, SignedMessage<'a>)>; GROUP] = [None; GROUP];
        let mut filled = 0;
        for pending in pending {
            let at = verdicts.len();
            verdicts.push(SignatureVerdict::Forged);
            if pending.shape().is_err() {
                continue;
            }
            if let Some(slot) = group.get_mut(filled) {
                *slot = Some((at, pending, pending.signed_message()));
                filled += 1;
            }
            if filled == GROUP {
                self.verify_group(&group, verdicts);
                group = [None; GROUP];
                filled = 0;
            }
        }
        if filled > 0 {
            self.verify_group(&group, verdicts);
        }
    }

    /// Verifies a group at once and puts each verdict into its place.
    fn verify_group(
        &self,
        group: &[Option<(usize, &Pending<'_>, SignedMessage<'_>)>; GROUP],
        verdicts: &mut [SignatureVerdict],
    ) {
        let claims: [Option<Claim<'_>>; GROUP] = std::array::from_fn(|lane| {
            group.get(lane)?.as_ref().map(|(_, pending, message)| Claim {
                node_index: pending.node_index(),
                message: message.as_bytes(),
                signature: pending.signature(),
            })
        });
        for (member, good) in group.iter().zip(self.verify_some(&claims)) {
            if let Some((at, ..)) = member
                && let Some(verdict) = verdicts.get_mut(*at)
            {
                *verdict = SignatureVerdict::of(good);
            }
        }
    }

    /// Which of up to [`GROUP`] claims are good; what is no claim is not.
    fn verify_some(&self, claims: &[Option<Claim<'_>>; GROUP]) -> [bool; GROUP] {
        // Eight lanes take longer over one signature than one at a time does, and less time over two.
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = &self.lanes
            && claims.iter().flatten().count() > 1
        {
            return self.verify_in_lanes(lanes, claims);
        }
        claims.map(|claim| claim.is_some_and(|claim| self.verify_alone(&claim)))
    }

    fn verify_alone(&self, claim: &Claim<'_>) -> bool {
        let key = self.keys.get(claim.node_index);
        key.is_some_and(|key| key.verify(claim.message, claim.signature))
    }

    /// What lanes do not take is verified alone, and its lane repeats another's claim. Claims come first, then what is none.
    #[cfg(target_arch = "x86_64")]
    fn verify_in_lanes(&self, lanes: &Lanes, claims: &[Option<Claim<'_>>; GROUP]) -> [bool; GROUP] {
        let (parts, _) = claims.as_chunks::<LANES>();
        let mut good = [false; GROUP];
        let filler = claims.iter().flatten().find_map(|claim| lanes.claim(claim));
        if let Some(filler) = filler {
            let mut groups = [[filler; LANES]; GROUPS];
            for (group, part) in groups.iter_mut().zip(parts) {
                for (place, claim) in group.iter_mut().zip(part) {
                    *place = claim.as_ref().and_then(|claim| lanes.claim(claim)).unwrap_or(filler);
                }
            }
            let filled = parts.iter().take_while(|part| part.iter().any(Option::is_some)).count();
            let found = lanes.verifier.verify(groups.get(..filled).unwrap_or(&groups));
            for (at, good) in good.iter_mut().enumerate() {
                *good = found.get(at / LANES).is_some_and(|bits| bits >> (at % LANES) & 1 == 1);
            }
        }
        for (good, claim) in good.iter_mut().zip(claims) {
            *good = match claim {
                Some(claim) if lanes.claim(claim).is_none() => self.verify_alone(claim),
                Some(_) => *good,
                None => false,
            };
        }
        good
    }
}

/// The lanes, if they pass their self-test, which a process makes once.
#[cfg(target_arch = "x86_64")]
fn tested_lanes() -> Result<LaneVerifier, Fallback> {
    static PASSED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    let verifier = LaneVerifier::new().ok_or(Fallback::Processor)?;
    let passed = *PASSED.get_or_init(|| {
        crate::self_test::passes(|claims| {
            let encodings: Vec<[u8; 32]> = claims.iter().map(|claim| *claim.key.as_bytes()).collect();
            let keys = verifier.prepare(&encodings);
            let lanes = std::array::from_fn(|lane| LaneClaim {
                key: &keys[lane],
                message: claims[lane].message,
                signature: &claims[lane].signature,
            });
            // Beside the same in reverse, since groups share an inversion.
            let mut reverse = lanes;
            reverse.reverse();
            let [alone, ..] = verifier.verify(&[lanes]);
            let [first, second, ..] = verifier.verify(&[reverse, lanes]);
            // Verdicts that differ are wrong: then the complement, which no test expects.
            if first.reverse_bits() == second && second == alone { alone } else { !alone }
        })
    });
    if passed { Ok(verifier) } else { Err(Fallback::SelfTest) }
}
