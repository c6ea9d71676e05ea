//! Continuous computations over named streams, as text.

use std::fmt;
use std::str::FromStr;

use centauri_engine::Computation;
use centauri_wire::StreamId;

use super::NamePattern;
use crate::ConfigError;

/// The most names and patterns of one request.
pub(super) const PATTERNS_MAX: usize = 32;

/// A continuous computation that a request asks for: `mean(road/a/*) over 60s by 61s`.
///
/// - the computation (`count`, `sum`, `mean`, `min`, `max`, `last`), and in parentheses names and patterns of streams, divided by
///   commas. `count(road/* > 30)` counts readings above 30; without a limit those above 0.5;
/// - `over`: the window's length. Windows open every period of the request, counted from the Unix epoch; without `over` they are
///   as long as that, one after the other;
/// - `by`: when a replica closes a window, after it opens. Without `by`: a quarter of a second after the window's end.
///
/// Times are whole numbers with a unit: `ns`, `us`, `ms`, `s`, `m` or `h`.
///
/// ```
/// use centauri_roles::ComputationQuery;
/// let query: ComputationQuery = "count(road/a/*,road/b > 30.5) over 1m by 61500ms".parse()?;
/// assert_eq!(query.to_string(), "count(road/a/*,road/b > 30.5) over 60s by 61500ms");
/// # Ok::<(), centauri_roles::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ComputationQuery {
    /// What is computed.
    pub computation: Computation,
    /// Of what.
    pub sources: Vec<NamePattern>,
    /// `count`: readings above this are counted.
    pub above: Option<f64>,
    /// The window's length in nanoseconds.
    pub over_ns: Option<i64>,
    /// When a window is closed, in nanoseconds after it opens.
    pub by_ns: Option<i64>,
}

/// How long after its end a window is closed unless a request says otherwise.
const GRACE_NS: i64 = 250_000_000;

/// A computation with all that a request leaves open filled in. Two requests that ask the same ask for the same stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    pub(crate) query: ComputationQuery,
    pub(crate) every_ns: i64,
    pub(crate) over_ns: i64,
    pub(crate) by_ns: i64,
    /// Only readings at most this old when the window is closed count; `None` where all of the window do.
    pub(crate) validity_ns: Option<i64>,
}

impl ComputationQuery {
    pub(crate) fn planned(&self, every_ns: i64, validity_ns: i64) -> Planned {
        let over_ns = self.over_ns.unwrap_or(every_ns);
        let by_ns = self.by_ns.unwrap_or(over_ns.saturating_add(GRACE_NS));
        let validity_ns = (validity_ns < by_ns).then_some(validity_ns);
        let mut query = self.clone();
        query.sources.sort();
        query.sources.dedup();
        (query.over_ns, query.by_ns) = (Some(over_ns), Some(by_ns));
        Planned { query, every_ns, over_ns, by_ns, validity_ns }
    }

    /// The number that its results carry at every replica: by all that makes a difference to them. `every_ns` is the request's
    /// period, `validity_ns` its validity.
    #[must_use]
    pub fn stream(&self, every_ns: i64, validity_ns: i64) -> StreamId {
        self.planned(every_ns, validity_ns).stream()
    }

    /// When its windows open and how long they are, in nanoseconds: `every` and `over`; and after how long they are closed.
    #[must_use]
    pub fn times_ns(&self, every_ns: i64) -> (i64, i64, i64) {
        let Planned { every_ns, over_ns, by_ns, .. } = self.planned(every_ns, i64::MAX);
        (every_ns, over_ns, by_ns)
    }
}

impl Planned {
    /// All that makes a difference, as text.
    pub(crate) fn key(&self) -> String {
        let Self { query, every_ns, validity_ns, .. } = self;
        let valid = validity_ns.map_or_else(String::new, |ns| format!(" valid {ns}"));
        format!("{query} every {every_ns}{valid}")
    }

    /// Numbers of computations have their highest bit set; a fleet's own streams are numbered from below.
    pub(crate) fn stream(&self) -> StreamId {
        let digest = blake3::hash(self.key().as_bytes());
        let number = digest.as_bytes().first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        StreamId(number | 1 << 31)
    }
}

impl fmt::Display for ComputationQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.computation.name())?;
        for (at, pattern) in self.sources.iter().enumerate() {
            write!(f, "{}{pattern}", if at > 0 { "," } else { "" })?;
        }
        if let Some(above) = self.above {
            write!(f, " > {above}")?;
        }
        f.write_str(")")?;
        for (word, ns) in [("over", self.over_ns), ("by", self.by_ns)] {
            if let Some(ns) = ns {
                write!(f, " {word} {}", Span(ns))?;
            }
        }
        Ok(())
    }
}

