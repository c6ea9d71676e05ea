//! A running node: a role, its socket, and the road between them.

use crate::clock::now_ns;
use crate::connections::Connections;
use crate::impairment::Impairment;
use centauri_roles::{AcceptedSet, Effect, Effects, Received, Role, connection_of};
use centauri_uring::{DatagramDriver, DriverCounters, Outgoing};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Drives a role: hands it what the socket receives and the time, and sends what it wants sent.
pub struct Node<R> {
    role: R,
    driver: Box<dyn DatagramDriver>,
    connections: Option<Connections>,
    impairment: Option<Impairment>,
    effects: Effects,
    clock: Clock,
    shed: u64,
}

/// Gives the time, in nanoseconds since the Unix epoch.
pub type Clock = Box<dyn Fn() -> i64 + Send>;

/// No address that anything could be sent to.
pub(crate) const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

/// The longest wait, so that a request to stop is seen soon.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// So often a step takes datagrams to throw them away, at most: however much comes, it goes on.
const SHEDDING_MAX: usize = 1_024;

/// So many datagrams are handed over between two looks at the clock: a flood cannot keep a deadline waiting for longer than
/// these take. A client verifies their signatures together.
pub(crate) const SLICE: usize = 64;

impl<R: std::fmt::Debug> std::fmt::Debug for Node<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { role, driver, connections, impairment, effects, .. } = self;
        f.debug_struct("Node")
            .field("role", role)
            .field("driver", driver)
            .field("connections", connections)
            .field("impairment", impairment)
            .field("effects", effects)
            .finish_non_exhaustive()
    }
}

impl<R: Role> Node<R> {
    /// A node whose datagrams go out as they are.
    #[must_use]
    pub fn new(role: R, driver: Box<dyn DatagramDriver>) -> Self {
        Self {
            role,
            driver,
            connections: None,
            impairment: None,
            effects: Effects::new(),
            clock: Box::new(now_ns),
            shed: 0,
        }
    }

