//! One thread of a server that is divided among several.

use super::Names;
use super::keeping::{DistributionKeeper, Keeper, Recorder};
use super::known::{Again, Left, RequestKeeper};
use super::output::{AllCounters, Lines};
use super::proofs::Proofs;
use crate::clock::now_ns;
use crate::http::Desk;
use crate::journal::{Block, JournalHandle};
use crate::node::Node;
use centauri_engine::{Distribution, Fleet};
use centauri_roles::health::Ledger;
use centauri_roles::{ClientShard, Effect, Note, Role};
use centauri_uring::DriverCounters;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

/// Lines go to the main thread at the end of a step, and when they are longer than this.
const LINES_BYTES: usize = 1 << 16;

/// How long one who waits for the others sleeps between two looks.
const NAP: Duration = Duration::from_millis(1);

/// What a shard tells the main thread.
pub(super) enum Told {
    /// Whole lines with decisions, in the order in which the shard made them.
    Decided(Vec<u8>),
    /// For the journal, once they have been written: decisions of which the lines were told before.
    Kept(Vec<Block>),
    /// A monitor's distribution for a name of the model.
    Published(String, Distribution),
    /// For the journal, now and then: what is thought of the replicas of the shard's streams.
    Ledger(Box<Ledger>),
}

/// What a shard counted.
pub(super) struct Ended {
    pub(super) client: Vec<(&'static str, u64)>,
    pub(super) driver: DriverCounters,
    pub(super) shed: u64,
    /// The newest timestamp of a frame that was accepted.
    pub(super) newest_accepted_ns: Option<i64>,
    /// What is thought of the replicas of this shard's streams.
    pub(super) ledger: Option<Ledger>,
}

/// What all threads know of each other's end.
///
/// A shard without open rounds still verifies what others wait for, so it goes on until no shard has any; and none
/// counts what is left in its queues before the last has ceased to fill them.
pub(super) struct Together<'a> {
    /// Signals to stop, so far.
    stop: &'a AtomicUsize,
    /// Something went wrong somewhere: all are to end.
    failed: AtomicBool,
    /// Shards that have open rounds, or may yet have.
    open: AtomicUsize,
    /// Shards that still take in frames.
    receiving: AtomicUsize,
}

impl<'a> Together<'a> {
    pub(super) fn new(stop: &'a AtomicUsize) -> Self {
        let (open, receiving) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { stop, failed: AtomicBool::new(false), open, receiving }
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// One shard more.
    pub(super) fn enter(&self) -> Entered<'_, 'a> {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.receiving.fetch_add(1, Ordering::Relaxed);
        Entered { together: self, is_open: true, is_receiving: true }
    }

    fn stops(&self) -> usize {
        // An error hurries as a second signal does.
        if self.failed.load(Ordering::Relaxed) { 2 } else { self.stop.load(Ordering::Relaxed) }
    }
}

/// A shard's part in [`Together`]; it ends with the shard, however that ends.
pub(super) struct Entered<'t, 'a> {
    together: &'t Together<'a>,
    is_open: bool,
    is_receiving: bool,
}

impl Entered<'_, '_> {
    /// Has no open rounds, and will have none.
    fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.together.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Puts nothing into any queue any more.
    fn cease(&mut self) {
        self.close();
        if std::mem::take(&mut self.is_receiving) {
            // With what was put into queues before.
            self.together.receiving.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Drop for Entered<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.together.fail();
        }
        self.cease();
    }
}

/// A shard and its ways to and from the main thread.
pub(super) struct Shard<'n> {
    node: Node<ClientShard>,
    fleets: Receiver<Fleet>,
    teller: Teller<'n>,
    /// Where there is a journal: it says how far timestamps may be accepted.
    journal: Option<JournalHandle>,
    known: Option<(Again, RequestKeeper)>,
    distributions: Option<DistributionKeeper>,
}

