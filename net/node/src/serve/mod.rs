//! The engine server: verified frames in, a decision for every round of every stream at its deadline.

mod compiler;
mod config;
mod health;
mod journal;
mod keeping;
mod known;
mod output;
mod proofs;
mod setup;
mod shard;
mod shards;
mod streams;
mod tcp;
mod values;
mod written;

pub(crate) use compiler::Compiler;
pub use config::ServeConfig;
pub use health::HealthTable;
pub use journal::JournalConfig;
pub(crate) use keeping::{
    DISTRIBUTIONS, DistributionKeeper, Kept, parse_kept, read_distributions, tell as tell_beginning,
    time_text, use_distributions,
};
pub(crate) use known::{Left, RequestKeeper};
pub(crate) use output::{driver_json, tcp_json};
pub(crate) use setup::{limits, own_identity, prepare_streams, read_registry};
pub use streams::{StreamConfig, UpstreamConfig};
pub use tcp::TcpConfig;
pub(crate) use values::{from_toml, nanoseconds, positive};

use crate::clock::now_ns;
use crate::http::{Desk, Http};
use crate::node::Node;
use anyhow::Context;
use centauri_engine::{CompiledModel, Fleet, Stream};
use centauri_roles::{Client, Effect, Note, Role};
use centauri_wire::{BatchVerifier, Fallback};
use keeping::{Keeper, Opening, Recorder};
use known::ClientKeeper;
use output::{AllCounters, DecisionOutput};
use proofs::Proofs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs the server until `stop` is no longer 0: then open rounds end at their deadlines (at once, if `stop` grows to 2 or
/// the time for that is over), the counters are written, and it returns.
///
/// # Errors
/// One line on what is wrong with the configuration or the files it names, or on what the socket or the output reports.
pub fn serve(mut config: ServeConfig, stop: &AtomicUsize) -> anyhow::Result<()> {
    if config.shards > 1 {
        return shards::serve(&config, stop);
    }
    let mut server = Server::open(&config)?;
    // Where streams are many their tables take as much memory as they do at work.
    config.streams = Vec::new();
    server.run(&config, stop)?;
    server.close(&config)
}

struct Server {
    node: Node<Client>,
    told: Told,
    keeper: Option<Keeper>,
    /// Where there is a journal.
    clients: Option<ClientKeeper>,
    http: Option<Http>,
}

/// What becomes of the client's effects.
struct Told {
    names: Arc<[Names]>,
    output: DecisionOutput,
    compiler: Compiler,
    recorder: Option<Recorder>,
    /// Where there is a journal.
    distributions: Option<DistributionKeeper>,
    /// Whether anything has been published since it was last looked at.
    has_news: bool,
    /// Whether who asks for decisions has changed since it was last looked at.
    requests_changed: bool,
    proofs: Proofs,
    desk: Option<Desk>,
}

/// The names that a stream's decisions are written with.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) stream: Box<str>,
    /// Shared by the streams of a replica set.
    pub(crate) replicas: Arc<[String]>,
    /// How many of the replicas may be faulty.
    pub(crate) faults: usize,
}

impl Names {
    /// Of all streams of a fleet, in order.
    fn of(fleet: &Fleet) -> Arc<[Self]> {
        let names = |stream: &Stream| Self {
            stream: stream.name().into(),
            replicas: Arc::clone(stream.shared_replicas()),
            faults: fleet.model(stream.model()).map_or(0, CompiledModel::faults),
        };
        fleet.streams().iter().map(names).collect()
    }
}

impl Server {
    fn open(config: &ServeConfig) -> anyhow::Result<Self> {
        let mut prepared = setup::prepare(config)?;
        let opening = Opening::open(config, &mut prepared)?;
        let session = setup::sessions(config, &prepared.fleet)?.pop().context("no session")?;
        let left = opening.as_ref().map(Opening::left).unwrap_or_default();
        let driver = setup::open_driver(config)?;
        let now = now_ns();
        let keeper = opening.map(|opening| opening.begin(&mut prepared, now)).transpose()?;
        let names = Names::of(&prepared.fleet);
        let mut compiler = Compiler::new(prepared.fleet);
        let journal = keeper.as_ref().map(|keeper| keeper.handle().clone());
        let proofs = setup::open_proofs(config, &prepared.registry)?.with_journal(journal.clone());
        let distributions = journal.map(DistributionKeeper::new);
        let clients = keeper.as_ref().map(|keeper| ClientKeeper::new(keeper.handle(), now, &left));
        let mut client = Client::new(&prepared.client, prepared.registry, prepared.identity, session, now)?;
        left.restore_ledger(|snapshot| client.restore_health(snapshot));
        left.restore_requests(|kept| client.restore_request(now, kept));
        tell_verifier(client.signatures());
        // The output comes last, so that whatever is wrong leaves no empty file behind.
        let mut node = Node::new(client, driver);
        if let Some(connections) = setup::open_connections(config)? {
            node = node.listening(connections)?;
        }
        let (http, desk) = match Http::start(config, &names, compiler.fleet(), 1)? {
            Some((http, mut desks)) => (Some(http), desks.pop()),
            None => (None, None),
        };
        compiler.share(http.as_ref().map(Http::shelf));
        let output = DecisionOutput::open(&config.output)?;
        if let Some(connections) = node.connections() {
            tracing::info!(tcp = connections.address().map(tracing::field::display), driver = %connections.kind(), "listening");
        }
        tracing::info!(
            address = %node.address(),
            streams = config.streams.len(),
            "listening"
        );
        let recorder = keeper.as_ref().map(Keeper::recorder);
        let told = Told {
            names,
            output,
            compiler,
            recorder,
            distributions,
            has_news: false,
            requests_changed: false,
            proofs,
            desk,
        };
        Ok(Self { node, told, keeper, clients, http })
    }

