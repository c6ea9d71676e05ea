//! The configuration file of a source, a replica or a monitor (TOML).

use anyhow::{Context, anyhow, bail, ensure};
use centauri_engine::Computation;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What `centauri node --config` reads. Paths are relative to the file's folder. It has exactly one of the tables `[source]`,
/// `[replica]`, `[monitor]` and `[client]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The UDP address to listen on.
    pub listen: SocketAddr,
    /// `auto`, `io_uring` or `epoll`.
    #[serde(default = "auto")]
    pub driver: String,
    /// The registry file.
    pub registry: PathBuf,
    /// The node's own name in the registry.
    pub node: String,
    /// The node's own key file.
    pub key: PathBuf,
    /// Where the counters are written at the end, as JSON; without it they go to standard error.
    pub counters: Option<PathBuf>,
    /// Frames with a timestamp further than this in the past or future are dropped, in seconds.
    #[serde(default = "ten")]
    pub freshness_s: f64,
    /// What is kept beyond the end of the process; without it nothing is. A node makes no decisions that would be kept, so `keep_s` and
    /// `keep_bytes` mean nothing.
    pub journal: Option<crate::serve::JournalConfig>,
    /// How the node serves those who ask it.
    #[serde(default)]
    pub subscribers: SubscribersConfig,
    /// A data source.
    pub source: Option<SourceTable>,
    /// A replica.
    pub replica: Option<ReplicaTable>,
    /// The monitor.
    pub monitor: Option<MonitorTable>,
    /// A client that follows decisions.
    pub client: Option<ClientTable>,
}

/// Bounds on what others may ask.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubscribersConfig {
    /// The most requests served at a time.
    pub requests_max: usize,
    /// The most of one node.
    pub per_node_max: usize,
    /// The most streams that one node may ask for.
    pub streams_per_node_max: usize,
    /// The longest time that a request is served without renewal, in seconds.
    pub ttl_max_s: f64,
    /// Results are given at most this often, in seconds.
    pub period_min_s: f64,
}

impl Default for SubscribersConfig {
    fn default() -> Self {
        let limits = centauri_roles::SubscriberLimits::default();
        Self {
            requests_max: limits.subscriptions_max,
            per_node_max: limits.per_node_max,
            streams_per_node_max: limits.streams_per_node_max,
            ttl_max_s: limits.ttl_max_ns as f64 * 1e-9,
            period_min_s: limits.period_min_ns as f64 * 1e-9,
        }
    }
}

/// A source: where its readings come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceTable {
    /// The number of its stream.
    pub stream: u32,
    /// Its name, by which it can be asked for.
    #[serde(default)]
    pub name: String,
    /// `-` for standard input, where each line is a reading of the moment it comes: a number, or Unix seconds, a comma and a
    /// number. Otherwise a CSV file with such pairs, sent when their time comes.
    #[serde(default = "standard")]
    pub readings: PathBuf,
}

/// A client that follows an engine's decisions: they go to standard output, a line of JSON each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTable {
    /// The registry's name of the engine.
    pub engine: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// How requests go there and decisions come back.
    #[serde(default)]
    pub transport: Transport,
    /// The streams by name, with their numbers at the engine.
    pub streams: std::collections::BTreeMap<String, u32>,
}

/// How frames go to an engine and come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// In datagrams; `address` is what the engine's `listen` says.
    #[default]
    Udp,
    /// On a connection, which is made again when it ends; `address` is what the engine's `tcp.listen` says.
    Tcp,
}

/// A stream that is computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedTable {
    /// Its name.
    pub name: String,
    /// The registry's name of the node that sends it.
    pub node: String,
    /// Its number there.
    pub stream: u32,
    /// Where the node listens.
    pub address: SocketAddr,
}

/// A replica: what it can compute from, and what it computes unasked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaTable {
    /// Where samples go, and what share of values; without it none are sent.
    pub samples: Option<SamplesTable>,
    /// What it can compute from.
    #[serde(default)]
    pub catalogue: Vec<NamedTable>,
    /// What it computes unasked.
    #[serde(default)]
    pub streams: Vec<ReplicaStreamTable>,
    /// The most different computations that are done on request at a time.
    #[serde(default = "computations")]
    pub computations_max: usize,
    /// The most windows of one of them that a reading may lie in.
    #[serde(default = "overlap")]
    pub overlap_max: u32,
    /// What it decides before it computes on it: streams of replica sets of an earlier stage.
    pub decides: Option<DecidesTable>,
}

/// Where samples go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplesTable {
    /// The monitor's address.
    pub monitor: SocketAddr,
}

/// A stream that a replica computes unasked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaStreamTable {
    /// Its number.
    pub id: u32,
    /// Its name, by which it can be asked for.
    #[serde(default)]
    pub name: Option<String>,
    /// `count`, `sum`, `mean`, `min`, `max`, `last` or `identity`.
    pub computation: String,
    /// Names of the catalogue, or patterns (`road/a/*`), or names of what `decides` decides.
    pub sources: Vec<String>,
    /// A window opens so often, in seconds.
    pub period_s: f64,
    /// The windows' length in seconds; without it that of the period.
    pub length_s: Option<f64>,
    /// When a window is closed, in seconds after it opens.
    pub deadline_s: f64,
    /// Unix time at which window 0 opens, in seconds.
    #[serde(default)]
    pub epoch_s: f64,
    /// The most readings of one source in one window.
    #[serde(default = "readings")]
    pub readings_per_source_max: usize,
    /// The distributions that samples of the latencies from sources, of residuals and of steps belong to.
    pub latency: Option<String>,
    /// …
    pub residuals: Option<String>,
    /// …
    pub steps: Option<String>,
}

