//! A node's own key: signing, and the key file's text.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{NodeId, PublicKey, SIGNATURE_BYTES, SignedMessage, hex};

/// A node's number with its private key: what signs frames.
#[derive(Clone)]
pub struct SigningIdentity {
    id: NodeId,
    key: SigningKey,
}

impl SigningIdentity {
    /// The node's number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The public half, as the registry should have it.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey::of_own(self.key.verifying_key())
    }

    /// Signs a frame's header and body.
    pub(crate) fn sign(&self, header_and_body: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.key.sign(SignedMessage::of_frame(header_and_body).as_bytes()).to_bytes()
    }
}

impl fmt::Debug for SigningIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningIdentity").field("id", &self.id).field("key", &self.public_key()).finish()
    }
}

/// Why a text is no key file. No message repeats any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// A line that is neither empty, nor a comment, nor one of the two entries.
    #[error("line {line}: expected `private = \"…\"`, `public = \"…\"` or a comment")]
    Line {
        /// Its number, from 1.
        line: usize,
    },
    /// A value that is not 64 hexadecimal digits in quotes.
    #[error("line {line}: expected 64 hexadecimal digits in double quotes")]
    Digits {
        /// Its number, from 1.
        line: usize,
    },
    /// The same entry twice.
    #[error("line {line}: `{entry}` is given a second time")]
    Twice {
        /// Its number, from 1.
        line: usize,
        /// `private` or `public`.
        entry: &'static str,
    },
    /// An entry that is not there.
    #[error("the key file has no line `{entry} = \"…\"`")]
    Missing {
        /// `private` or `public`.
        entry: &'static str,
    },
    /// The public key is not the private one's.
    #[error("the public key in the file does not belong to the private key")]
    Mismatch,
}

/// A node's key pair, as its key file holds it.
///
/// The private half is overwritten when the value is dropped and never shown by `Debug`.
///
/// ```
/// use centauri_wire::KeyFile;
/// let key = KeyFile::generate([9; 32]); // from the operating system's randomness in earnest
/// let read = KeyFile::parse(&key.to_text())?;
/// assert_eq!(read.public_key(), key.public_key());
/// # Ok::<(), centauri_wire::KeyFileError>(())
/// ```
#[derive(Clone)]
pub struct KeyFile {
    key: SigningKey,
}

impl KeyFile {
    /// The key pair of a seed: 32 bytes that must come from a good source of randomness.
    #[must_use]
    pub fn generate(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self { key: SigningKey::from_bytes(&seed) }
    }

    /// The public half, for the registry.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey::of_own(self.key.verifying_key())
    }

    /// The key pair as the node of this number.
    #[must_use]
    pub fn identity(&self, id: NodeId) -> SigningIdentity {
        SigningIdentity { id, key: self.key.clone() }
    }

    /// The file's text. It holds the private key: keep the file readable to its owner only.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // Reserved in full, so that no half-written copy of the key is left behind by a reallocation.
        let mut text = Zeroizing::new(String::with_capacity(512));
        text.push_str("# Key pair of a Centauri node. Whoever has the private key can sign as this node.\n");
        text.push_str("private = \"");
        hex::push(&mut text, self.key.as_bytes());
        text.push_str("\"\n# This one goes into the registry.\npublic = \"");
        hex::push(&mut text, self.public_key().as_bytes());
        text.push_str("\"\n");
        text
    }

    /// Reads what [`KeyFile::to_text`] writes; comments and empty lines may stand anywhere.
    ///
    /// The lines are read here and not by a TOML parser, whose messages quote the line that is wrong.
    ///
    /// # Errors
    /// The first line that is wrong, an entry that is missing, or halves that do not belong together.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let mut private = None;
        let mut public = None;
        for (index, content) in text.lines().enumerate() {
            let line = index + 1;
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let (entry, value) = content.split_once('=').ok_or(KeyFileError::Line { line })?;
            let (slot, entry) = match entry.trim() {
                "private" => (&mut private, "private"),
                "public" => (&mut public, "public"),
                _ => return Err(KeyFileError::Line { line }),
            };
            if slot.is_some() {
                return Err(KeyFileError::Twice { line, entry });
            }
            let digits = value.trim().strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let bytes = digits.and_then(hex::parse_32).ok_or(KeyFileError::Digits { line })?;
            *slot = Some(Zeroizing::new(bytes));
        }
        let private = private.ok_or(KeyFileError::Missing { entry: "private" })?;
        let public = public.ok_or(KeyFileError::Missing { entry: "public" })?;
        let key = SigningKey::from_bytes(&private);
        if key.verifying_key().as_bytes() != &*public {
            return Err(KeyFileError::Mismatch);
        }
        Ok(Self { key })
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile").field("public", &self.public_key()).field("private", &"…").finish()
    }
}