    fn run(&mut self, config: &ServeConfig, stop: &AtomicUsize) -> anyhow::Result<()> {
        let mut drain_until = None;
        loop {
            self.step()?;
            if stop.load(Ordering::Relaxed) > 0 && drain_until.is_none() {
                let now = now_ns();
                tracing::info!("stopping: open rounds end at their deadlines");
                self.node.role_mut().drain(now);
                drain_until = Some(now.saturating_add(nanoseconds(config.drain_s)));
            }
            if let Some(until) = drain_until {
                let hurried = stop.load(Ordering::Relaxed) > 1 || now_ns() >= until;
                if hurried || self.node.role().is_drained() {
                    return Ok(());
                }
            }
        }
    }

    fn step(&mut self) -> anyhow::Result<()> {
        let Self { node, told, keeper, clients, .. } = self;
        if let Some(keeper) = keeper {
            node.role_mut().reserve_until(keeper.handle().reserved_ns());
        }
        node.step(|effect| told.see(effect))?;
        if let Some(clients) = clients {
            clients.keep(node.role(), now_ns(), std::mem::take(&mut told.requests_changed));
        }
        if let Some(desk) = &mut told.desk {
            desk.count(|| counters(node, keeper.as_ref()).to_json());
        }
        if let Some(fleet) = told.compiler.finished()
            && let Err(error) = node.role_mut().install(fleet)
        {
            tracing::warn!(%error, "a published distribution is not used");
        }
        told.output.flush()?;
        // Only what has been published is kept.
        if let (Some(recorder), Some(keeper)) = (&mut told.recorder, keeper) {
            keep(keeper, recorder.ready(now_ns()));
        }
        if let Some(distributions) = &mut told.distributions {
            distributions.keep(now_ns(), std::mem::take(&mut told.has_news), node.role().published());
        }
        Ok(())
    }

    fn close(mut self, config: &ServeConfig) -> anyhow::Result<()> {
        let Self { node, told, keeper, clients, .. } = &mut self;
        node.act(Client::finish, |effect| told.see(effect));
        if let Some(clients) = clients {
            clients.keep_all(node.role());
        }
        told.output.flush()?;
        if let (Some(recorder), Some(keeper)) = (&mut told.recorder, keeper) {
            keep(keeper, recorder.rest());
        }
        let Self { node, keeper, http, .. } = self;
        http.into_iter().for_each(Http::end);
        let journal = keeper.map(|keeper| keeper.close(node.role().newest_accepted_ns()));
        AllCounters { journal, ..counters(&node, None) }.write(config.counters.as_deref())
    }
}

/// Everything that a server of one thread has counted.
fn counters<'a>(node: &'a Node<Client>, keeper: Option<&Keeper>) -> AllCounters<'a> {
    AllCounters {
        client: node.role().counters(),
        verifier: node.role().signatures().kind().name(),
        driver: node.driver_counters(),
        shed: node.shed(),
        tcp: node.connections(),
        journal: keeper.map(|keeper| keeper.handle().counters()),
        replicas: node.role().health().map(|ledger| health::replicas(ledger, node.role().registry())),
    }
}

/// Hands blocks over; what finds no room is counted.
fn keep(keeper: &Keeper, blocks: Vec<crate::journal::Block>) {
    for block in blocks {
        keeper.handle().store(block);
    }
}

/// Which verifier runs, and why not the faster one.
fn tell_verifier(signatures: &BatchVerifier) {
    let verifier = signatures.kind().name();
    match signatures.fallback() {
        // A wrong verdict on a machine that has what it takes: worth a look at the machine.
        Some(reason @ Fallback::SelfTest) => tracing::warn!(verifier, %reason, "signatures"),
        Some(reason) => tracing::info!(verifier, %reason, "signatures"),
        None => tracing::info!(verifier, "signatures"),
    }
}

impl Told {
    /// What the client's effects mean for the server.
    fn see(&mut self, effect: Effect<'_>) {
        match effect {
            Effect::Decided(decided) => {
                self.desk.iter_mut().for_each(|desk| desk.publish(&decided));
                if let Some(names) = self.names.get(decided.stream.0 as usize) {
                    self.output.write(&names.stream, &names.replicas, &decided);
                    if let Some(recorder) = &mut self.recorder {
                        recorder.see(&decided);
                    }
                }
            }
            Effect::Published { name, distribution } => {
                self.compiler.publish(name, distribution);
                self.has_news = true;
            }
            Effect::Proof { node, proof } => self.proofs.take(node, &proof),
            Effect::Note(Note::Health(event)) => health::tell(event, &self.names),
            Effect::Note(note @ (Note::Subscribed { .. } | Note::Cancelled { .. })) => {
                self.requests_changed = true;
                tracing::info!(?note, "noted");
            }
            Effect::Note(note) => tracing::info!(?note, "noted"),
            Effect::Send { .. } | Effect::Followed(_) => {}
        }
    }
}
