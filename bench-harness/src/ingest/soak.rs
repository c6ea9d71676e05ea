//! The soak: a long run of mixed, damaged and hostile traffic over datagrams and connections that come and go. Every counter
//! must be what was sent, every round decided, and memory must stay where it was.

mod outcome;
mod sending;

pub use outcome::Outcome;

use super::cores;
use super::fleet::{PERIOD_NS, Senders};
use crate::speed::clock::thread_cpu_s;
use anyhow::{Context as _, bail};
use centauri::connections::{ConnectionLimits, Connections};
use centauri::node::Node;
use centauri_roles::{Client, Effect, Role as _};
use centauri_uring::{DriverConfig, DriverKind, TcpConfig, open, open_tcp};
use centauri_wire::VerifierChoice;
use outcome::{Received, resident_bytes};
use sending::{Road, Sending, Told};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// What a soak does.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// Rounds, each a second of the fleet's time.
    pub rounds: usize,
    /// How long a round takes at least.
    pub pace: Duration,
    /// Groups of seven replicas.
    pub groups: usize,
    /// Streams of a group.
    pub streams_each: usize,
    /// How the sockets are read.
    pub driver: DriverConfig,
    /// Seed of everything.
    pub seed: u64,
}

/// The share of the rounds after which memory must not grow.
const WARM: f64 = 0.2;
/// Nothing new for so long means that something was lost.
const STALLED: Duration = Duration::from_secs(10);

impl Soak {
    /// Runs it. `progress` is told of each tenth part: rounds, and bytes of resident memory.
    ///
    /// # Errors
    /// What did not come, a counter that is not what was sent, a round without a decision, memory that grew.
    pub fn run(&self, progress: fn(usize, u64)) -> anyhow::Result<Outcome> {
        let senders = Senders::new(self.groups, self.streams_each, self.seed)?;
        let client = senders.client(VerifierChoice::Auto)?;
        let here = ([127, 0, 0, 1], 0).into();
        let socket = open(here, &self.driver).context("the receiving socket")?;
        let config = TcpConfig { choice: self.driver.choice, ..TcpConfig::default() };
        let listener = open_tcp(here, &config).context("the listening socket")?;
        let datagrams = socket.kind();
        let address = listener.local_addr().context("the listening socket's address")?;
        let road = Road::new(socket.local_addr(), address);
        let clock = Arc::new(AtomicI64::new(PERIOD_NS / 2));
        let told = Arc::clone(&clock);
        // By the fleet's time, as everything of the node.
        let limits = ConnectionLimits { stall_ns: 2 * PERIOD_NS, ..ConnectionLimits::default() };
        let node = Node::new(client, socket)
            .timed(Box::new(move || told.load(Ordering::Relaxed)))
            .listening(Connections::new(listener, limits))?;
        let (tell, hear) = std::sync::mpsc::sync_channel(1);
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                if let Some((_, core)) = cores::two() {
                    cores::pin(core);
                }
                // Dropped with the thread, so that the receiver does not wait for one that has failed.
                let tell = tell;
                Sending::new(self, &senders, &road).all(&tell)
            });
            let receiver = scope.spawn(|| {
                if let Some((core, _)) = cores::two() {
                    cores::pin(core);
                }
                let received = self.receive(node, datagrams, &clock, &road, &hear, progress);
                road.end();
                drop(hear);
                received
            });
            let received = receiver.join().map_err(|_| anyhow::anyhow!("the receiver panicked"))?;
            let sent = sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?;
            match (received, sent) {
                (Ok(received), Ok(sent)) => Outcome::of(self, &received, &sent),
                // The sender's own error comes first: the receiver then misses what was not sent.
                (_, Err(error)) => Err(error).context("sending"),
                (Err(error), _) => Err(error),
            }
        })
    }

    fn receive(
        &self,
        mut node: Node<Client>,
        datagrams: DriverKind,
        clock: &AtomicI64,
        road: &Road,
        hear: &Receiver<Told>,
        progress: fn(usize, u64),
    ) -> anyhow::Result<Received> {
        let mut decided = 0;
        let mut see = |effect: Effect<'_>| decided += u64::from(matches!(effect, Effect::Decided(_)));
        let (began, cpu_s) = (Instant::now(), thread_cpu_s());
        let warm = ((self.rounds as f64 * WARM) as usize).max(1);
        let (mut resident_warm, mut heard, mut heard_at) = (0, Told::default(), Instant::now());
        for round in 0..self.rounds {
            let mut told = None;
            while told.as_ref() != Some(&heard) {
                node.step(&mut see).context("receiving")?;
                let now = seen(&node);
                road.took(now.frames);
                if now != heard {
                    (heard, heard_at) = (now, Instant::now());
                }
                if told.is_none() {
                    told = hear.try_recv().ok();
                }
                if heard_at.elapsed() > STALLED + self.pace {
                    bail!("round {round}: {heard:?} came, expected {told:?}");
                }
            }
            clock.store((round as i64 + 1) * PERIOD_NS, Ordering::Relaxed);
            node.act(centauri_roles::Role::tick, &mut see);
            road.next();
            if round + 1 == warm {
                resident_warm = resident_bytes()?;
            }
            if (round + 1) % (self.rounds / 10).max(1) == 0 {
                progress(round + 1, resident_bytes()?);
            }
        }
        // The last that were left within a frame, or silent, are overdue by now.
        let open = |node: &Node<Client>| node.connections().map_or(0, Connections::len);
        while open(&node) > 0 && heard_at.elapsed() < STALLED {
            node.step(&mut see).context("receiving")?;
        }
        let connections = node.connections().context("it listens")?;
        Ok(Received {
            decided,
            client: node.role().counters(),
            driver: node.driver_counters(),
            connections: connections.counters(),
            tcp: connections.driver_counters(),
            resident_warm,
            resident_end: resident_bytes()?,
            wall_s: began.elapsed().as_secs_f64(),
            cpu_s: thread_cpu_s() - cpu_s,
            verifier: node.role().signatures().kind().name(),
            kind: format!("datagrams by {datagrams}, TCP by {}", connections.kind()),
        })
    }
}

/// How far the receiver is.
fn seen(node: &Node<Client>) -> Told {
    let (counters, driver) = node
        .connections()
        .map(|connections| (connections.counters(), connections.driver_counters()))
        .unwrap_or_default();
    Told {
        frames: node.role().frame_counters().frames_received,
        opened: counters.opened,
        ended: counters.finished + counters.cut_short + counters.failed + counters.closed_length,
        bytes: driver.bytes,
    }
}
