//! A reader of queries written from the tables of `docs/FLEET.md` alone.

/// What a query asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// Streams by number: ranges, both ends included.
    Numbers(Vec<(u32, u32)>),
    /// Streams by names and patterns.
    Names(Vec<String>),
    /// A computation.
    Computation(Computed),
}

/// A computation as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Computed {
    pub(crate) name: String,
    pub(crate) patterns: Vec<String>,
    pub(crate) above: Option<f64>,
    pub(crate) over_ns: Option<u64>,
    pub(crate) by_ns: Option<u64>,
}

/// A query and the streams that wait for it, the nearest first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    pub(crate) what: What,
    pub(crate) via: Vec<String>,
}

const NAMES_MAX: usize = 32;
/// The longest way that a request tells.
pub(super) const VIA_MAX: usize = 16;
const GRACE_NS: u64 = 250_000_000;

/// Reads a query; `None` for what is none.
pub(crate) fn read_query(text: &str) -> Option<Query> {
    let (asked, way) = text.split_once(" via ").unwrap_or((text, ""));
    let via: Vec<String> = way.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if via.len() > VIA_MAX || !via.iter().all(|name| is_name(name, false)) {
        return None;
    }
    let what = if asked == "*" {
        What::Numbers(vec![(0, u32::MAX)])
    } else if asked.contains('(') {
        What::Computation(read_computed(asked)?)
    } else if let Some(ranges) = asked.split(',').map(range).collect() {
        What::Numbers(ranges)
    } else {
        What::Names(names(asked)?)
    };
    Some(Query { what, via })
}

fn range(part: &str) -> Option<(u32, u32)> {
    let (low, high) = part.split_once('-').unwrap_or((part, part));
    let (low, high) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high).then_some((low, high))
}

fn names(list: &str) -> Option<Vec<String>> {
    let names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    (names.len() <= NAMES_MAX && names.iter().all(|name| is_name(name, true))).then_some(names)
}

fn is_name(name: &str, may_be_pattern: bool) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "._/:-".contains(c) || (may_be_pattern && c == '*');
    (1..=128).contains(&name.len()) && name.chars().all(is_good)
}

fn read_computed(text: &str) -> Option<Computed> {
    let (name, rest) = text.split_once('(')?;
    let (inside, after) = rest.split_once(')')?;
    if !["count", "sum", "mean", "min", "max", "last"].contains(&name) {
        return None;
    }
    let (list, above) = match inside.split_once('>') {
        Some((list, above)) if name == "count" => (list.trim(), Some(above.trim().parse().ok()?)),
        Some(_) => return None,
        None => (inside, None),
    };
    let mut computed =
        Computed { name: name.to_owned(), patterns: names(list)?, above, over_ns: None, by_ns: None };
    let words: Vec<&str> = after.split_whitespace().collect();
    for pair in words.chunks(2) {
        let time = pair.get(1).and_then(|time| time_ns(time))?;
        let place = if pair[0] == "over" { &mut computed.over_ns } else { &mut computed.by_ns };
        if !["over", "by"].contains(&pair[0]) || place.replace(time).is_some() {
            return None;
        }
    }
    Some(computed)
}

fn time_ns(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit_ns = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ns).filter(|ns| *ns > 0)
}

impl Computed {
    /// The window's length and when it is closed, where results come so often.
    pub(crate) fn times_ns(&self, every_ns: u64) -> (u64, u64) {
        let over_ns = self.over_ns.unwrap_or(every_ns);
        (over_ns, self.by_ns.unwrap_or(over_ns + GRACE_NS))
    }

    /// All that makes a difference to the results: those who ask for the same have the same.
    pub(crate) fn key(&self, every_ns: u64, validity_ns: u64) -> String {
        let (over_ns, by_ns) = self.times_ns(every_ns);
        let mut patterns = self.patterns.clone();
        patterns.sort();
        patterns.dedup();
        let validity_ns = Some(validity_ns).filter(|validity| *validity < by_ns);
        let Self { name, above, .. } = self;
        format!("{name} {patterns:?} {above:?} {every_ns} {over_ns} {by_ns} {validity_ns:?}")
    }
}

/// Whether a name fits a pattern, by recursion.
pub(crate) fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            fits(rest, name) || name.split_first().is_some_and(|(_, left)| fits(pattern, left))
        }
        ([a, rest @ ..], [b, left @ ..]) => a == b && fits(rest, left),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_as_the_document_has_them() {
        let key = |text: &str, every: u64, validity: u64| match read_query(text).unwrap().what {
            What::Computation(computed) => computed.key(every, validity),
            other => panic!("{other:?}"),
        };
        const S: u64 = 1_000_000_000;
        assert_eq!(key("mean(b,a,b)", S, 9 * S), key("mean(a,b) over 1s by 1250ms", S, 8 * S));
        assert_ne!(key("mean(a,b)", S, 9 * S), key("mean(a,b)", S, S), "old readings do not count");
        assert_ne!(key("count(a > 1)", S, 9 * S), key("count(a)", S, 9 * S));
        assert_eq!(read_query("1,4-9").unwrap().what, What::Numbers(vec![(1, 1), (4, 9)]));
        assert_eq!(read_query("a/*,b via x,y").unwrap().via, ["x", "y"]);
        for text in ["no query", "mean(", "median(a)", "mean(a) over", "mean(a > 3)", "mean(a) over 5d", ""] {
            assert_eq!(read_query(text), None, "{text}");
        }
        assert!(fits(b"s/*", b"s/12") && !fits(b"s/*", b"t/12"));
    }
}
