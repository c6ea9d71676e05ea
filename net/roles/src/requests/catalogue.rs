//! Which streams there are to compute from, by name.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use centauri_wire::{NodeId, StreamId};

use super::NamePattern;
use super::pattern::is_name;
use crate::ConfigError;

/// A stream that a node can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedStream {
    /// Its name: 1 to 128 letters, digits and `. _ / : -`.
    pub name: String,
    /// Who sends it.
    pub node: NodeId,
    /// Its number there.
    pub stream: StreamId,
    /// Where the node listens.
    pub address: SocketAddr,
}

/// The streams that a replica can compute from, in the order of their names.
///
/// ```
/// use centauri_roles::{Catalogue, NamedStream};
/// use centauri_wire::{NodeId, StreamId};
/// let address = "127.0.0.1:7".parse()?;
/// let named = |name: &str, node| NamedStream { name: name.into(), node: NodeId(node), stream: StreamId(1), address };
/// let catalogue = Catalogue::new(vec![named("road/b", 2), named("road/a", 1)])?;
/// let found = catalogue.matching(&["road/*".parse()?]);
/// assert_eq!(found.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["road/a", "road/b"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    streams: BTreeMap<String, NamedStream>,
}

impl Catalogue {
    /// A catalogue of these streams.
    ///
    /// # Errors
    /// A name that no request can carry, or that is given twice.
    pub fn new(streams: Vec<NamedStream>) -> Result<Self, ConfigError> {
        let mut all = BTreeMap::new();
        for stream in streams {
            let name = stream.name.clone();
            if !is_name(&name) {
                return Err(ConfigError::Name { key: "catalogue", name });
            }
            if all.insert(name.clone(), stream).is_some() {
                return Err(ConfigError::NameTwice { key: "catalogue", name });
            }
        }
        Ok(Self { streams: all })
    }

    /// All streams in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &NamedStream> {
        self.streams.values()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The streams whose names fit one of the patterns, in the order of their names, each once.
    #[must_use]
    pub fn matching(&self, patterns: &[NamePattern]) -> Vec<&NamedStream> {
        self.iter().filter(|stream| patterns.iter().any(|pattern| pattern.matches(&stream.name))).collect()
    }
}