/// What becomes of a shard's effects.
struct Teller<'n> {
    names: &'n [Names],
    lines: Lines,
    recorder: Option<Recorder>,
    /// Whether anything has been published since it was last looked at.
    has_news: bool,
    /// Whether who asks for decisions has changed since it was last looked at.
    requests_changed: bool,
    tell: SyncSender<Told>,
    proofs: Proofs,
    desk: Option<Desk>,
}

impl<'n> Shard<'n> {
    pub(super) fn new(
        node: Node<ClientShard>,
        names: &'n [Names],
        tell: SyncSender<Told>,
        fleets: Receiver<Fleet>,
        (keeper, left, proofs): (Option<&Keeper>, &Left, Proofs),
        desk: Option<Desk>,
    ) -> Self {
        let recorder = keeper.map(Keeper::recorder);
        let journal = keeper.map(|keeper| keeper.handle().clone());
        let proofs = proofs.with_journal(journal.clone());
        let distributions = journal.clone().map(DistributionKeeper::new);
        let (has_news, requests_changed) = (false, false);
        let lines = Lines::new();
        let teller = Teller { names, lines, recorder, has_news, requests_changed, tell, proofs, desk };
        let known = journal.clone().map(|journal| {
            let own = |sender| node.role().is_own_sender(sender);
            let now = now_ns();
            (Again::for_ledgers(now), RequestKeeper::new(journal, now, left, own))
        });
        Self { node, fleets, teller, journal, known, distributions }
    }

    /// Runs until all shards are to end, and decides then what is still open.
    pub(super) fn run(mut self, mut entered: Entered<'_, '_>, drain_ns: i64) -> anyhow::Result<Ended> {
        let received = self.receive(&mut entered, drain_ns);
        if received.is_err() {
            entered.together.fail();
        }
        entered.cease();
        while entered.together.receiving.load(Ordering::Acquire) > 0 {
            std::thread::sleep(NAP);
        }
        received?;
        let Self { node, teller, known, .. } = &mut self;
        node.act(ClientShard::finish, |effect| teller.see(effect));
        teller.pass_on();
        teller.keep(Recorder::rest);
        if let Some((_, requests)) = known {
            requests.keep_now(node.role().kept_requests());
        }
        Ok(Ended { ledger: node.role().health().cloned(), ..ended(node) })
    }

    fn receive(&mut self, entered: &mut Entered<'_, '_>, drain_ns: i64) -> anyhow::Result<()> {
        let mut drain_until = None;
        loop {
            self.step()?;
            let stops = entered.together.stops();
            if stops > 0 && drain_until.is_none() {
                let now = now_ns();
                let shard = std::thread::current().name().map(str::to_owned);
                tracing::info!(shard, "stopping: open rounds end at their deadlines");
                self.node.role_mut().drain(now);
                drain_until = Some(now.saturating_add(drain_ns));
            }
            if let Some(until) = drain_until {
                if self.node.role().is_drained() {
                    entered.close();
                }
                let all_closed = entered.together.open.load(Ordering::Relaxed) == 0;
                if all_closed || stops > 1 || now_ns() >= until {
                    return Ok(());
                }
            }
        }
    }

    fn step(&mut self) -> anyhow::Result<()> {
        let Self { node, fleets, teller, journal, known, distributions } = self;
        if let Some(journal) = journal {
            node.role_mut().reserve_until(journal.reserved_ns());
        }
        node.step(|effect| teller.see(effect))?;
        teller.pass_on();
        if let Some(desk) = &mut teller.desk {
            desk.count(|| {
                let replicas = node
                    .role()
                    .health()
                    .map(|ledger| super::health::replicas(ledger, node.role().registry()));
                let verifier = node.role().signatures().kind().name();
                AllCounters { verifier, replicas, ..ended(node).into() }.to_json()
            });
        }
        if let Some((again, requests)) = known {
            let (now, has_news) = (now_ns(), std::mem::take(&mut teller.requests_changed));
            requests.keep(now, has_news, || node.role().kept_requests());
            if let Some(ledger) = node.role().health().filter(|_| again.is_due(now)) {
                teller.tell(Told::Ledger(Box::new(ledger.clone())));
            }
        }
        teller.keep(|recorder| recorder.ready(now_ns()));
        if let Some(distributions) = distributions {
            distributions.keep(now_ns(), std::mem::take(&mut teller.has_news), node.role().published());
        }
        if let Some(fleet) = fleets.try_iter().last()
            && let Err(error) = node.role_mut().install(fleet)
        {
            tracing::warn!(%error, "a published distribution is not used");
        }
        Ok(())
    }
}

