//! The engine server's configuration file (TOML).

use super::health::HealthTable;
use super::journal::JournalConfig;
use super::streams::{StreamConfig, UpstreamConfig};
use super::tcp::TcpConfig;
use super::values::SECONDS_MAX;
pub(super) use super::values::{nanoseconds, positive};
use crate::backends::BackendChoice;
use crate::http::HttpConfig;
use anyhow::{Context, bail, ensure};
use centauri_uring::DriverConfig;
use centauri_wire::VerifierChoice;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What `centauri serve --config` reads. Paths are relative to the file's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeConfig {
    /// The UDP address to listen on.
    pub listen: SocketAddr,
    /// `auto`, `io_uring` or `epoll`.
    #[serde(default = "auto")]
    pub driver: String,
    /// What verifies signatures: `auto` (eight at a time where the processor has AVX-512 IFMA and the self-test passes) or
    /// `strict` (one at a time). Verdicts are the same.
    #[serde(default)]
    pub verifier: VerifierChoice,
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
    /// A folder for proofs that a node has signed two values for one round, which `centauri verify-proof` checks; without it none are
    /// kept. With `shards` above 1, only of streams that the shard of their sender decides itself. A journal keeps them, too.
    pub proofs: Option<PathBuf>,
    /// Frames with a timestamp further than this in the past or future are dropped, in seconds.
    #[serde(default = "ten")]
    pub freshness_s: f64,
    /// How long open rounds may take to end after a signal to stop, in seconds; then they are closed as they are.
    #[serde(default = "ten")]
    pub drain_s: f64,
    /// The socket's receive buffer, in bytes.
    #[serde(default = "receive_buffer")]
    pub receive_buffer_bytes: usize,
    /// How many receive buffers the driver has: a power of two.
    #[serde(default = "driver_buffers")]
    pub driver_buffers: u16,
    /// Bytes of a receive buffer; longer datagrams are dropped and counted. The default takes any.
    #[serde(default = "driver_buffer_bytes")]
    pub driver_buffer_bytes: usize,
    /// How many datagrams one wait tries to gather, at most `driver_buffers`.
    #[serde(default = "driver_wait_completions")]
    pub driver_wait_completions: u32,
    /// How long a wait may go on for more datagrams once one has come, in microseconds; 0 waits for none.
    #[serde(default = "driver_linger_us")]
    pub driver_linger_us: u64,
    /// Whether the kernel may hand over several datagrams of one flow in one buffer, which the driver divides. No effect with
    /// `driver_buffer_bytes` below 65,536.
    #[serde(default = "driver_gro")]
    pub driver_gro: bool,
    /// How many threads receive, verify and decide, each for its part of the senders and of the streams (eight at a time, in the
    /// order of `streams`): 1 to 256. More than one take no trains from the kernel (`driver_gro`), and no `[tcp]`.
    #[serde(default = "one")]
    pub shards: usize,
    /// Frames from TCP connections; without it none are accepted.
    pub tcp: Option<TcpConfig>,
    /// What is decided, by HTTP; without it there is none.
    pub http: Option<HttpConfig>,
    /// How the health of replicas is judged.
    #[serde(default)]
    pub health: HealthTable,
    /// What is kept beyond the end of the process; without it nothing is.
    pub journal: Option<JournalConfig>,
    /// The logical streams.
    #[serde(default)]
    pub streams: Vec<StreamConfig>,
    /// Nodes that are asked to stream to this server.
    #[serde(default)]
    pub upstreams: Vec<UpstreamConfig>,
}

fn auto() -> String {
    "auto".to_owned()
}

fn standard_output() -> PathBuf {
    PathBuf::from("-")
}

fn one() -> usize {
    1
}

fn ten() -> f64 {
    10.0
}

fn receive_buffer() -> usize {
    8 << 20
}

fn driver_buffers() -> u16 {
    DriverConfig::default().buffers
}

fn driver_buffer_bytes() -> usize {
    DriverConfig::default().buffer_bytes
}

