//! What is wrong with a registry.

use std::fmt;

use thiserror::Error;

use crate::KeyError;

/// A registry that was refused: the line, where it came from a text, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryError {
    /// The line of the text, from 1; `None` for a registry that did not come from text.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: RegistryProblem,
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for RegistryError {}

/// What can be wrong with a registry. Names are quoted with their control characters escaped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegistryProblem {
    /// The text is not TOML, or has an entry that does not belong or is missing.
    #[error("{message}; expected [[node]] tables with id, name, role and key")]
    Text {
        /// What the parser found.
        message: String,
    },
    /// A name of the wrong length or with characters other than letters, digits, `.`, `_` and `-`.
    #[error(
        "node name {name:?}: expected 1 to {} letters, digits, '.', '_' or '-'",
        crate::NODE_NAME_BYTES_MAX
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A key that is not 64 hexadecimal digits.
    #[error("node {name:?}: the key has {found} characters, expected 64 hexadecimal digits")]
    KeyDigits {
        /// The node.
        name: String,
        /// The text's length in characters.
        found: usize,
    },
    /// A key that the rule for signatures does not allow.
    #[error("node {name:?}: {error}, expected an Ed25519 public key as `keygen` writes it")]
    Key {
        /// The node.
        name: String,
        /// Which condition it breaks.
        error: KeyError,
    },
    /// Two nodes share what must differ.
    #[error("node {name:?}: the {field} is that of node {other:?} too, expected one of its own")]
    Duplicate {
        /// The node.
        name: String,
        /// `id`, `name` or `key`.
        field: &'static str,
        /// The earlier node.
        other: String,
    },
    /// More nodes than allowed.
    #[error("{found} nodes, expected at most {}", crate::REGISTRY_NODES_MAX)]
    TooMany {
        /// How many.
        found: usize,
    },
}
