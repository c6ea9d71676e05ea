//! One sample: traffic over a real socket into a real node, and its thread's processor time.

use super::cores;
use super::fleet::{PERIOD_NS, Senders};
use super::send::{Link, send};
use super::traffic::Traffic;
use super::work::Carrier;
use crate::speed::clock::thread_cpu_s;
use anyhow::{Context as _, bail, ensure};
use centauri::connections::{ConnectionLimits, Connections};
use centauri::node::Node;
use centauri_roles::{Client, Effect, Role};
use centauri_uring::{DriverConfig, DriverCounters, TcpConfig, open, open_tcp};
use centauri_wire::VerifierChoice;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// How a sample is received.
#[derive(Clone, Copy, Debug)]
pub struct Receiver {
    /// What verifies.
    pub verifier: VerifierChoice,
    /// What carries the frames.
    pub carrier: Carrier,
    /// How the socket is read.
    pub driver: DriverConfig,
    /// Rounds at the beginning that are not timed: memory is touched and caches fill.
    pub warm_rounds: usize,
}

/// What a sample comes to.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Datagrams that were timed.
    pub messages: usize,
    /// The receiving thread's processor time for them, user and system together, in seconds.
    pub cpu_s: f64,
    /// The part of it in which rounds were decided.
    pub deciding_s: f64,
    /// `cpu_s` on the wall.
    pub wall_s: f64,
    /// Rounds decided, warm-up included.
    pub decided: u64,
    /// After each round a hash over all decisions so far: stream, round, value and quorum.
    pub digests: Vec<u64>,
    /// What ran.
    pub verifier: &'static str,
    /// What received.
    pub driver: String,
    /// What the driver counted.
    pub received: DriverCounters,
}

/// No datagram for so long means that the rest was lost.
const STALLED: Duration = Duration::from_secs(3);

impl Receiver {
    /// Sends `traffic` to a client that has heard nothing, from another thread, and checks every counter at the end.
    ///
    /// Rounds follow the traffic, not the clock: a round's deadline comes when its last datagram has been taken in. So what
    /// is measured is the work, at full load, and each counter has one right value.
    ///
    /// # Errors
    /// A socket that cannot be had, datagrams that were lost, a counter that is not what was sent.
    pub fn sample(&self, senders: &Senders, traffic: &Traffic) -> anyhow::Result<Sample> {
        let client = senders.client(self.verifier)?;
        let socket = open(([127, 0, 0, 1], 0).into(), &self.driver).context("the receiving socket")?;
        let (mut address, kind) = (socket.local_addr(), socket.kind().to_string());
        let link = Link::new(traffic.longest(), socket.socket_receive_bytes(), senders.nodes.len());
        // The middle of round 0; see `Progress::advance`.
        let clock = Arc::new(AtomicI64::new(PERIOD_NS / 2));
        let told = Arc::clone(&clock);
        let mut node = Node::new(client, socket).timed(Box::new(move || told.load(Ordering::Relaxed)));
        if self.carrier == Carrier::Connection {
            let config = TcpConfig { choice: self.driver.choice, ..TcpConfig::default() };
            let listener = open_tcp(([127, 0, 0, 1], 0).into(), &config).context("the listening socket")?;
            address = listener.local_addr().context("the listening socket's address")?;
            // The run's clock goes by rounds, not by how long a peer is silent.
            let limits = ConnectionLimits {
                stall_ns: i64::MAX,
                idle_ns: i64::MAX,
                unread_ns: i64::MAX,
                ..ConnectionLimits::default()
            };
            node = node.listening(Connections::new(listener, limits))?;
        }
        let cores = cores::two();
        std::thread::scope(|scope| {
            let sender = std::thread::Builder::new().name("sender".to_owned()).spawn_scoped(scope, || {
                if let Some((_, core)) = cores {
                    cores::pin(core);
                }
                send(&link, self.carrier, address, traffic)
            })?;
            // A thread of its own, so that the caller stays where it is.
            let receiver =
                std::thread::Builder::new().name("receiver".to_owned()).spawn_scoped(scope, || {
                    if let Some((core, _)) = cores {
                        cores::pin(core);
                    }
                    let received = self.receive(node, kind, traffic, &link, &clock);
                    link.end();
                    received
                })?;
            let received = receiver.join().map_err(|_| anyhow::anyhow!("the receiver panicked"))?;
            let sent = sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?;
            sent.context("sending")?;
            received
        })
    }