fn driver_wait_completions() -> u32 {
    DriverConfig::default().wait_completions
}

fn driver_gro() -> bool {
    DriverConfig::default().gro
}

fn driver_linger_us() -> u64 {
    u64::try_from(DriverConfig::default().linger.as_micros()).unwrap_or(u64::MAX)
}

impl ServeConfig {
    /// The driver's part.
    ///
    /// # Errors
    /// A driver that is none, or a number out of its range, by its key.
    pub(crate) fn driver_config(&self) -> anyhow::Result<DriverConfig> {
        let choice = self.driver.parse().map_err(|error| anyhow::anyhow!("driver: {error}"))?;
        let config = DriverConfig {
            choice,
            socket_receive_bytes: self.receive_buffer_bytes,
            buffers: self.driver_buffers,
            buffer_bytes: self.driver_buffer_bytes,
            wait_completions: self.driver_wait_completions,
            linger: Duration::from_micros(self.driver_linger_us),
            gro: self.driver_gro,
        };
        config.validate().context("driver_…, receive_buffer_bytes")?;
        Ok(config)
    }

    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.driver_config()?;
        let most = centauri_uring::limits::GROUP_MAX;
        ensure!((1..=most).contains(&self.shards), "shards: found {}, expected 1 to {most}", self.shards);
        if let Some(tcp) = &self.tcp {
            tcp.check()?;
            ensure!(
                self.shards == 1,
                "tcp: found it with shards = {}, expected shards = 1: connections are not divided",
                self.shards
            );
        }
        if let Some(http) = &self.http {
            http.check()?;
        }
        self.health.check()?;
        if let Some(journal) = &self.journal {
            journal.check()?;
        }
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
            stream.check(index)?;
            ensure!(
                !stream.spreads || self.shards == 1,
                "streams[{index}] {:?}: spreads: found it with shards = {}, expected shards = 1: a shard sees a part of the reports",
                stream.name,
                self.shards
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

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
        assert_eq!(config.verifier, VerifierChoice::Auto);
        assert_eq!(config.driver_config().unwrap(), DriverConfig::default());
        assert_eq!(config.backend, BackendChoice::Auto);
        assert_eq!(config.streams[0].epoch_s, 0.0);
        assert_eq!(config.output, Path::new("-"));
    }