fn ended(node: &Node<ClientShard>) -> Ended {
    Ended {
        client: node.role().counters(),
        driver: node.driver_counters(),
        shed: node.shed(),
        newest_accepted_ns: node.role().newest_accepted_ns(),
        ledger: None,
    }
}

impl From<Ended> for AllCounters<'static> {
    fn from(ended: Ended) -> Self {
        let Ended { client, driver, shed, .. } = ended;
        Self { client, verifier: "", driver, shed, tcp: None, journal: None, replicas: None }
    }
}

impl Teller<'_> {
    fn see(&mut self, effect: Effect<'_>) {
        match effect {
            Effect::Decided(decided) => {
                self.desk.iter_mut().for_each(|desk| desk.publish(&decided));
                if let Some(names) = self.names.get(decided.stream.0 as usize) {
                    self.lines.write(&names.stream, &names.replicas, &decided);
                    if let Some(recorder) = &mut self.recorder {
                        recorder.see(&decided);
                    }
                }
                if self.lines.len() >= LINES_BYTES {
                    self.pass_on();
                }
            }
            Effect::Published { name, distribution } => {
                self.has_news = true;
                self.tell(Told::Published(name.to_owned(), distribution.clone()));
            }
            Effect::Proof { node, proof } => self.proofs.take(node, &proof),
            Effect::Note(Note::Health(event)) => super::health::tell(event, self.names),
            Effect::Note(note @ (Note::Subscribed { .. } | Note::Cancelled { .. })) => {
                self.requests_changed = true;
                tracing::info!(?note, "noted");
            }
            Effect::Note(note) => tracing::info!(?note, "noted"),
            Effect::Send { .. } | Effect::Followed(_) => {}
        }
    }

    fn pass_on(&mut self) {
        if self.lines.len() > 0 {
            let lines = self.lines.take();
            self.tell(Told::Decided(lines));
        }
    }

    /// Tells what the journal is to have. Its lines have been told.
    fn keep(&mut self, which: impl FnOnce(&mut Recorder) -> Vec<Block>) {
        if let Some(recorder) = &mut self.recorder {
            let blocks = which(recorder);
            if !blocks.is_empty() {
                self.tell(Told::Kept(blocks));
            }
        }
    }

    fn tell(&self, told: Told) {
        // Nobody listens any more only when the output has failed, which the main thread reports.
        let _ = self.tell.send(told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_that_fails_in_whatever_way_ends_all_and_is_waited_for_by_none() {
        let signals = AtomicUsize::new(0);
        let together = Together::new(&signals);
        let (mut sound, broken) = (together.enter(), together.enter());
        sound.close();
        sound.close();
        assert_eq!((together.open.load(Ordering::Relaxed), together.stops()), (1, 0));
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let _entered = broken;
                panic!("on purpose");
            });
            assert!(thread.join().is_err());
        });
        assert_eq!((together.open.load(Ordering::Relaxed), together.stops()), (0, 2));
        assert_eq!(together.receiving.load(Ordering::Relaxed), 1);
        sound.cease();
        drop(sound);
        assert_eq!(together.receiving.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn signals_are_counted_until_something_fails() {
        let signals = AtomicUsize::new(1);
        let together = Together::new(&signals);
        assert_eq!(together.stops(), 1);
        signals.store(3, Ordering::Relaxed);
        assert_eq!(together.stops(), 3);
    }
}
