//! The engine server: verified frames in, a decision for every round of every stream at its deadline.

mod compiler;
mod config;
mod output;
mod proofs;
mod setup;
mod shard;
mod shards;
mod tcp;

pub use config::{ServeConfig, StreamConfig, UpstreamConfig};
pub(crate) use config::{nanoseconds, positive};
pub(crate) use setup::{own_identity, prepare_streams, read_registry};
pub use tcp::TcpConfig;

use crate::clock::now_ns;
use crate::http::{Desk, Http};
use crate::node::Node;
use anyhow::Context;
use centauri_engine::{CompiledModel, Fleet, Stream};
use centauri_roles::{Client, Effect, Role};
use centauri_wire::{BatchVerifier, Fallback};
use compiler::Compiler;
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
    names: Arc<[Names]>,
    output: DecisionOutput,
    compiler: Compiler,
    proofs: Proofs,
    http: Option<Http>,
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
        let prepared = setup::prepare(config)?;
        let session = setup::sessions(config, &prepared.fleet)?.pop().context("no session")?;
        let names = Names::of(&prepared.fleet);
        let mut compiler = Compiler::new(prepared.fleet);
        let proofs = setup::open_proofs(config, &prepared.registry)?;
        let client = Client::new(&prepared.client, prepared.registry, prepared.identity, session, now_ns())?;
        tell_verifier(client.signatures());
        // The output comes last, so that whatever is wrong leaves no empty file behind.
        let mut node = Node::new(client, setup::open_driver(config)?);
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
            tracing::info!(tcp = %connections.address(), driver = %connections.kind(), "listening");
        }
        tracing::info!(
            address = %node.address(),
            streams = config.streams.len(),
            "listening"
        );
        Ok(Self { node, names, output, compiler, proofs, http, desk })
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
        let Self { node, names, output, compiler, proofs, desk, .. } = self;
        node.step(|effect| see(effect, names, output, compiler, proofs, desk))?;
        if let Some(desk) = desk {
            desk.count(|| counters(node).to_json());
        }
        if let Some(fleet) = compiler.finished()
            && let Err(error) = node.role_mut().install(fleet)
        {
            tracing::warn!(%error, "a published distribution is not used");
        }
        output.flush()
    }

    fn close(mut self, config: &ServeConfig) -> anyhow::Result<()> {
        let Self { node, names, output, compiler, proofs, desk, .. } = &mut self;
        node.act(Client::finish, |effect| {
            see(effect, names, output, compiler, proofs, desk);
        });
        output.flush()?;
        self.http.into_iter().for_each(Http::end);
        counters(&self.node).write(config.counters.as_deref())
    }
}

/// Everything that a server of one thread has counted.
fn counters(node: &Node<Client>) -> AllCounters<'_> {
    AllCounters {
        client: node.role().counters(),
        verifier: node.role().signatures().kind().name(),
        driver: node.driver_counters(),
        shed: node.shed(),
        tcp: node.connections(),
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

/// What the client's effects mean for the server.
fn see(
    effect: Effect<'_>,
    names: &[Names],
    output: &mut DecisionOutput,
    compiler: &mut Compiler,
    proofs: &mut Proofs,
    desk: &mut Option<Desk>,
) {
    match effect {
        Effect::Decided(decided) => {
            desk.iter_mut().for_each(|desk| desk.publish(&decided));
            if let Some(names) = names.get(decided.stream.0 as usize) {
                output.write(&names.stream, &names.replicas, &decided);
            }
        }
        Effect::Published { name, distribution } => compiler.publish(name, distribution),
        Effect::Proof { node, proof } => proofs.take(node, &proof),
        Effect::Note(note) => tracing::info!(?note, "noted"),
        Effect::Send { .. } => {}
    }
}
