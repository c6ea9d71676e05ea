//! The engine server's configuration file (TOML).

use crate::backends::BackendChoice;
use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What `centauri serve --config` reads. Paths are relative to the file's folder.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeConfig {
    /// The UDP address to listen on.
    pub listen: SocketAddr,
    /// `auto`, `io_uring` or `epoll`.
    #[serde(default = "auto")]
    pub driver: String,
    /// What decides: `auto`, `scalar`, `simd` or `gpu`.
    #[serde(default)]
    pub backend: BackendChoice,
    /// Where `auto` keeps its calibration, instead of the user's cache directory.
    pub calibration: Option<PathBuf>,
    /// The model file.
    pub model: PathBuf,
    /// The registry file: which nodes there are, with their public keys.
    pub registry: PathBuf,
    /// The server's own name in the registry.
    pub node: String,
    /// The server's own key file.
    pub key: PathBuf,
    /// Where decisions go, as JSON Lines: `-` is standard output; a file is appended to.
    #[serde(default = "standard_output")]
    pub output: PathBuf,
    /// Where the counters are written at the end, as JSON; without it they go to standard error.
    pub counters: Option<PathBuf>,
    /// Frames with a timestamp further than this in the past or future are dropped, in seconds.
    #[serde(default = "ten")]
    pub freshness_s: f64,
    /// How long open rounds may take to end after a signal to stop, in seconds; then they are closed as they are.
    #[serde(default = "ten")]
    pub drain_s: f64,
    /// The socket's receive buffer, in bytes.
    #[serde(default = "receive_buffer")]
    pub receive_buffer_bytes: usize,
    /// The logical streams.
    #[serde(default)]
    pub streams: Vec<StreamConfig>,
    /// Nodes that are asked to stream to this server.
    #[serde(default)]
    pub upstreams: Vec<UpstreamConfig>,
}

/// One logical stream.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// Its name in the model file.
    pub name: String,
    /// Its number in the replicas' frames.
    pub id: u32,
    /// Length of a round's window, in seconds.
    pub period_s: f64,
    /// Unix time at which window 0 opens, in seconds.
    #[serde(default)]
    pub epoch_s: f64,
    /// When a round is decided, in seconds after its window opens. Without it: the model's output deadline and link
    /// deadline together.
    pub close_after_s: Option<f64>,
    /// Registry names of the replicas, by name in the model; a replica that is not listed has the same name in both.
    #[serde(default)]
    pub replicas: BTreeMap<String, String>,
}

/// A node that is asked to stream.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Its name in the registry.
    pub node: String,
    /// Where it listens.
    pub address: SocketAddr,
}

fn auto() -> String {
    "auto".to_owned()
}

fn standard_output() -> PathBuf {
    PathBuf::from("-")
}

fn ten() -> f64 {
    10.0
}

fn receive_buffer() -> usize {
    8 << 20
}

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
        Ok(config)
    }

    /// Reads a configuration's text.
    ///
    /// # Errors
    /// As [`ServeConfig::read`], without the file.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let at = line.map_or_else(String::new, |line| format!("line {line}: "));
            anyhow::anyhow!("{at}{}", error.message().replace('\n', " "))
        })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        positive("freshness_s", self.freshness_s)?;
        ensure!(
            self.drain_s.is_finite() && (0.0..=SECONDS_MAX).contains(&self.drain_s),
            "drain_s: found {}, expected 0 to {SECONDS_MAX} seconds",
            self.drain_s
        );
        if self.streams.is_empty() {
            bail!("streams: found none, expected at least one [[streams]] table");
        }
        for (index, stream) in self.streams.iter().enumerate() {
            let key = |field: &str| format!("streams[{index}] {:?}: {field}", stream.name);
            positive(&key("period_s"), stream.period_s)?;
            if let Some(close_after) = stream.close_after_s {
                positive(&key("close_after_s"), close_after)?;
            }
            ensure!(
                stream.epoch_s.is_finite() && stream.epoch_s.abs() <= SECONDS_MAX,
                "{}: found {}, expected Unix time in seconds",
                key("epoch_s"),
                stream.epoch_s
            );
        }
        Ok(())
    }
}

/// Times beyond some 270 years do not fit 64 bits of nanoseconds.
const SECONDS_MAX: f64 = 8.5e9;

fn positive(key: &str, seconds: f64) -> anyhow::Result<()> {
    ensure!(
        (1e-6..=SECONDS_MAX).contains(&seconds),
        "{key}: found {seconds}, expected seconds from 0.000001 to {SECONDS_MAX}"
    );
    Ok(())
}

/// Seconds as whole nanoseconds.
pub(crate) fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
listen = "127.0.0.1:7700"
model = "model.toml"
registry = "registry.toml"
node = "engine"
key = "engine.key"
[[streams]]
name = "road/7"
id = 1
period_s = 1
"#;

    #[test]
    fn defaults_fill_in() {
        let config = ServeConfig::parse(GOOD).unwrap();
        assert_eq!(config.driver, "auto");
        assert_eq!(config.backend, BackendChoice::Auto);
        assert_eq!(config.streams[0].epoch_s, 0.0);
        assert_eq!(config.output, Path::new("-"));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for (good, bad, expected) in [
            ("listen", "lisen", "line 2: unknown field `lisen`"),
            ("period_s = 1", "period_s = 0", "streams[0] \"road/7\": period_s: found 0, expected seconds"),
            ("period_s = 1", "period_s = nan", "streams[0] \"road/7\": period_s: found NaN"),
            ("period_s = 1", "period_s = 1\nepoch_s = 1e300", "epoch_s: found 1"),
            ("id = 1", "id = -1", "line 9: invalid value"),
            ("127.0.0.1:7700", "nowhere", "line 2: invalid socket address"),
            ("[[streams]]", "[[stream]]", "line 7: unknown field `stream`"),
            ("node = \"engine\"\n", "", "missing field `node`"),
            ("id = 1", "backend = \"tpu\"", "line 9"),
            ("node =", "backend = \"tpu\"\nnode =", "line 5: unknown variant `tpu`, expected one of `auto`"),
        ] {
            let text = GOOD.replacen(good, bad, 1);
            let error = ServeConfig::parse(&text).expect_err(bad).to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{bad:?}: {error}");
        }
    }
}
