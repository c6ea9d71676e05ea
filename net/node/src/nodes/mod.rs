//! Sources, replicas and the monitor as processes of their own.

mod client;
mod config;
mod keeping;
mod monitor;
mod replica;
mod source;

pub use config::{
    ClientTable, DecidesTable, MonitorTable, MonitoredTable, NamedTable, NodeConfig, ReplicaStreamTable,
    ReplicaTable, SamplesTable, SourceTable, SubscribersConfig, Transport,
};

use crate::journal::JournalCounters;
use crate::node::Node;
use crate::serve::{driver_json, nanoseconds, own_identity, read_registry, tcp_json};
use anyhow::{Context, anyhow};
use centauri_roles::{Effect, Effects, Lasting, Role, SubscriberLimits};
use centauri_uring::{DatagramDriver, DriverChoice, DriverConfig};
use centauri_wire::{Limits, Registry, Role as NodeRole, SigningIdentity};
use keeping::{Found, Keeping};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What every role is made of.
struct Parts<'a> {
    config: &'a NodeConfig,
    registry: Arc<Registry>,
    identity: SigningIdentity,
    limits: Limits,
    subscribers: SubscriberLimits,
    /// What an earlier node left, where there is a journal.
    found: Found,
    /// The journal, until the node runs.
    keeping: RefCell<Option<Keeping>>,
}

/// Runs the node until `stop` is no longer 0; then it tells those whom it asked that nothing more is wanted, writes its counters, and
/// returns.
///
/// # Errors
/// One line on what is wrong with the configuration or the files it names, or on what the socket reports.
pub fn run(config: &NodeConfig, stop: &AtomicUsize) -> anyhow::Result<()> {
    let registry = Arc::new(read_registry(&config.registry)?);
    let role = match config {
        NodeConfig { source: Some(_), .. } => NodeRole::Source,
        NodeConfig { replica: Some(_), .. } => NodeRole::Replica,
        NodeConfig { monitor: Some(_), .. } => NodeRole::Monitor,
        _ => NodeRole::Client,
    };
    let identity = own_identity(&config.registry, &registry, &config.node, &config.key, &[role])?;
    let mut limits = crate::serve::limits(config.freshness_s);
    let begun = config.journal.as_ref().map(|journal| Keeping::begin(journal, &mut limits, stop));
    let (keeping, found) =
        begun.transpose()?.map_or_else(Default::default, |(keeping, found)| (Some(keeping), found));
    let asked = config.subscribers;
    let subscribers = SubscriberLimits {
        subscriptions_max: asked.requests_max,
        per_node_max: asked.per_node_max,
        streams_per_node_max: asked.streams_per_node_max,
        ttl_max_ns: nanoseconds(asked.ttl_max_s),
        period_min_ns: nanoseconds(asked.period_min_s).max(1),
    };
    let keeping = RefCell::new(keeping);
    let parts = Parts { config, registry, identity, limits, subscribers, found, keeping };
    match config {
        NodeConfig { source: Some(source), .. } => source::run(&parts, source, stop),
        NodeConfig { replica: Some(replica), .. } => replica::run(&parts, replica, stop),
        NodeConfig { monitor: Some(monitor), .. } => monitor::run(&parts, monitor, stop),
        NodeConfig { client: Some(client), .. } => client::run(&parts, client, stop),
        _ => Err(anyhow!("found none of the tables [source], [replica], [monitor] and [client]")),
    }
}

impl Parts<'_> {
    fn open<R: Role>(&self, role: R) -> anyhow::Result<Node<R>> {
        let config = DriverConfig { choice: self.driver_choice()?, ..DriverConfig::default() };
        let driver: Box<dyn DatagramDriver> = centauri_uring::open(self.config.listen, &config)?;
        let node = Node::new(role, driver);
        tracing::info!(address = %node.address(), driver = %node.driver_kind(), node = %self.config.node, "listening");
        Ok(node)
    }

    fn driver_choice(&self) -> anyhow::Result<DriverChoice> {
        self.config.driver.parse().map_err(|error| anyhow!("driver: {error}"))
    }

    /// The registry's number of a node.
    fn node(&self, key: &str, name: &str) -> anyhow::Result<centauri_wire::NodeId> {
        let found = self.registry.by_name(name).map(|node| node.id);
        found.ok_or_else(|| {
            let file = self.config.registry.display();
            anyhow!("{file}: found no node {name:?}, expected it there because of `{key}`")
        })
    }

    /// Steps the node until it is to stop; `between` comes before each step.
    fn drive<R: Lasting>(
        &self,
        node: Node<R>,
        stop: &AtomicUsize,
        between: impl FnMut(&mut Node<R>) -> anyhow::Result<()>,
        end: impl FnOnce(&mut R, i64, &mut Effects),
    ) -> anyhow::Result<()> {
        self.drive_seeing(node, stop, between, tell, end)
    }

    /// As [`Parts::drive`], with what comes of a step going to `seen`.
    fn drive_seeing<R: Lasting>(
        &self,
        mut node: Node<R>,
        stop: &AtomicUsize,
        mut between: impl FnMut(&mut Node<R>) -> anyhow::Result<()>,
        mut seen: impl FnMut(Effect<'_>),
        end: impl FnOnce(&mut R, i64, &mut Effects),
    ) -> anyhow::Result<()> {
        let mut keeping = self.keeping.take();
        keeping.iter().for_each(|keeping| keeping.restore(node.role_mut()));
        while stop.load(Ordering::Relaxed) == 0 {
            between(&mut node)?;
            let Some(keeping) = &mut keeping else {
                node.step(&mut seen)?;
                continue;
            };
            node.role_mut().reserve_until(keeping.handle().reserved_ns());
            node.step(|effect| {
                keeping.see(&effect);
                seen(effect);
            })?;
            keeping.keep(node.role());
        }
        node.act(end, seen);
        let journal = keeping.map(|keeping| keeping.close(node.role()));
        self.write_counters(&node, journal)
    }

    /// Writes the role's counters, the driver's below `driver`, and the journal's.
    fn write_counters<R: Role>(
        &self,
        node: &Node<R>,
        journal: Option<JournalCounters>,
    ) -> anyhow::Result<()> {
        let counters =
            node.role().counters().into_iter().map(|(name, count)| (name.to_owned(), count.into()));
        let mut counters: serde_json::Map<String, serde_json::Value> = counters.collect();
        counters.insert("driver".to_owned(), driver_json(node.driver_counters()));
        counters.insert("datagrams_shed".to_owned(), node.shed().into());
        if let Some(connections) = node.connections() {
            counters.insert("tcp".to_owned(), tcp_json(connections));
        }
        for (name, count) in journal.iter().flat_map(JournalCounters::iter) {
            counters.insert(name.to_owned(), count.into());
        }
        let text = serde_json::to_string(&counters)?;
        match &self.config.counters {
            Some(file) => std::fs::write(file, text + "\n").with_context(|| file.display().to_string()),
            None => {
                eprintln!("counters {text}");
                Ok(())
            }
        }
    }
}

/// What is worth a line of the log.
fn tell(effect: Effect<'_>) {
    match effect {
        Effect::Note(note) => tracing::info!(?note, "noted"),
        Effect::Published { name, distribution } => tracing::info!(name, ?distribution, "published"),
        Effect::Proof { node, .. } => tracing::warn!(%node, "has signed two values for one round"),
        Effect::Send { .. } | Effect::Decided(_) | Effect::Followed(_) => {}
    }
}
