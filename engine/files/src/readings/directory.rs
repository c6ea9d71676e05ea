//! The names of streams and replicas, for looking them up row by row.

use centauri_engine::ModelSet;
use std::collections::HashMap;

/// Streams and replicas by name. Positions are those of the model: of a stream in
/// [`ModelSet::streams`], of a replica in its stream.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    streams: Vec<Entry>,
    by_name: HashMap<Vec<u8>, usize>,
    /// For each stream its place in the order of names.
    ranks: Vec<u32>,
    /// The streams in the order of names.
    ranked: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    replicas: Vec<String>,
    by_name: HashMap<Vec<u8>, usize>,
}

impl Directory {
    /// The names that `set` knows.
    #[must_use]
    pub fn new(set: &ModelSet) -> Self {
        set.streams
            .iter()
            .map(|stream| {
                (stream.name.clone(), stream.replicas.iter().map(|replica| replica.name.clone()).collect())
            })
            .collect()
    }

    /// The number of streams.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there is no stream.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The name of the stream at `stream`.
    #[must_use]
    pub fn name(&self, stream: usize) -> Option<&str> {
        self.streams.get(stream).map(|entry| entry.name.as_str())
    }

    /// The names of the replicas of the stream at `stream`; empty where there is none.
    #[must_use]
    pub fn replicas(&self, stream: usize) -> &[String] {
        self.streams.get(stream).map_or(&[], |entry| &entry.replicas)
    }

    /// The position of the stream called `name`.
    #[must_use]
    pub fn stream(&self, name: &[u8]) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The position of the replica called `name` in the stream at `stream`.
    #[must_use]
    pub fn replica(&self, stream: usize, name: &[u8]) -> Option<usize> {
        self.streams.get(stream)?.by_name.get(name).copied()
    }

    /// All names of streams, in the order of the model.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.streams.iter().map(|entry| entry.name.as_str())
    }

    /// The place of a stream in the order of names (UTF-8 bytes), in which decisions are written.
    pub(super) fn rank(&self, stream: usize) -> u32 {
        self.ranks.get(stream).copied().unwrap_or(u32::MAX)
    }

    /// The stream at a place in the order of names.
    pub(super) fn at_rank(&self, rank: u32) -> Option<usize> {
        self.ranked.get(rank as usize).copied()
    }
}

impl FromIterator<(String, Vec<String>)> for Directory {
    /// From names of streams and their replicas; of equal names the first counts.
    fn from_iter<I: IntoIterator<Item = (String, Vec<String>)>>(streams: I) -> Self {
        let entry = |(name, replicas): (String, Vec<String>)| {
            let by_name = index(&replicas, String::as_bytes);
            Entry { name, replicas, by_name }
        };
        let streams: Vec<_> = streams.into_iter().map(entry).collect();
        let mut ranked: Vec<usize> = (0..streams.len()).collect();
        let name = |stream: &usize| streams.get(*stream).map(|entry| entry.name.as_bytes());
        ranked.sort_by(|a, b| name(a).cmp(&name(b)));
        let mut ranks = vec![u32::MAX; streams.len()];
        for (rank, &stream) in (0u32..).zip(&ranked) {
            if let Some(place) = ranks.get_mut(stream) {
                *place = rank;
            }
        }
        Self { by_name: index(&streams, |entry| entry.name.as_bytes()), streams, ranks, ranked }
    }
}

fn index<T>(items: &[T], name: impl Fn(&T) -> &[u8]) -> HashMap<Vec<u8>, usize> {
    // Backwards, so that of equal names the first remains.
    items.iter().enumerate().rev().map(|(position, item)| (name(item).to_vec(), position)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_positions() {
        let entry = |name: &str, replicas: &[&str]| {
            (name.to_owned(), replicas.iter().map(|&r| r.to_owned()).collect())
        };
        let directory: Directory =
            [entry("é", &["b", "a"]), entry("z", &["x"]), entry("Z", &[])].into_iter().collect();
        assert_eq!(directory.stream("z".as_bytes()), Some(1));
        assert_eq!(directory.stream(b"y"), None);
        assert_eq!(
            (directory.replica(0, b"a"), directory.replica(0, b"x"), directory.replica(9, b"a")),
            (Some(1), None, None)
        );
        let order: Vec<_> = (0..3).filter_map(|rank| directory.at_rank(rank)).collect();
        assert_eq!(order, [2, 1, 0], "by UTF-8 bytes: Z, z, é");
        assert_eq!((directory.rank(0), directory.rank(1), directory.rank(2)), (2, 1, 0));
    }
}