    fn receive(
        &self,
        mut node: Node<Client>,
        driver: String,
        traffic: &Traffic,
        link: &Link,
        clock: &AtomicI64,
    ) -> anyhow::Result<Sample> {
        let mut tally = Tally::default();
        let (mut begun, mut deciding_s) = (None, 0.0);
        let mut digests = Vec::with_capacity(traffic.rounds.len());
        let (mut heard, mut heard_at) = (0, Instant::now());
        for (round, &boundary) in traffic.rounds.iter().enumerate() {
            while heard < boundary as u64 {
                node.step(|effect| tally.see(effect)).context("receiving")?;
                let now = node.role().frame_counters().frames_received;
                if now != heard {
                    (heard, heard_at) = (now, Instant::now());
                    link.took(heard);
                } else if heard_at.elapsed() > STALLED {
                    let drops = node.driver_counters().kernel_drops;
                    bail!(
                        "{heard} of {} datagrams came, {drops} dropped by the kernel: the run does not count",
                        traffic.len()
                    );
                }
            }
            // The round's deadline. Datagrams of the round after it may have come, and still count for it.
            clock.store((round as i64 + 1) * PERIOD_NS, Ordering::Relaxed);
            let decided_from = thread_cpu_s();
            node.act(Role::tick, |effect| tally.see(effect));
            digests.push(tally.digest);
            deciding_s += thread_cpu_s() - decided_from;
            if round + 1 == self.warm_rounds {
                deciding_s = 0.0;
                begun = Some((heard, thread_cpu_s(), Instant::now()));
            }
        }
        let (before, cpu_s, wall) = begun.context("more rounds than those to warm up")?;
        let (cpu_s, wall_s) = (thread_cpu_s() - cpu_s, wall.elapsed().as_secs_f64());
        let received = node.driver_counters();
        check(&node.role().counters(), &traffic.expected)?;
        ensure!(
            received.kernel_drops == 0 && received.truncated == 0 && node.shed() == 0,
            "the driver lost datagrams: {received:?}"
        );
        if let Some(connections) = node.connections() {
            let (counters, frames) = (connections.counters(), traffic.len() as u64);
            ensure!(
                (counters.opened, counters.frames) == (1, frames)
                    && connections.driver_counters().bytes == traffic.bytes_on_stream(),
                "found {counters:?}, expected one connection and {frames} frames"
            );
        }
        Ok(Sample {
            messages: traffic.len() - before as usize,
            cpu_s,
            deciding_s,
            wall_s,
            decided: tally.decided,
            digests,
            verifier: node.role().signatures().kind().name(),
            driver,
            received,
        })
    }
}

/// Every counter must be what was sent; those not named must be 0.
///
/// # Errors
/// The first that is not.
pub fn check(found: &[(&'static str, u64)], expected: &BTreeMap<&'static str, u64>) -> anyhow::Result<()> {
    for &(name, count) in found {
        let right = expected.get(name).copied().unwrap_or(0);
        ensure!(count == right, "{name}: found {count}, expected {right} of what was sent");
    }
    for name in expected.keys() {
        ensure!(found.iter().any(|(known, _)| known == name), "{name}: no such counter");
    }
    Ok(())
}

/// What was decided.
#[derive(Debug, Default)]
struct Tally {
    decided: u64,
    digest: u64,
}

impl Tally {
    fn see(&mut self, effect: Effect<'_>) {
        if let Effect::Decided(decided) = effect {
            self.decided += 1;
            let decision = decided.decision;
            for bits in [
                u64::from(decided.stream.0),
                decided.round.cast_unsigned(),
                decision.point as u64,
                decision.quorum.bits() as u64,
            ] {
                self.digest = (self.digest ^ bits).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
}
