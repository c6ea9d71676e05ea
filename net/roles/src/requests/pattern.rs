//! Patterns of names.

use std::fmt;
use std::str::FromStr;

use crate::ConfigError;

/// The longest name or pattern, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 128;

/// A name of streams, in which `*` stands for any characters, none and `/` included.
///
/// ```
/// use centauri_roles::NamePattern;
/// let pattern: NamePattern = "road/*/speed".parse()?;
/// assert!(pattern.matches("road/a/7/speed") && !pattern.matches("road/speed"));
/// assert!("road 7".parse::<NamePattern>().is_err());
/// # Ok::<(), centauri_roles::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamePattern(String);

/// Whether `*` in the pattern, for any characters, and `one`, for one character, can stand for what makes it the text. Takes time in
/// proportion to both lengths multiplied at most.
///
/// ```
/// use centauri_roles::glob;
/// assert!(glob("road/*/é?", "road/7/é9", Some('?')) && !glob("road/?", "road/7", None));
/// ```
#[must_use]
pub fn glob(pattern: &str, text: &str, one: Option<char>) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // After the last `*`, and where the text goes on that this may still take in.
    let mut again: Option<(&str, &str)> = None;
    loop {
        if let Some(after) = pattern.strip_prefix('*') {
            again = Some((after, text));
            pattern = after;
            continue;
        }
        let mut rest = text.chars();
        let Some(found) = rest.next() else { return pattern.is_empty() };
        let mut wanted = pattern.chars();
        if wanted.next().is_some_and(|wanted| wanted == found || Some(wanted) == one) {
            (pattern, text) = (wanted.as_str(), rest.as_str());
            continue;
        }
        let Some((after, start)) = again else { return false };
        let mut start = start.chars();
        start.next();
        (pattern, text) = (after, start.as_str());
        again = Some((after, text));
    }
}

/// Whether a name can be written in a request: letters, digits and `. _ / : -`, at most 128 bytes.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/' | b':' | b'-')
}

impl NamePattern {
    /// Whether it is one name and no more.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether `name` fits. Takes time in proportion to both lengths multiplied at most.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        glob(&self.0, name, None)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NamePattern {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(|byte| byte == b'*' || is_name_byte(byte)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ConfigError::query(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By recursion, as one would define it.
    fn fits(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                fits(rest, name) || name.split_first().is_some_and(|(_, left)| fits(pattern, left))
            }
            ([a, rest @ ..], [b, left @ ..]) => a == b && fits(rest, left),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_its_definition_says(pattern in "[ab*]{1,8}", name in "[ab]{0,8}") {
            let parsed: NamePattern = pattern.parse().unwrap();
            prop_assert_eq!(parsed.matches(&name), fits(pattern.as_bytes(), name.as_bytes()));
        }
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let pattern: NamePattern = "*a".repeat(60).parse().unwrap();
        assert!(!pattern.matches(&"a".repeat(59)));
        assert!(!pattern.matches(&("a".repeat(127) + "b")));
    }
}
