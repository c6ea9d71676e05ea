//! A running node: a role, its socket, and the road between them.

use crate::clock::now_ns;
use crate::impairment::Impairment;
use centauri_roles::{Effect, Effects, Role};
use centauri_uring::{DatagramDriver, DriverCounters};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Drives a role: hands it what the socket receives and the time, and sends what it wants sent.
#[derive(Debug)]
pub struct Node<R> {
    role: R,
    driver: Box<dyn DatagramDriver>,
    impairment: Option<Impairment>,
    effects: Effects,
}

/// The longest wait, so that a request to stop is seen soon.
const WAIT_MAX: Duration = Duration::from_millis(50);

impl<R: Role> Node<R> {
    /// A node whose datagrams go out as they are.
    #[must_use]
    pub fn new(role: R, driver: Box<dyn DatagramDriver>) -> Self {
        Self { role, driver, impairment: None, effects: Effects::new() }
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

    /// What the driver counted.
    pub fn driver_counters(&self) -> DriverCounters {
        self.driver.counters()
    }

    /// Waits for datagrams until the role's next deadline (at most some tens of milliseconds), hands over what came, does
    /// what is due, and sends. Everything that is not a datagram to send goes to `seen`.
    ///
    /// # Errors
    /// What the socket reports on receiving. A datagram that cannot be sent is counted by the driver and lost, as on
    /// any network.
    pub fn step(&mut self, mut seen: impl FnMut(Effect<'_>)) -> io::Result<()> {
        let wait = self.wait(now_ns());
        let Self { role, driver, effects, .. } = self;
        driver.receive(wait, &mut |datagram| {
            // A datagram that was cut off cannot be a whole frame; its length says so to the role.
            role.handle(now_ns(), datagram.from, datagram.bytes, effects);
        })?;
        let now = now_ns();
        if self.role.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.role.tick(now, &mut self.effects);
        }
        self.carry_out(now, &mut seen);
        Ok(())
    }

    /// Does `act` on the role and carries out what comes of it.
    pub fn act(&mut self, act: impl FnOnce(&mut R, i64, &mut Effects), mut seen: impl FnMut(Effect<'_>)) {
        let now = now_ns();
        act(&mut self.role, now, &mut self.effects);
        self.carry_out(now, &mut seen);
    }

    fn wait(&self, now: i64) -> Duration {
        let held = self.impairment.as_ref().and_then(Impairment::next_due);
        let next = [self.role.next_deadline(), held].into_iter().flatten().min();
        let left = next.map_or(i64::MAX, |next| next.saturating_sub(now)).max(0);
        Duration::from_nanos(left.unsigned_abs()).min(WAIT_MAX)
    }

    fn carry_out(&mut self, now: i64, seen: &mut dyn FnMut(Effect<'_>)) {
        for effect in self.effects.iter() {
            match (effect, &mut self.impairment) {
                (Effect::Send { to, bytes }, Some(impairment)) => impairment.take(now, to, bytes),
                (Effect::Send { to, bytes }, None) => send(&mut *self.driver, to, bytes),
                (other, _) => seen(other),
            }
        }
        self.effects.clear();
        if let Some(impairment) = &mut self.impairment {
            while let Some((to, bytes)) = impairment.release(now) {
                send(&mut *self.driver, to, &bytes);
            }
        }
    }
}

/// Sends in best effort: the driver counts what could not be sent.
fn send(driver: &mut dyn DatagramDriver, to: SocketAddr, bytes: &[u8]) {
    if let Err(error) = driver.send_to(bytes, to) {
        tracing::debug!(%to, %error, "a datagram could not be sent");
    }
}
