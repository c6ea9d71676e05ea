//! The query of a request.

use std::fmt;
use std::str::FromStr;

use super::computation::PATTERNS_MAX;
use super::{ComputationQuery, NamePattern, StreamQuery};
use crate::ConfigError;

/// The longest way that a request says it has come.
const VIA_MAX: usize = 16;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// Streams that the node has, by number.
    Numbers(StreamQuery),
    /// Streams that the node has, by name.
    Names(Vec<NamePattern>),
    /// A computation over streams that the node can get.
    Computation(ComputationQuery),
}

/// A request's text: what is asked for, and for which streams of the asking node it is needed.
///
/// | text | asks for |
/// |---|---|
/// | `*`, `1,4-9` | streams by number |
/// | `road/a/*,road/b` | streams by name; at most 32 names and patterns |
/// | `mean(road/a/*) over 60s` | a computation ([`ComputationQuery`]) |
///
/// `… via x,y` says that stream `x` of the asking node is computed from what is asked for, and `y`, of another node, from `x`. A node
/// that is asked for something that it computes from `x` or `y` would wait for itself, and refuses.
///
/// ```
/// use centauri_roles::{Asked, Query};
/// let query: Query = "road/a/* via town,country".parse()?;
/// assert!(matches!(&query.asked, Asked::Names(names) if names.len() == 1));
/// assert_eq!(query.via, ["town", "country"]);
/// assert_eq!(query.to_string(), "road/a/* via town,country");
/// # Ok::<(), centauri_roles::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is asked for.
    pub asked: Asked,
    /// The streams that wait for it, the nearest first.
    pub via: Vec<String>,
}

impl From<StreamQuery> for Query {
    fn from(numbers: StreamQuery) -> Self {
        Self { asked: Asked::Numbers(numbers), via: Vec::new() }
    }
}

impl From<ComputationQuery> for Query {
    fn from(computation: ComputationQuery) -> Self {
        Self { asked: Asked::Computation(computation), via: Vec::new() }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.asked {
            Asked::Numbers(numbers) => numbers.fmt(f)?,
            Asked::Computation(computation) => computation.fmt(f)?,
            Asked::Names(names) => {
                for (at, name) in names.iter().enumerate() {
                    write!(f, "{}{name}", if at > 0 { "," } else { "" })?;
                }
            }
        }
        if !self.via.is_empty() {
            write!(f, " via {}", self.via.join(","))?;
        }
        Ok(())
    }
}

impl FromStr for Query {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::query(text);
        let (asked, via) = text.split_once(" via ").unwrap_or((text, ""));
        let via: Vec<String> = via.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if via.len() > VIA_MAX || !via.iter().all(|name| super::pattern::is_name(name)) {
            return Err(wrong());
        }
        let asked = if let Ok(numbers) = asked.parse() {
            Asked::Numbers(numbers)
        } else if asked.contains('(') {
            Asked::Computation(asked.parse().map_err(|_| wrong())?)
        } else {
            let names: Vec<NamePattern> =
                asked.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
            // Each is compared with every name that there is.
            if names.len() > PATTERNS_MAX {
                return Err(wrong());
            }
            Asked::Names(names)
        };
        Ok(Self { asked, via })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_reads_as_itself() {
        for text in
            ["*", "1,4-9", "7 via a", "road/*", "a,b via x,y", "mean(a) via b", "count(a > 1) over 2s via b"]
        {
            assert_eq!(text.parse::<Query>().unwrap().to_string(), text);
        }
        let many = vec!["a"; PATTERNS_MAX + 1].join(",");
        let long = format!("a via {}", vec!["b"; VIA_MAX + 1].join(","));
        for text in ["", " via a", "a b", "a via b c", "mean( via a", "é", &long, &many] {
            assert!(text.parse::<Query>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_is_read_is_written(text in ".{0,60}", near in "[a-c0-9(),*> -]{0,30}") {
            for text in [text, near] {
                if let Ok(query) = text.parse::<Query>() {
                    prop_assert_eq!(query.to_string().parse::<Query>().unwrap(), query);
                }
            }
        }
    }
}