    #[test]
    fn the_whole_configuration_reads_back_to_itself() {
        let full = GOOD.replace(
            "[[streams]]",
            "driver = \"epoll\"\nverifier = \"strict\"\nbackend = \"simd\"\ncalibration = \"/c.toml\"\n\
             counters = \"/counters.json\"\nproofs = \"/proofs\"\noutput = \"/d.jsonl\"\nfreshness_s = 0.25\ndrain_s = 0\n\
             receive_buffer_bytes = 65536\ndriver_buffers = 16\ndriver_buffer_bytes = 2048\n\
             driver_wait_completions = 4\ndriver_linger_us = 50\ndriver_gro = false\n\
             shards = 1\n[tcp]\nlisten = \"[::]:7\"\nconnections_max = 9\nstall_s = 0.5\nbuffers = 8\n\
             [http]\nlisten = \"[::]:8\"\ntokens = \"/t\"\ntls_certificate = \"/c\"\ntls_key = \"/k\"\n\
             clients_max = 3\nqueue_decisions = 4\nheartbeat_s = 0.5\nallow_anonymous = true\n\
             [health]\nrounds_between_false_alarms = 5e4\n[journal]\npath = \"/j.redb\"\nkeep_s = 3.5\nkeep_bytes = 2000000\ncommit_ms = 5\nclock_ahead_s = 0.5\n\
             [[upstreams]]\nnode = \"r1\"\naddress = \"[::1]:9\"\n[[streams]]",
        );
        let full = full
            + "epoch_s = 0.1\nclose_after_s = 1.5\nspreads = true\n[streams.replicas]\na = \"r1\"\n[[streams]]\nname = \"b\"\nperiod_s = 2\n\
               query = \"mean(road/*)\"\nvalidity_s = 9\n";
        for text in [GOOD, &full] {
            let config = ServeConfig::parse(text).unwrap().absolute().unwrap();
            let printed = config.to_toml().unwrap();
            assert_eq!(ServeConfig::parse(&printed).unwrap(), config, "{printed}");
            let keys =
                ["listen", "driver", "verifier", "backend", "model", "registry", "node", "key", "output"];
            let numbers = ["freshness_s", "drain_s", "receive_buffer_bytes", "driver_buffers"];
            let driver = ["driver_buffer_bytes", "driver_wait_completions", "driver_linger_us", "driver_gro"];
            for key in keys.iter().chain(&numbers).chain(&driver).chain(&["shards", "period_s", "epoch_s"]) {
                assert!(
                    printed.contains(&format!("\n{key} = ")) || printed.starts_with(key),
                    "{key}: {printed}"
                );
            }
        }
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
            (
                "node =",
                "verifier = \"lax\"\nnode =",
                "line 5: unknown variant `lax`, expected `auto` or `strict`",
            ),
            ("node =", "driver = \"kqueue\"\nnode =", "driver: unknown datagram driver \"kqueue\""),
            (
                "[[streams]]",
                "[tcp]\nlisten = \"[::]:7\"\nidle_s = 0\n[[streams]]",
                "tcp.idle_s: found 0, expected seconds",
            ),
            (
                "[[streams]]",
                "[tcp]\nlisten = \"[::]:7\"\nconnections_max = 0\n[[streams]]",
                "tcp.connections_max: found 0, expected 1 to 65472",
            ),
            (
                "[[streams]]",
                "[tcp]\nlisten = \"[::]:7\"\nbuffers = 3\n[[streams]]",
                "tcp: buffers is 3: expected a power of two",
            ),
            ("[[streams]]", "[journal]\n[[streams]]", "missing field `path`"),
            (
                "[[streams]]",
                "[journal]\npath = \"j\"\nkeep_bytes = 7\n[[streams]]",
                "journal.keep_bytes: found 7, expected at least 1048576",
            ),
            (
                "[[streams]]",
                "[journal]\npath = \"j\"\ncommit_ms = 0\n[[streams]]",
                "journal.commit_ms: found 0, expected 1 to 10000",
            ),
            (
                "[[streams]]",
                "[journal]\npath = \"j\"\nclock_ahead_s = -1\n[[streams]]",
                "journal.clock_ahead_s: found -1, expected 0 to 3600 seconds",
            ),
            (
                "[[streams]]",
                "[journal]\npath = \"j\"\nkeep_s = 0\n[[streams]]",
                "journal.keep_s: found 0, expected seconds",
            ),
            ("node =", "shards = 0\nnode =", "shards: found 0, expected 1 to 256"),
            ("node =", "shards = 257\nnode =", "shards: found 257, expected 1 to 256"),
            (
                "[[streams]]",
                "shards = 2\n[tcp]\nlisten = \"[::]:7\"\n[[streams]]",
                "tcp: found it with shards = 2, expected shards = 1",
            ),
            (
                "[[streams]]",
                "shards = 2\n[[streams]]\nspreads = true",
                "streams[0] \"road/7\": spreads: found it with shards = 2, expected shards = 1",
            ),
            ("[[streams]]", "[tcp]\nport = 7\n[[streams]]", "unknown field `port`"),
            ("node =", "driver_buffers = 48\nnode =", "buffers is 48: expected a power of two"),
            ("node =", "driver_linger_us = 20000\nnode =", "linger is 20ms: expected at most"),
            ("node =", "backend = \"tpu\"\nnode =", "line 5: unknown variant `tpu`, expected one of `auto`"),
        ] {
            let text = GOOD.replacen(good, bad, 1);
            let error = format!("{:#}", ServeConfig::parse(&text).expect_err(bad));
            assert!(error.contains(expected) && !error.contains('\n'), "{bad:?}: {error}");
        }
    }
}
