//! The server divided among threads: each receives and verifies for its senders, and decides its streams.

use super::compiler::Compiler;
use super::config::ServeConfig;
use super::keeping::{Keeper, Opening};
use super::known::{LedgerKeeper, Left};
use super::output::{AllCounters, DecisionOutput};
use super::proofs::Proofs;
use super::shard::{self, Ended, Shard, Told};
use super::values::nanoseconds;
use super::{Names, health, keep, setup, tell_verifier};
use crate::clock::now_ns;
use crate::http::{Desk, Http};
use crate::node::Node;
use anyhow::{Context, anyhow};
use centauri_engine::Fleet;
use centauri_roles::health::Ledger;
use centauri_roles::{ClientShard, count_of_both};
use centauri_uring::DriverCounters;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

/// So many messages of all shards wait for the main thread; a shard that finds no room waits, as a server of one thread does for
/// its output.
const TOLD_MAX: usize = 256;

/// So often the main thread looks whether a fleet has been compiled, at least.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// As [`super::serve`], on a thread for each shard and one for the output.
///
/// # Errors
/// As [`super::serve`].
pub(super) fn serve(config: &ServeConfig, stop: &AtomicUsize) -> anyhow::Result<()> {
    let mut prepared = setup::prepare(config)?;
    let opening = Opening::open(config, &mut prepared)?;
    let left = opening.as_ref().map(Opening::left).unwrap_or_default();
    let sessions = setup::sessions(config, &prepared.fleet)?;
    let drivers = setup::open_drivers(config)?;
    let now = now_ns();
    let keeper = opening.map(|opening| opening.begin(&mut prepared, now)).transpose()?;
    let names = Names::of(&prepared.fleet);
    let (registry, identity) = (&prepared.registry, &prepared.identity);
    let sharding = setup::sharding(config.shards);
    let mut shards = ClientShard::group(&prepared.client, registry, identity, sessions, now, sharding)?;
    left.restore_ledger(|snapshot| shards.iter_mut().try_for_each(|shard| shard.restore_health(snapshot)));
    left.restore_requests(|kept| shards.iter_mut().any(|shard| shard.restore_request(now, kept)));
    let known = keeper.as_ref().map(|keeper| LedgerKeeper::new(keeper.handle().clone(), &left));
    let ledger = Together::of(&shards).map(|together| (together, known));
    let signatures = shards.first().context("no shards")?.signatures();
    tell_verifier(signatures);
    let verifier = signatures.kind().name();
    let proofs = setup::open_proofs(config, registry)?;
    let nodes: Vec<Node<ClientShard>> =
        shards.into_iter().zip(drivers).map(|(shard, driver)| Node::new(shard, driver)).collect();
    let (http, desks) = Http::start(config, &names, &prepared.fleet, config.shards)?.unzip();
    let mut compiler = Compiler::new(prepared.fleet);
    compiler.share(http.as_ref().map(Http::shelf));
    // The output comes last, so that whatever is wrong leaves no empty file behind.
    let mut main = Main {
        output: DecisionOutput::open(&config.output)?,
        compiler,
        fleets: Vec::new(),
        desks: desks.unwrap_or_default(),
        keeper,
        ledger,
    };
    if let Some(node) = nodes.first() {
        let (streams, shards) = (config.streams.len(), nodes.len());
        tracing::info!(address = %node.address(), streams, shards, "listening");
    }
    let ended = main.run(nodes, (&*names, &left, &proofs), nanoseconds(config.drain_s), stop)?;
    let ledger = main.keep_ledger(&ended);
    http.into_iter().for_each(Http::end);
    let newest_accepted_ns = ended.iter().filter_map(|shard| shard.newest_accepted_ns).max();
    let journal = main.keeper.map(|keeper| keeper.close(newest_accepted_ns));
    let replicas = ledger.as_ref().map(|ledger| health::replicas(ledger, registry));
    let mut counters = AllCounters { verifier, journal, replicas, ..sum(&ended) };
    ledger.iter().for_each(|ledger| health::count_nodes(&mut counters.client, ledger));
    counters.write(config.counters.as_deref())
}

/// What the main thread has to do.
struct Main {
    output: DecisionOutput,
    compiler: Compiler,
    /// For each shard its way, and a fleet that waits because one before it has not been installed yet.
    fleets: Vec<(SyncSender<Fleet>, Option<Fleet>)>,
    /// One for each shard, where there is HTTP.
    desks: Vec<Desk>,
    keeper: Option<Keeper>,
    /// What is thought of all replicas, and where that is kept.
    ledger: Option<(Together, Option<LedgerKeeper>)>,
}

/// The ledgers of all shards as one.
struct Together {
    ledger: Ledger,
    shards: usize,
    /// How many shards have told theirs since it was kept last.
    told: usize,
}

impl Together {
    /// `None` where the health of replicas is not judged.
    fn of(shards: &[ClientShard]) -> Option<Self> {
        let ledger = shards.first()?.health()?.clone();
        let mut together = Self { ledger, shards: shards.len(), told: 0 };
        shards.iter().filter_map(ClientShard::health).for_each(|ledger| together.ledger.take_over(ledger));
        Some(together)
    }

