//! The configuration as a file, and as the text that is printed of it.

use super::config::ServeConfig;
use super::streams::StreamConfig;
use super::values::from_toml;
use crate::http::HttpConfig;
use anyhow::Context;
use centauri_files::{Pieces, pieces};
use std::path::Path;

impl ServeConfig {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// One line: the file, the line or key, what was found and what was expected.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let mut config = Self::parse(&text).with_context(|| file.display().to_string())?;
        let folder = file.parent().unwrap_or(Path::new(""));
        for path in [&mut config.model, &mut config.registry, &mut config.key] {
            *path = folder.join(&*path);
        }
        if config.output.as_os_str() != "-" {
            config.output = folder.join(&config.output);
        }
        config.calibration = config.calibration.map(|path| folder.join(path));
        config.counters = config.counters.map(|path| folder.join(path));
        config.proofs = config.proofs.map(|path| folder.join(path));
        config.http.iter_mut().flat_map(HttpConfig::paths).for_each(|path| *path = folder.join(&*path));
        if let Some(journal) = &mut config.journal {
            journal.path = folder.join(&journal.path);
        }
        Ok(config)
    }

    /// Reads a configuration's text.
    ///
    /// # Errors
    /// As [`ServeConfig::read`], without the file.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        // What is wrong with a text, and where, is told by reading it whole.
        let config: Self = Self::in_pieces(text).map_or_else(|| from_toml(text), Ok)?;
        config.check()?;
        Ok(config)
    }

    /// Reads a text a stream at a time, since the tree of a hundred thousand takes some hundreds of MiB; `None` if anything is wrong
    /// with it, or if it does not come in pieces.
    fn in_pieces(text: &str) -> Option<Self> {
        /// An element of the text by itself.
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Element {
            streams: [StreamConfig; 1],
        }

        let Pieces { rest, elements } = pieces(text, "streams")?;
        // If the rest has streams of its own, this makes it no TOML.
        let mut config: Self = toml::from_str(&format!("streams = []\n{rest}")).ok()?;
        let streams = elements.into_iter().map(|element| {
            let Element { streams: [stream] } = toml::from_str(text.get(element)?).ok()?;
            Some(stream)
        });
        config.streams = streams.collect::<Option<_>>()?;
        Some(config)
    }

    /// The whole configuration as TOML, every key with the value in force: [`ServeConfig::parse`] reads it back to
    /// the same. Paths are absolute, so that the text holds in any folder; keys that are not set stand in comments.
    ///
    /// # Errors
    /// A path that is not text.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        let config = self.absolute()?;
        let mut text = String::new();
        let unset = [
            ("calibration", config.calibration.is_none(), "the user's cache directory"),
            ("counters", config.counters.is_none(), "standard error"),
            ("proofs", config.proofs.is_none(), "none are kept"),
            ("[tcp]", config.tcp.is_none(), "no connections are accepted"),
            ("[http]", config.http.is_none(), "no HTTP"),
            ("[journal]", config.journal.is_none(), "nothing is kept beyond the end of the process"),
        ];
        for (key, _, instead) in unset.iter().filter(|(_, is_unset, _)| *is_unset) {
            text.push_str(&format!("# {key} is not set: {instead}\n"));
        }
        text.push_str(&toml::to_string(&config).context("the configuration as TOML")?);
        Ok(text)
    }

    pub(super) fn absolute(&self) -> anyhow::Result<Self> {
        let mut config = self.clone();
        let paths = [&mut config.model, &mut config.registry, &mut config.key];
        let journal = config.journal.as_mut().map(|journal| &mut journal.path);
        let optional =
            [config.calibration.as_mut(), config.counters.as_mut(), config.proofs.as_mut(), journal];
        let output = (config.output.as_os_str() != "-").then_some(&mut config.output);
        let http = config.http.iter_mut().flat_map(HttpConfig::paths);
        for path in paths.into_iter().chain(optional.into_iter().flatten()).chain(output).chain(http) {
            *path = std::path::absolute(&*path).with_context(|| path.display().to_string())?;
        }
        Ok(config)
    }
}
