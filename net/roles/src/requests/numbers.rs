//! Which streams a request asks for.

use std::fmt;
use std::str::FromStr;

use centauri_wire::{QUERY_BYTES_MAX, StreamId};

use crate::{ConfigError, QUERY_RANGES_MAX};

/// The query of a request: `*` for every stream of the node, or numbers and ranges such as `1,4-9`.
///
/// ```
/// use centauri_roles::StreamQuery;
/// use centauri_wire::StreamId;
/// let query: StreamQuery = "1,4-9".parse()?;
/// assert!(query.contains(StreamId(4)) && !query.contains(StreamId(3)));
/// assert_eq!(query.to_string(), "1,4-9");
/// # Ok::<(), centauri_roles::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StreamQuery {
    /// Every stream.
    #[default]
    All,
    /// The streams in these ranges, both ends included.
    Ranges(Vec<(u32, u32)>),
}

impl StreamQuery {
    /// The query for these streams: neighbouring numbers become ranges; where there are more ranges than
    /// a query can list, every stream is asked for.
    #[must_use]
    pub fn of(streams: impl IntoIterator<Item = StreamId>) -> Self {
        let query = Self::Ranges(streams.into_iter().map(|stream| (stream.0, stream.0)).collect()).in_order();
        let fits = matches!(&query, Self::Ranges(ranges) if (1..=QUERY_RANGES_MAX).contains(&ranges.len()));
        if fits && query.to_string().len() <= QUERY_BYTES_MAX { query } else { Self::All }
    }

    /// The same streams with as few ranges as say it, in order.
    pub(crate) fn in_order(self) -> Self {
        let Self::Ranges(mut all) = self else { return self };
        all.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (low, high) in all {
            match ranges.last_mut() {
                Some((_, last)) if low <= last.saturating_add(1) => *last = high.max(*last),
                _ => ranges.push((low, high)),
            }
        }
        Self::Ranges(ranges)
    }

    /// As [`StreamQuery::contains`] of ranges that are in order: in a few steps, however many there are.
    pub(crate) fn contains_in_order(&self, stream: StreamId) -> bool {
        let Self::Ranges(ranges) = self else { return true };
        let place = ranges.partition_point(|&(_, high)| high < stream.0);
        ranges.get(place).is_some_and(|&(low, _)| low <= stream.0)
    }

    /// Whether the stream is asked for.
    #[must_use]
    pub fn contains(&self, stream: StreamId) -> bool {
        match self {
            Self::All => true,
            Self::Ranges(ranges) => ranges.iter().any(|&(low, high)| (low..=high).contains(&stream.0)),
        }
    }
}

impl fmt::Display for StreamQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = match self {
            Self::All => return f.write_str("*"),
            Self::Ranges(ranges) => ranges,
        };
        for (at, (low, high)) in ranges.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            if low == high { write!(f, "{low}")? } else { write!(f, "{low}-{high}")? }
        }
        Ok(())
    }
}

impl FromStr for StreamQuery {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if text == "*" {
            return Ok(Self::All);
        }
        let wrong = || ConfigError::query(text);
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let low: u32 = low.parse().map_err(|_| wrong())?;
            let high: u32 = high.parse().map_err(|_| wrong())?;
            if high < low || ranges.len() == QUERY_RANGES_MAX {
                return Err(wrong());
            }
            ranges.push((low, high));
        }
        Ok(Self::Ranges(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_they_are_written() {
        let of = |numbers: &[u32]| StreamQuery::of(numbers.iter().map(|&n| StreamId(n)));
        assert_eq!(of(&[9, 4, 5, 5, 6, u32::MAX]).to_string(), "4-6,9,4294967295");
        assert_eq!(of(&[]), StreamQuery::All);
        let scattered: Vec<u32> = (0..200).map(|n| n * 2).collect();
        assert_eq!(of(&scattered), StreamQuery::All);
        for text in ["*", "0", "1,4-9", "4294967295"] {
            assert_eq!(text.parse::<StreamQuery>().unwrap().to_string(), text);
        }
        let query: StreamQuery = "7-9,1,3-8,2,20,4294967295".parse().unwrap();
        let ordered = query.clone().in_order();
        assert_eq!(ordered.to_string(), "1-9,20,4294967295");
        for number in (0..30).chain([u32::MAX - 1, u32::MAX]) {
            let stream = StreamId(number);
            assert_eq!(query.contains(stream), ordered.contains_in_order(stream), "{number}");
        }
        let long = vec!["1"; QUERY_RANGES_MAX + 1].join(",");
        for text in ["", "x", "3-1", "1,", "-", "4294967296", "1 ", &long] {
            assert!(text.parse::<StreamQuery>().is_err(), "{text}");
        }
    }
}
