//! Names of streams, replicas and distributions, and pieces of files in messages.

use crate::limits::{EXCERPT_CHARS_MAX, NAME_BYTES_MAX};

/// What is wrong with `name`, if anything: it must not be empty, longer than 256 bytes or hold a control character.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("found an empty name, expected at least one character".to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        let found = name.len();
        return Err(format!("found a name of {found} bytes, expected at most {NAME_BYTES_MAX}"));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("found {}, expected a name without control characters", quoted(name)));
    }
    Ok(())
}

/// `text` in quotes, on one line, cut short where it is long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_CHARS_MAX) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// `text` with control characters replaced, so that it stays on one line.
pub(crate) fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// `bytes` as text in quotes; what is not UTF-8 is shown as a replacement character.
pub(crate) fn quoted_bytes(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(4 * (EXCERPT_CHARS_MAX + 1))];
    quoted(&String::from_utf8_lossy(shown))
}

/// The candidate closest to `word`, where it is close enough to have been meant.
pub(crate) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > NAME_BYTES_MAX {
        return None;
    }
    let most = word.chars().count().div_ceil(3).min(3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= NAME_BYTES_MAX)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(distance, _)| distance <= most)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// A list of names for a message, with the one that may have been meant; a long list is cut short.
pub(crate) fn expected_one_of<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    const SHOWN_MAX: usize = 20;
    let mut list = known.clone().take(SHOWN_MAX).map(one_line).collect::<Vec<_>>().join(", ");
    if list.is_empty() {
        return "there are none".to_owned();
    }
    if known.clone().nth(SHOWN_MAX).is_some() {
        list.push_str(", …");
    }
    match closest(word, known) {
        Some(meant) => format!("one of {list}; did you mean {}?", quoted(meant)),
        None => format!("one of {list}"),
    }
}

/// A name as it is where that is plain, else in quotes.
fn one_line(name: &str) -> String {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != ',';
    if name.chars().all(plain) && name.chars().count() <= EXCERPT_CHARS_MAX {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// Edit distance: insertions, deletions and replacements of one character, and swaps of two neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "ab", 2),
            ("step", "setp", 1),
            ("kitten", "sitting", 3),
            ("noise", "noises", 1),
            ("ä", "a", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn the_closest_is_close() {
        assert_eq!(closest("fautls", ["faults", "support"]), Some("faults"));
        assert_eq!(closest("colour", ["faults", "support"]), None);
        assert_eq!(expected_one_of("x", std::iter::empty()), "there are none");
        assert_eq!(
            expected_one_of("nord", ["north", "south"].into_iter()),
            "one of north, south; did you mean \"north\"?"
        );
    }

    #[test]
    fn messages_stay_on_one_line() {
        assert_eq!(quoted("a\nb"), r#""a\nb""#);
        assert_eq!(quoted(&"é".repeat(100)).chars().count(), EXCERPT_CHARS_MAX + 3);
        assert_eq!(quoted_bytes(b"\xff"), "\"\u{fffd}\"");
    }
}
