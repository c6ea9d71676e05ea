//! The streams of a configuration file, and who is asked for them.

use super::values::{SECONDS_MAX, nanoseconds, positive};
use anyhow::{anyhow, ensure};
use centauri_roles::{ComputationQuery, ComputationUpstream};
use centauri_wire::{NodeId, StreamId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// One logical stream: one that the replicas compute unasked and send under the number `id`, or one that they compute because they are
/// asked for `query`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// Its name in the model file.
    pub name: String,
    /// Its number in the replicas' frames; none where there is a `query`, whose results have the number that follows from it.
    pub id: Option<u32>,
    /// The computation that replicas are asked for, such as `mean(road/a/*) over 60s by 61s`. A window opens every `period_s`, counted
    /// from the Unix epoch. Only those named in `upstreams` are asked.
    pub query: Option<String>,
    /// With `query`: readings older than this when the window is closed do not count, in seconds. Without it all of the window count.
    pub validity_s: Option<f64>,
    /// Length of a round's window, in seconds; with `query`, how often windows open.
    pub period_s: f64,
    /// Unix time at which window 0 opens, in seconds.
    #[serde(default)]
    pub epoch_s: f64,
    /// When a round is decided, in seconds after its window opens. Without it: the model's output deadline and link
    /// deadline together.
    pub close_after_s: Option<f64>,
    /// Whether the spread that is reported with decisions is added to the noise: the replicas of this stream are of a later stage, and say
    /// how sure they are. The median sender's spread counts. The noise must be a distribution of the model with a name; every stream
    /// whose noise has that name is then decided by it.
    #[serde(default)]
    pub spreads: bool,
    /// Registry names of the replicas, by name in the model; a replica that is not listed has the same name in both.
    #[serde(default)]
    pub replicas: BTreeMap<String, String>,
}

/// A node that is asked to stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Its name in the registry.
    pub node: String,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A computation that replicas are asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Computed {
    query: ComputationQuery,
    every_ns: i64,
    validity_ns: i64,
}

impl Computed {
    /// The number that its results carry.
    pub(crate) fn stream(&self) -> StreamId {
        self.query.stream(self.every_ns, self.validity_ns)
    }

    /// The request to one replica.
    pub(crate) fn of(&self, node: NodeId, address: SocketAddr) -> ComputationUpstream {
        let Self { query, every_ns, validity_ns } = self.clone();
        ComputationUpstream { node, address, query, every_ns, validity_ns }
    }
}

impl StreamConfig {
    /// What replicas are asked to compute, if they are.
    ///
    /// # Errors
    /// A query that is none.
    pub(crate) fn computed(&self) -> anyhow::Result<Option<Computed>> {
        let Some(text) = &self.query else { return Ok(None) };
        let query: ComputationQuery = text.parse().map_err(|_| {
            anyhow!(
                "streams {:?}: query: found {text:?}, expected a computation such as \"mean(road/a/*) over 60s by 61s\"",
                self.name
            )
        })?;
        let every_ns = nanoseconds(self.period_s);
        let (_, _, by_ns) = query.times_ns(every_ns);
        let validity_ns = self.validity_s.map_or(by_ns, nanoseconds);
        Ok(Some(Computed { query, every_ns, validity_ns }))
    }

    /// Its number in the replicas' frames.
    ///
    /// # Errors
    /// A query that is none; neither a number nor a query.
    pub(crate) fn stream(&self) -> anyhow::Result<StreamId> {
        let id = || self.id.map(StreamId);
        self.computed()?.map(|computed| computed.stream()).or_else(id).ok_or_else(|| {
            anyhow!("streams {:?}: found neither `id` nor `query`, expected one of them", self.name)
        })
    }

    /// Checks what can be checked without the other files; `index` is its place in the configuration.
    pub(crate) fn check(&self, index: usize) -> anyhow::Result<()> {
        let key = |field: &str| format!("streams[{index}] {:?}: {field}", self.name);
        positive(&key("period_s"), self.period_s)?;
        if let Some(close_after) = self.close_after_s {
            positive(&key("close_after_s"), close_after)?;
        }
        ensure!(
            self.epoch_s.is_finite() && self.epoch_s.abs() <= SECONDS_MAX,
            "{}: found {}, expected Unix time in seconds",
            key("epoch_s"),
            self.epoch_s
        );
        if self.query.is_some() {
            ensure!(self.id.is_none(), "{}: found it beside `query`, expected one of them", key("id"));
            ensure!(
                self.epoch_s == 0.0,
                "{}: found {} beside `query`, expected 0: its windows are counted from the Unix epoch",
                key("epoch_s"),
                self.epoch_s
            );
        } else {
            ensure!(self.validity_s.is_none(), "{}: found it without `query`", key("validity_s"));
        }
        self.validity_s.map_or(Ok(()), |validity| positive(&key("validity_s"), validity))?;
        self.stream().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<StreamConfig, String> {
        let stream: StreamConfig =
            toml::from_str(&format!("name = \"road\"\n{text}")).map_err(|e| e.to_string())?;
        stream.check(0).map_err(|error| format!("{error:#}"))?;
        Ok(stream)
    }

    #[test]
    fn a_query_says_the_number_and_what_is_asked() {
        let stream = read("period_s = 30\nquery = \"mean(road/a/*) over 1m by 61s\"").unwrap();
        let query: ComputationQuery = "mean(road/a/*) over 60s by 61s".parse().unwrap();
        // All of the window counts, as with any validity beyond its length.
        assert_eq!(stream.stream().unwrap(), query.stream(30_000_000_000, i64::MAX));
        let asked = stream.computed().unwrap().unwrap().of(NodeId(7), SocketAddr::from(([127, 0, 0, 1], 9)));
        assert_eq!((asked.node, asked.every_ns, asked.query.clone()), (NodeId(7), 30_000_000_000, query));
        assert_eq!(asked.stream(), stream.stream().unwrap());
        let valid =
            read("period_s = 30\nquery = \"mean(road/a/*) over 1m by 61s\"\nvalidity_s = 20").unwrap();
        assert_eq!(valid.computed().unwrap().unwrap().validity_ns, 20_000_000_000);
        assert_ne!(valid.stream().unwrap(), stream.stream().unwrap());
        assert_eq!(read("period_s = 1\nid = 7").unwrap().stream().unwrap(), StreamId(7));
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        for (text, expected) in [
            ("period_s = 1", "found neither `id` nor `query`"),
            ("period_s = 1\nid = 1\nquery = \"mean(a)\"", "id: found it beside `query`"),
            ("period_s = 1\nepoch_s = 3\nquery = \"mean(a)\"", "epoch_s: found 3 beside `query`, expected 0"),
            ("period_s = 1\nid = 1\nvalidity_s = 3", "validity_s: found it without `query`"),
            ("period_s = 1\nquery = \"mean(a)\"\nvalidity_s = 0", "validity_s: found 0, expected seconds"),
            ("period_s = 1\nquery = \"median(a)\"", "query: found \"median(a)\", expected a computation"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