impl FromStr for ComputationQuery {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        read(text).ok_or_else(|| ConfigError::query(text))
    }
}

fn read(text: &str) -> Option<ComputationQuery> {
    let (name, rest) = text.split_once('(')?;
    let (inside, after) = rest.split_once(')')?;
    let computation: Computation = name.trim().parse().ok().filter(|c| *c != Computation::Identity)?;
    let (names, above) = match inside.split_once('>') {
        Some((names, limit)) if computation == Computation::Count => {
            (names, Some(limit.trim().parse().ok().filter(|limit: &f64| limit.is_finite())?))
        }
        Some(_) => return None,
        None => (inside, None),
    };
    let sources: Vec<NamePattern> =
        names.split(',').map(|name| name.trim().parse().ok()).collect::<Option<_>>()?;
    if sources.len() > PATTERNS_MAX {
        return None;
    }
    let mut query = ComputationQuery { computation, sources, above, over_ns: None, by_ns: None };
    let mut words = after.split_whitespace();
    while let Some(word) = words.next() {
        let place = match word {
            "over" => &mut query.over_ns,
            "by" => &mut query.by_ns,
            _ => return None,
        };
        let Span(ns) = words.next()?.parse().ok()?;
        if place.replace(ns).is_some() {
            return None;
        }
    }
    Some(query)
}

/// A time of at least a nanosecond, written in the largest unit that it is a whole number of.
struct Span(i64);

const UNITS: [(&str, i64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().take(4).rev().find(|(_, ns)| self.0 % ns == 0);
        let &(unit, ns) = whole.unwrap_or(&UNITS[0]);
        write!(f, "{}{unit}", self.0 / ns)
    }
}

impl FromStr for Span {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(())?;
        let (number, unit) = text.split_at(digits);
        let (_, ns) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(())?;
        let number: i64 = number.parse().map_err(|_| ())?;
        number.checked_mul(*ns).filter(|ns| *ns > 0).map(Self).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is_taken() {
        for text in [
            "mean(a)",
            "sum(a,b/*) over 10s",
            "count(x > -2.5) by 3ms",
            "last(*) over 1500us by 2s",
            "min(a.b_c:d-e) over 7ns",
        ] {
            let query: ComputationQuery = text.parse().unwrap();
            assert_eq!(query.to_string(), text);
        }
        for (text, same) in
            [("max( a , b ) over 2m by 1h", "max(a,b) over 120s by 3600s"), ("count(a > 1)", "count(a > 1)")]
        {
            assert_eq!(text.parse::<ComputationQuery>().unwrap().to_string(), same);
        }
        let many = format!("mean({})", vec!["a"; PATTERNS_MAX + 1].join(","));
        for text in [
            "",
            "mean",
            "mean()",
            "mean(a",
            "median(a)",
            "identity(a)",
            "mean(a > 3)",
            "count(a > x)",
            "count(a > inf)",
            "mean(a b)",
            "mean(a) over",
            "mean(a) over 5",
            "mean(a) over 0s",
            "mean(a) over -5s",
            "mean(a) for 5s",
            "mean(a) over 1s over 2s",
            "mean(a) over 9999999999h",
            "mean(a,)",
            "mean(a) over 5d",
            &many,
        ] {
            assert!(text.parse::<ComputationQuery>().is_err(), "{text}");
        }
    }

    #[test]
    fn those_who_ask_the_same_ask_for_the_same_stream() {
        let stream = |text: &str, every: i64, validity: i64| {
            text.parse::<ComputationQuery>().unwrap().stream(every, validity)
        };
        const S: i64 = 1_000_000_000;
        let plain = stream("mean(a,b)", S, 60 * S);
        assert_eq!(plain, stream("mean(b,a,b) over 1s by 1250ms", S, 90 * S), "filled in and in order");
        assert!(plain.0 >> 31 == 1);
        let others = [
            stream("mean(a)", S, 60 * S),
            stream("sum(a,b)", S, 60 * S),
            stream("mean(a,b)", 2 * S, 60 * S),
            stream("mean(a,b) over 2s", S, 60 * S),
            stream("mean(a,b) by 2s", S, 60 * S),
            stream("mean(a,b)", S, S),
        ];
        for (at, other) in others.iter().enumerate() {
            assert!(*other != plain && !others[..at].contains(other), "{at}");
        }
    }
}
