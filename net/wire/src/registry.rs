//! The nodes that are known, with their roles and keys.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use crate::{
    NODE_NAME_BYTES_MAX, NodeId, PublicKey, REGISTRY_NODES_MAX, RegistryError, RegistryProblem, Role, hex,
};

/// A known node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its number, which frames carry.
    pub id: NodeId,
    /// Its name: 1 to 64 letters, digits, `.`, `_` or `-`.
    pub name: String,
    /// What it may send.
    pub role: Role,
    /// Its public key.
    pub key: PublicKey,
}

/// The known nodes in the order of their numbers; numbers, names and keys are each unique.
///
/// ```
/// use centauri_wire::{KeyFile, NodeId, Registry};
/// let key = KeyFile::generate([4; 32]).public_key().to_hex();
/// let text = format!("[[node]]\nid = 7\nname = \"replica-1\"\nrole = \"replica\"\nkey = \"{key}\"\n");
/// let registry = Registry::parse(&text)?;
/// assert_eq!(registry.by_name("replica-1").map(|node| node.id), Some(NodeId(7)));
/// assert_eq!(Registry::parse(&registry.to_toml())?, registry);
/// # Ok::<(), centauri_wire::RegistryError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    nodes: Vec<NodeEntry>,
    /// As many, in the same order: what is looked up for every frame, without the rest that would fill the cache.
    senders: Vec<(NodeId, Role)>,
    by_name: BTreeMap<String, usize>,
}

/// The file as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    #[serde(default)]
    node: Vec<Spanned<NodeText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeText {
    id: Spanned<u32>,
    name: Spanned<String>,
    role: Role,
    key: Spanned<String>,
}

/// Where in a text an entry and its fields stand.
#[derive(Debug, Clone, Copy, Default)]
struct Lines {
    id: Option<usize>,
    name: Option<usize>,
    key: Option<usize>,
}

impl Registry {
    /// A registry of nodes already at hand, in any order.
    ///
    /// # Errors
    /// A name that is not allowed, or a number, name or key given twice.
    pub fn new(nodes: Vec<NodeEntry>) -> Result<Self, RegistryError> {
        Self::build(nodes.into_iter().map(|node| (node, Lines::default())).collect())
    }

    /// Reads the registry's text.
    ///
    /// # Errors
    /// The first thing wrong, with its line and what was expected.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let at = LineIndex::new(text);
        let file: FileText = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| at.line(&span));
            // The parser's message may go over several lines; an error is one line here.
            let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            RegistryError { line, problem: RegistryProblem::Text { message } }
        })?;
        if file.node.len() > REGISTRY_NODES_MAX {
            return Err(too_many(file.node.len()));
        }

        let nodes = file
            .node
            .into_iter()
            .map(|node| node_of_text(&at, node.into_inner()))
            .collect::<Result<Vec<_>, _>>()?;
        Self::build(nodes)
    }

    fn build(nodes: Vec<(NodeEntry, Lines)>) -> Result<Self, RegistryError> {
        if nodes.len() > REGISTRY_NODES_MAX {
            return Err(too_many(nodes.len()));
        }
        check_unique(&nodes)?;
        let mut nodes: Vec<NodeEntry> = nodes.into_iter().map(|(node, _)| node).collect();
        nodes.sort_by_key(|node| node.id);
        let by_name = nodes.iter().enumerate().map(|(index, node)| (node.name.clone(), index)).collect();
        let senders = nodes.iter().map(|node| (node.id, node.role)).collect();
        Ok(Self { nodes, senders, by_name })
    }

    /// The nodes in the order of their numbers.
    #[must_use]
    pub fn nodes(&self) -> &[NodeEntry] {
        &self.nodes
    }

    /// The node of this number.
    #[must_use]
    pub fn by_id(&self, id: NodeId) -> Option<&NodeEntry> {
        self.nodes.get(self.index_of(id)?)
    }

    /// The node of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&NodeEntry> {
        self.nodes.get(*self.by_name.get(name)?)
    }

    /// The node's place in [`Registry::nodes`].
    pub(crate) fn index_of(&self, id: NodeId) -> Option<usize> {
        self.senders.binary_search_by_key(&id, |(id, _)| *id).ok()
    }

    /// The role of the node at this place.
    pub(crate) fn role_at(&self, index: usize) -> Option<Role> {
        self.senders.get(index).map(|(_, role)| *role)
    }

    /// The registry's text, which [`Registry::parse`] reads back.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::from("# The nodes of a Centauri system. Public: it holds no secret.\n");
        for NodeEntry { id, name, role, key } in &self.nodes {
            // Names are plain, so they need no escapes; writing to a String cannot fail.
            let _ = write!(
                text,
                "\n[[node]]\nid = {id}\nname = \"{name}\"\nrole = \"{role}\"\nkey = \"{}\"\n",
                key.to_hex()
            );
        }
        text
    }
}

fn too_many(found: usize) -> RegistryError {
    RegistryError { line: None, problem: RegistryProblem::TooMany { found } }
}

fn node_of_text(at: &LineIndex, text: NodeText) -> Result<(NodeEntry, Lines), RegistryError> {
    let lines = Lines {
        id: Some(at.line(&text.id.span())),
        name: Some(at.line(&text.name.span())),
        key: Some(at.line(&text.key.span())),
    };
    let name = text.name.into_inner();
    let key_text = text.key.into_inner();
    let Some(bytes) = hex::parse_32(&key_text) else {
        let found = key_text.chars().count();
        return Err(RegistryError { line: lines.key, problem: RegistryProblem::KeyDigits { name, found } });
    };
    let key = PublicKey::register(&bytes).map_err(|error| RegistryError {
        line: lines.key,
        problem: RegistryProblem::Key { name: name.clone(), error },
    })?;
    Ok((NodeEntry { id: NodeId(text.id.into_inner()), name, role: text.role, key }, lines))
}

/// Checks names, and that no number, name or key is given twice.
fn check_unique(nodes: &[(NodeEntry, Lines)]) -> Result<(), RegistryError> {
    let mut ids = BTreeMap::new();
    let mut names = BTreeMap::new();
    let mut keys = BTreeMap::new();
    for (node, lines) in nodes {
        let name = node.name.as_str();
        if !is_node_name(name) {
            let problem = RegistryProblem::Name { name: name.to_owned() };
            return Err(RegistryError { line: lines.name, problem });
        }
        let earlier = [
            ("id", lines.id, ids.insert(node.id, name)),
            ("name", lines.name, names.insert(name, name)),
            ("key", lines.key, keys.insert(node.key.as_bytes(), name)),
        ];
        for (field, line, other) in earlier {
            if let Some(other) = other {
                let (name, other) = (name.to_owned(), other.to_owned());
                return Err(RegistryError {
                    line,
                    problem: RegistryProblem::Duplicate { name, field, other },
                });
            }
        }
    }
    Ok(())
}

fn is_node_name(name: &str) -> bool {
    (1..=NODE_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Line numbers of places in a text.
struct LineIndex {
    newlines: Vec<usize>,
}

impl LineIndex {
    fn new(text: &str) -> Self {
        Self {
            newlines: text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at).collect(),
        }
    }

    /// The line where a span begins, from 1.
    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.newlines.partition_point(|&newline| newline < span.start)
    }
}
