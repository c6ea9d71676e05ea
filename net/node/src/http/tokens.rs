//! Who may read: tokens, of which a server knows hashes only.

use anyhow::{Context, bail, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// What a token begins with, so that one is known where it should not be.
const PREFIX: &str = "centauri_";
/// Random bytes of a token: nobody guesses them, so a fast hash without salt hides them well.
const RANDOM_BYTES: usize = 32;
/// The most clients of a file.
const CLIENTS_MAX: usize = 4_096;
/// Longer names would only make a mess of logs.
const NAME_BYTES_MAX: usize = 64;

/// The clients of a token file, with the hashes of their tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens(Vec<(String, blake3::Hash)>);

/// A new token of a client.
#[derive(Debug)]
pub(crate) struct NewToken {
    /// What the client shows; it is kept nowhere.
    pub(crate) token: zeroize::Zeroizing<String>,
    /// The line of the token file.
    pub(crate) line: String,
}

/// A token for the client `name`, from 32 random bytes.
///
/// # Errors
/// A name that is none.
pub(crate) fn make(name: &str, random: &[u8; RANDOM_BYTES]) -> anyhow::Result<NewToken> {
    check_name(name).context("--name")?;
    let secret = zeroize::Zeroizing::new(blake3::Hash::from_bytes(*random).to_hex().to_string());
    let token = zeroize::Zeroizing::new(format!("{PREFIX}{}", *secret));
    let line = format!("{name} = \"{}\"", blake3::hash(token.as_bytes()).to_hex());
    Ok(NewToken { token, line })
}

/// Whether a token file can be read that has this text.
///
/// # Errors
/// As [`Tokens::read`], without the file.
pub(crate) fn check(text: &str) -> anyhow::Result<()> {
    Tokens::parse(text).map(drop)
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    ensure!(
        (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_good),
        "found the client's name {name:?}, expected 1 to {NAME_BYTES_MAX} letters, digits, _ and -"
    );
    Ok(())
}

impl Tokens {
    /// Reads a token file.
    ///
    /// # Errors
    /// One line: the file, the client, what was found and what was expected.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let name = || file.display().to_string();
        let text = std::fs::read_to_string(file).with_context(name)?;
        Self::parse(&text).with_context(name)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let lines: BTreeMap<String, String> = toml::from_str(text).map_err(|error| {
            // The message alone: the error's own text quotes the line.
            anyhow::anyhow!("{}", error.message().replace('\n', " "))
        })?;
        ensure!(
            !lines.is_empty(),
            "found no client, expected a line `name = \"hash\"` for each (`centauri token`)"
        );
        ensure!(lines.len() <= CLIENTS_MAX, "found {} clients, expected at most {CLIENTS_MAX}", lines.len());
        let mut clients = Vec::with_capacity(lines.len());
        for (name, hash) in lines {
            check_name(&name)?;
            let Ok(hash) = blake3::Hash::from_hex(&hash) else {
                // Not what was found: it may be a token.
                bail!(
                    "{name}: found no hash of a token, expected 64 hexadecimal digits, as `centauri token` prints them"
                );
            };
            clients.push((name, hash));
        }
        Ok(Self(clients))
    }

    /// Whose token this is. Takes as long whoever's it is, and nobody's.
    pub(super) fn client(&self, token: &str) -> Option<&str> {
        let shown = blake3::hash(token.as_bytes());
        let mut found = None;
        for (name, hash) in &self.0 {
            // Hashes are compared in constant time.
            if shown == *hash {
                found = Some(name.as_str());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_line_alone() {
        let (one, two) = (make("one", &[1; 32]).unwrap(), make("two-2", &[2; 32]).unwrap());
        assert_eq!(one.token.len(), PREFIX.len() + 64);
        let tokens = Tokens::parse(&format!("# clients\n{}\n{}\n", one.line, two.line)).unwrap();
        assert_eq!((tokens.client(&one.token), tokens.client(&two.token)), (Some("one"), Some("two-2")));
        for wrong in ["", "one", PREFIX, &one.token[..72], &one.line] {
            assert_eq!(tokens.client(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_telling_what_may_be_a_token() {
        let secret = make("a", &[1; 32]).unwrap().token;
        for (text, expected) in [
            (String::new(), "found no client"),
            (format!("a = \"{}\"", *secret), "a: found no hash of a token"),
            ("a = 5".to_owned(), "invalid type"),
            (format!("a = \"{0}\"\na = \"{0}\"", "0".repeat(64)), "duplicate key"),
            (format!("\"a b\" = \"{}\"", "0".repeat(64)), "name \"a b\""),
        ] {
            let error = format!("{:#}", Tokens::parse(&text).expect_err(&text));
            assert!(
                error.contains(expected) && !error.contains('\n') && !error.contains(&*secret),
                "{error}"
            );
        }
        for name in ["", "a b", "a=b", "a.b", &"a".repeat(65)] {
            assert!(make(name, &[0; 32]).is_err(), "{name:?}");
        }
    }
}
