//! Verification alone: what a core does if nothing else has to be done.

use crate::fleet::seed::{self, generator};
use crate::speed::clock::thread_cpu_s;
use anyhow::ensure;
use centauri_wire::{
    BatchVerifier, Claim, KeyFile, NodeEntry, NodeId, Registry, Role, SignatureVerdict, VerifierChoice,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey, verify_batch};
use rand::Rng as _;

/// Bytes of a message.
pub const MESSAGE_BYTES: usize = 200;
/// Signatures given to the verifier at a time.
const AT_A_TIME: usize = 64;

/// Signed messages, each of a key of its own.
#[derive(Debug)]
pub struct Signed {
    registry: Registry,
    messages: Vec<[u8; MESSAGE_BYTES]>,
    signatures: Vec<Signature>,
    raw: Vec<[u8; 64]>,
    keys: Vec<VerifyingKey>,
}

impl Signed {
    /// `count` of them.
    ///
    /// # Errors
    /// Nothing that a number of at most 65,536 brings about.
    pub fn new(count: usize, seed: u64) -> anyhow::Result<Self> {
        let mut rng = generator(seed::of(seed, "verify"));
        let (mut nodes, mut messages, mut signatures, mut keys) = (vec![], vec![], vec![], vec![]);
        for id in (0..).take(count) {
            let (mut secret, mut message) = ([0; 32], [0; MESSAGE_BYTES]);
            rng.fill_bytes(&mut secret);
            rng.fill_bytes(&mut message);
            let key = KeyFile::generate(secret).public_key();
            nodes.push(NodeEntry { id: NodeId(id), name: format!("node-{id}"), role: Role::Replica, key });
            let signing = SigningKey::from_bytes(&secret);
            signatures.push(signing.sign(&message));
            keys.push(signing.verifying_key());
            messages.push(message);
        }
        let raw = signatures.iter().map(Signature::to_bytes).collect();
        Ok(Self { registry: Registry::new(nodes)?, messages, signatures, raw, keys })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

/// Who verifies.
#[derive(Debug)]
pub enum Verifying {
    /// Ours.
    Ours(Box<BatchVerifier>),
    /// One random equation for so many signatures at a time, which gives no verdict on any one of them.
    Equation(usize),
}

impl Verifying {
    /// Ours of a choice.
    #[must_use]
    pub fn ours(signed: &Signed, choice: VerifierChoice) -> Self {
        Self::Ours(Box::new(BatchVerifier::new(&signed.registry, choice)))
    }

    /// Its name in results.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Ours(verifier) => verifier.kind().name().to_owned(),
            Self::Equation(size) => format!("dalek verify_batch {size}"),
        }
    }

    /// Verifies all of them `times` times; gives the thread's processor time.
    ///
    /// # Errors
    /// A good signature that is refused.
    pub fn time(&self, signed: &Signed, times: usize) -> anyhow::Result<f64> {
        match self {
            Self::Ours(verifier) => {
                let claims: Vec<Claim<'_>> = signed
                    .messages
                    .iter()
                    .zip(&signed.raw)
                    .enumerate()
                    .map(|(node_index, (message, signature))| Claim { node_index, message, signature })
                    .collect();
                let mut verdicts = Vec::with_capacity(AT_A_TIME);
                let mut good = 0;
                let begun = thread_cpu_s();
                for chunk in (0..times).flat_map(|_| claims.chunks(AT_A_TIME)) {
                    verifier.verify(chunk, &mut verdicts);
                    good += verdicts.iter().filter(|verdict| **verdict == SignatureVerdict::Good).count();
                }
                let cpu_s = thread_cpu_s() - begun;
                ensure!(good == times * signed.len(), "{} refused good signatures", self.name());
                Ok(cpu_s)
            }
            Self::Equation(size) => {
                let messages: Vec<&[u8]> =
                    signed.messages.iter().map(<[u8; MESSAGE_BYTES]>::as_slice).collect();
                let begun = thread_cpu_s();
                for _ in 0..times {
                    let chunks = messages.chunks(*size).zip(signed.signatures.chunks(*size));
                    for ((messages, signatures), keys) in chunks.zip(signed.keys.chunks(*size)) {
                        verify_batch(messages, signatures, keys)?;
                    }
                }
                Ok(thread_cpu_s() - begun)
            }
        }
    }
}
