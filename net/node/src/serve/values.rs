//! Values of configurations: how their text is read, and times.

use anyhow::ensure;
use serde::de::DeserializeOwned;

/// Times beyond some 270 years do not fit 64 bits of nanoseconds.
pub(super) const SECONDS_MAX: f64 = 8.5e9;

pub(crate) fn positive(key: &str, seconds: f64) -> anyhow::Result<()> {
    ensure!(
        (1e-6..=SECONDS_MAX).contains(&seconds),
        "{key}: found {seconds}, expected seconds from 0.000001 to {SECONDS_MAX}"
    );
    Ok(())
}

/// Reads a configuration's text.
///
/// # Errors
/// One line: the line of the text, if one is to blame, what was found and what was expected.
pub(crate) fn from_toml<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let at = line.map_or_else(String::new, |line| format!("line {line}: "));
        anyhow::anyhow!("{at}{}", error.message().replace('\n', " "))
    })
}

/// Seconds as whole nanoseconds.
pub(crate) fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}