    /// A node that goes by another clock than the machine's, for a measurement whose rounds follow what comes.
    #[must_use]
    pub fn timed(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// A node that takes frames from TCP connections, too.
    ///
    /// # Errors
    /// What the kernel reports.
    pub fn listening(mut self, connections: Connections) -> io::Result<Self> {
        self.driver.wake_on(connections.wake_fd())?;
        self.connections = Some(connections);
        Ok(self)
    }

    /// A node whose datagrams are lost and delayed on purpose.
    #[must_use]
    pub fn impaired(mut self, impairment: Impairment) -> Self {
        self.impairment = Some(impairment);
        self
    }

    /// The role.
    pub fn role(&self) -> &R {
        &self.role
    }

    /// The role, to be told something between two steps.
    pub fn role_mut(&mut self) -> &mut R {
        &mut self.role
    }

    /// The address that others reach the node at.
    pub fn address(&self) -> SocketAddr {
        self.driver.local_addr()
    }

    /// How it receives datagrams.
    pub fn driver_kind(&self) -> centauri_uring::DriverKind {
        self.driver.kind()
    }

    /// What the driver counted.
    pub fn driver_counters(&self) -> DriverCounters {
        self.driver.counters()
    }

    /// Datagrams thrown away unread because more came than could be verified: the oldest that waited.
    pub fn shed(&self) -> u64 {
        self.shed
    }

    /// The TCP connections, if it takes any.
    pub fn connections(&self) -> Option<&Connections> {
        self.connections.as_ref()
    }

    /// Waits for datagrams, and for what connections bring, until the role's next deadline (at most some tens of milliseconds),
    /// hands over what came, does what is due, and sends. Everything that is not a datagram to send goes to `seen`.
    ///
    /// However much comes, what is due is done between two slices of it. Datagrams wait in the socket's buffer, which has its
    /// limit in bytes. When that is nearly full the oldest of them are thrown away and counted ([`Node::shed`]), before the
    /// kernel would turn away what comes: a report that has just come is more likely to be of a round that is still open.
    ///
    /// # Errors
    /// What the socket reports on receiving. A datagram that cannot be sent is counted by the driver and lost, as on
    /// any network.
    pub fn step(&mut self, mut seen: impl FnMut(Effect<'_>)) -> io::Result<()> {
        self.shed_oldest()?;
        let wait = self.wait((self.clock)());
        let Self { role, driver, connections, effects, clock, .. } = self;
        let mut turn = Turn { role, clock, effects };
        driver.receive_batch(wait, &mut |datagrams| {
            for slice in datagrams.chunks(SLICE) {
                let Some(first) = slice.first() else { continue };
                // A datagram that was cut off cannot be a whole frame; its length says so to the role.
                let mut batch = [Received { from: NOWHERE, bytes: first.bytes }; SLICE];
                for (place, datagram) in batch.iter_mut().zip(slice) {
                    *place = Received { from: outside(datagram.from), bytes: datagram.bytes };
                }
                turn.hand_over(batch.get(..slice.len()).unwrap_or(&batch));
            }
        })?;
        if let Some(connections) = connections {
            connections.take(role, clock, effects)?;
        }
        let now = (self.clock)();
        tick_if_due(&mut self.role, now, &mut self.effects);
        self.carry_out(now, &mut seen)
    }

    /// Does `act` on the role and carries out what comes of it.
    pub fn act(&mut self, act: impl FnOnce(&mut R, i64, &mut Effects), mut seen: impl FnMut(Effect<'_>)) {
        let now = (self.clock)();
        act(&mut self.role, now, &mut self.effects);
        if let Err(error) = self.carry_out(now, &mut seen) {
            // The next step meets it again.
            tracing::debug!(%error, "frames could not be sent");
        }
    }

    /// Throws away the oldest datagrams that wait, from three quarters of the buffer down to a half.
    fn shed_oldest(&mut self) -> io::Result<()> {
        let fuller_than = |driver: &dyn DatagramDriver, quarters: usize| {
            driver.backlog().is_some_and(|backlog| backlog.bytes / quarters > backlog.limit / 4)
        };
        if !fuller_than(&*self.driver, 3) {
            return Ok(());
        }
        for _ in 0..SHEDDING_MAX {
            let count = self.driver.receive_batch(Duration::ZERO, &mut |_| {})?;
            self.shed += count as u64;
            if count == 0 || !fuller_than(&*self.driver, 2) {
                break;
            }
        }
        Ok(())
    }

    fn wait(&self, now: i64) -> Duration {
        let held = self.impairment.as_ref().and_then(Impairment::next_due);
        let next = [self.role.next_deadline(), held].into_iter().flatten().min();
        let left = next.map_or(i64::MAX, |next| next.saturating_sub(now)).max(0);
        Duration::from_nanos(left.unsigned_abs()).min(WAIT_MAX)
    }

    fn carry_out(&mut self, now: i64, seen: &mut dyn FnMut(Effect<'_>)) -> io::Result<()> {
        let mut waiting = [Outgoing { bytes: &[], to: NOWHERE }; SLICE];
        let mut count = 0;
        for effect in self.effects.iter() {
            if let (Effect::Send { to, bytes }, Some(connections)) = (effect, &mut self.connections)
                && connections.send(to, bytes)
            {
                continue;
            }
            match (effect, &mut self.impairment) {
                (Effect::Send { to, bytes }, Some(impairment)) => impairment.take(now, to, bytes),
                (Effect::Send { to, bytes }, None) => {
                    if count == SLICE {
                        send(&mut *self.driver, &waiting);
                        count = 0;
                    }
                    if let Some(place) = waiting.get_mut(count) {
                        *place = Outgoing { bytes, to };
                        count += 1;
                    }
                }
                (other, _) => seen(other),
            }
        }
        send(&mut *self.driver, waiting.get(..count).unwrap_or_default());
        self.effects.clear();
        self.connections.as_mut().map_or(Ok(()), Connections::flush)?;
        if let Some(impairment) = &mut self.impairment {
            while let Some((to, bytes)) = impairment.release(now) {
                send(&mut *self.driver, &[Outgoing { bytes: &bytes, to }]);
            }
        }
        Ok(())
    }
}

/// Where a datagram came from; nowhere, if it claims what stands for a connection.
fn outside(from: SocketAddr) -> SocketAddr {
    if connection_of(from).is_some() { NOWHERE } else { from }
}

/// What takes in frames at the time that a clock gives.
pub(crate) struct Turn<'a, R> {
    pub(crate) role: &'a mut R,
    pub(crate) clock: &'a Clock,
    pub(crate) effects: &'a mut Effects,
}

impl<R: Role> Turn<'_, R> {
    pub(crate) fn now(&self) -> i64 {
        (self.clock)()
    }

    /// Hands over at most [`SLICE`] frames without copying them, and then does what is due.
    pub(crate) fn hand_over(&mut self, frames: &[Received<'_>]) -> AcceptedSet {
        if frames.is_empty() {
            return AcceptedSet::default();
        }
        let now = self.now();
        let accepted = self.role.handle_batch(now, frames, self.effects);
        tick_if_due(self.role, now, self.effects);
        accepted
    }
}

fn tick_if_due(role: &mut impl Role, now: i64, effects: &mut Effects) {
    if role.next_deadline().is_some_and(|deadline| deadline <= now) {
        role.tick(now, effects);
    }
}

/// Sends in best effort: the driver counts what could not be sent.
fn send(driver: &mut dyn DatagramDriver, datagrams: &[Outgoing<'_>]) {
    if let Err(error) = driver.send_batch(datagrams) {
        tracing::debug!(%error, "a datagram could not be sent");
    }
}