    /// Takes in what a shard tells; says whether all have.
    fn take(&mut self, ledger: &Ledger) -> bool {
        self.ledger.take_over(ledger);
        self.told += 1;
        let is_whole = self.told >= self.shards;
        self.told %= self.shards.max(1);
        is_whole
    }
}

impl Main {
    /// Runs all shards to their end.
    fn run(
        &mut self,
        nodes: Vec<Node<ClientShard>>,
        (names, left, proofs): (&[Names], &Left, &Proofs),
        drain_ns: i64,
        stop: &AtomicUsize,
    ) -> anyhow::Result<Vec<Ended>> {
        let together = shard::Together::new(stop);
        let (tell, told) = sync_channel(TOLD_MAX);
        // All are entered before any runs, so that none takes itself for the last.
        let entered: Vec<_> = nodes.iter().map(|_| together.enter()).collect();
        let mut desks = std::mem::take(&mut self.desks).into_iter();
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for (index, (node, entered)) in nodes.into_iter().zip(entered).enumerate() {
                let (send, fleets) = sync_channel(1);
                self.fleets.push((send, None));
                let kept = (self.keeper.as_ref(), left, proofs.clone());
                let shard = Shard::new(node, names, tell.clone(), fleets, kept, desks.next());
                let thread = std::thread::Builder::new().name(format!("shard {index}"));
                let spawned = thread.spawn_scoped(scope, move || shard.run(entered, drain_ns));
                threads.push(spawned.inspect_err(|_| together.fail()).context("no thread for a shard")?);
            }
            drop(tell);
            // Whoever still tells something afterwards finds nobody listening, and goes on.
            let written = self.listen(told).inspect_err(|_| together.fail());
            let ended: Vec<anyhow::Result<Ended>> = threads.into_iter().map(join).collect();
            written?;
            ended.into_iter().collect()
        })
    }

    /// Does what the shards tell until the last of them has ended.
    #[expect(clippy::needless_pass_by_value, reason = "on an error the way to here must end")]
    fn listen(&mut self, told: Receiver<Told>) -> anyhow::Result<()> {
        loop {
            let first = match told.recv_timeout(LOOK_EVERY) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let mut kept = Vec::new();
            // No more than there is room for: what is written should be on its way before long.
            for told in first.into_iter().chain(told.try_iter().take(TOLD_MAX)) {
                match told {
                    Told::Decided(lines) => self.output.write_lines(&lines),
                    Told::Kept(blocks) => kept.extend(blocks),
                    Told::Published(name, distribution) => self.compiler.publish(&name, &distribution),
                    Told::Ledger(ledger) => self.take_ledger(&ledger),
                }
            }
            self.output.flush()?;
            // Only what has been published is kept.
            if let Some(keeper) = &self.keeper {
                keep(keeper, kept);
            }
            self.pass_on_fleets();
        }
    }

    fn take_ledger(&mut self, ledger: &Ledger) {
        if let Some((together, keeper)) = &mut self.ledger
            && together.take(ledger)
        {
            keeper.iter_mut().for_each(|keeper| keeper.keep(&together.ledger));
        }
    }

    /// Keeps what is thought of all replicas at the end, and gives it.
    fn keep_ledger(&mut self, ended: &[Ended]) -> Option<Ledger> {
        let (Together { mut ledger, .. }, keeper) = self.ledger.take()?;
        ended.iter().filter_map(|shard| shard.ledger.as_ref()).for_each(|last| ledger.take_over(last));
        keeper.into_iter().for_each(|mut keeper| keeper.keep(&ledger));
        Some(ledger)
    }

    /// Never waits for a shard, for that may be waiting for the main thread.
    fn pass_on_fleets(&mut self) {
        if let Some(fleet) = self.compiler.finished() {
            for (_, waiting) in &mut self.fleets {
                // It has all that one before it had.
                *waiting = Some(fleet.clone());
            }
        }
        for (way, waiting) in &mut self.fleets {
            if let Some(fleet) = waiting.take()
                && let Err(TrySendError::Full(fleet)) = way.try_send(fleet)
            {
                *waiting = Some(fleet);
            }
        }
    }
}

fn join(thread: ScopedJoinHandle<'_, anyhow::Result<Ended>>) -> anyhow::Result<Ended> {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    thread.join().unwrap_or_else(|_| Err(anyhow!("{name} ended unexpectedly")))
}

/// What the shards counted, together: sums, and of the largest values the largest.
fn sum(ended: &[Ended]) -> AllCounters<'static> {
    let mut client: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (mut driver, mut shed) = (DriverCounters::default(), 0);
    for shard in ended {
        for &(name, count) in &shard.client {
            let sum = client.entry(name).or_default();
            *sum = count_of_both(name, *sum, count);
        }
        driver += shard.driver;
        shed += shard.shed;
    }
    AllCounters {
        client: client.into_iter().collect(),
        verifier: "",
        driver,
        shed,
        tcp: None,
        journal: None,
        replicas: None,
    }
}