/// What a replica of a later stage decides: as in the configuration of `centauri serve`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecidesTable {
    /// The model file.
    pub model: PathBuf,
    /// The streams.
    pub streams: Vec<crate::serve::StreamConfig>,
    /// The replicas that are asked for them.
    pub upstreams: Vec<crate::serve::UpstreamConfig>,
}

/// The monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitorTable {
    /// Who is told.
    pub targets: Vec<SocketAddr>,
    /// The distributions that are kept up to date.
    pub distributions: Vec<MonitoredTable>,
}

/// A distribution that the monitor keeps up to date.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitoredTable {
    /// Its name.
    pub name: String,
    /// `output` or `latency`.
    pub kind: String,
    /// `auto` or a family.
    #[serde(default = "auto")]
    pub family: String,
    /// Forces the centre to 0.
    #[serde(default)]
    pub centred: bool,
    /// How many of the senders may lie.
    #[serde(default)]
    pub faults: usize,
    /// The registry's names of those who have a say; without it everybody.
    pub senders: Option<Vec<String>>,
}

fn auto() -> String {
    "auto".to_owned()
}

fn ten() -> f64 {
    10.0
}

fn standard() -> PathBuf {
    PathBuf::from("-")
}

fn computations() -> usize {
    centauri_roles::ComputationLimits::default().computations_max
}

fn overlap() -> u32 {
    centauri_roles::ComputationLimits::default().overlap_max
}

fn readings() -> usize {
    1_024
}

impl NodeConfig {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// One line: the file, the line or key, what was found and what was expected.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let mut config = Self::parse(&text).with_context(|| file.display().to_string())?;
        let folder = file.parent().unwrap_or(Path::new(""));
        config.paths().into_iter().for_each(|path| *path = folder.join(&*path));
        Ok(config)
    }

    /// The files that it names.
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        let mut all = vec![&mut self.registry, &mut self.key];
        all.extend(&mut self.counters);
        all.extend(self.journal.as_mut().map(|journal| &mut journal.path));
        all.extend(self.source.as_mut().map(|source| &mut source.readings).filter(|path| **path != *"-"));
        all.extend(self.replica.as_mut().and_then(|replica| Some(&mut replica.decides.as_mut()?.model)));
        all
    }

    /// The whole configuration as TOML, every key with the value in force: [`NodeConfig::parse`] reads it back to the same. Paths are
    /// absolute, so that the text holds in any folder; keys that are not set are left out.
    ///
    /// # Errors
    /// A path that is not text.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        let mut config = self.clone();
        for path in config.paths() {
            *path = std::path::absolute(&*path).with_context(|| path.display().to_string())?;
        }
        toml::to_string(&config).context("the configuration as TOML")
    }

    /// Reads a configuration's text.
    ///
    /// # Errors
    /// As [`NodeConfig::read`], without the file.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = crate::serve::from_toml(text)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        let tables =
            [self.source.is_some(), self.replica.is_some(), self.monitor.is_some(), self.client.is_some()];
        let found = tables.into_iter().filter(|is_there| *is_there).count();
        ensure!(
            found == 1,
            "found {found} of the tables [source], [replica], [monitor] and [client], expected one"
        );
        crate::serve::positive("freshness_s", self.freshness_s)?;
        self.journal.as_ref().map_or(Ok(()), crate::serve::JournalConfig::check)?;
        crate::serve::positive("subscribers.ttl_max_s", self.subscribers.ttl_max_s)?;
        crate::serve::positive("subscribers.period_min_s", self.subscribers.period_min_s)?;
        for stream in self.replica.iter().flat_map(|replica| &replica.streams) {
            let key = |field: &str| format!("replica.streams {}: {field}", stream.id);
            crate::serve::positive(&key("period_s"), stream.period_s)?;
            crate::serve::positive(&key("deadline_s"), stream.deadline_s)?;
            stream.length_s.map_or(Ok(()), |length| crate::serve::positive(&key("length_s"), length))?;
            stream.computation()?;
        }
        let decides = self.replica.iter().filter_map(|replica| replica.decides.as_ref());
        for (index, stream) in decides.flat_map(|decides| &decides.streams).enumerate() {
            stream.check(index).context("replica.decides")?;
        }
        for monitored in self.monitor.iter().flat_map(|monitor| &monitor.distributions) {
            monitored.kind()?;
        }
        Ok(())
    }
}

impl ReplicaStreamTable {
    /// What is computed.
    pub(super) fn computation(&self) -> anyhow::Result<Computation> {
        self.computation.parse().map_err(|_| {
            anyhow!(
                "replica.streams {}: computation: found {:?}, expected count, sum, mean, min, max, last or identity",
                self.id,
                self.computation
            )
        })
    }
}

impl MonitoredTable {
    pub(super) fn kind(&self) -> anyhow::Result<centauri_wire::SampleKind> {
        match self.kind.as_str() {
            "output" => Ok(centauri_wire::SampleKind::Output),
            "latency" => Ok(centauri_wire::SampleKind::Latency),
            other => {
                bail!(
                    "monitor.distributions {:?}: kind: found {other:?}, expected output or latency",
                    self.name
                )
            }
        }
    }
}
