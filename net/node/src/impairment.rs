//! A bad network, made on purpose: datagrams are lost and delayed before they are sent.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

/// Loses each datagram with a probability and holds the others back for a random time, exponentially distributed.
#[derive(Debug)]
pub struct Impairment {
    loss: f64,
    mean_delay: Duration,
    rng: ChaCha8Rng,
    held: BinaryHeap<Reverse<Held>>,
    taken: u64,
}

/// In the order in which they are due; of those due together the one taken first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    due_ns: i64,
    number: u64,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// The most datagrams held back; beyond, they are lost, as in the queue of a router.
const HELD_MAX: usize = 65_536;

impl Impairment {
    /// Loses datagrams with probability `loss` (0 … 1) and delays the others by `mean_delay` on average.
    #[must_use]
    pub fn new(loss: f64, mean_delay: Duration, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { loss: loss.clamp(0.0, 1.0), mean_delay, rng, held: BinaryHeap::new(), taken: 0 }
    }

    /// Takes a datagram to be sent.
    pub fn take(&mut self, now_ns: i64, to: SocketAddr, bytes: &[u8]) {
        let lost = self.rng.random_bool(self.loss);
        let delay: f64 = Exp1.sample(&mut self.rng);
        if lost || self.held.len() >= HELD_MAX {
            return;
        }
        let delay_ns = (delay * self.mean_delay.as_nanos() as f64) as i64;
        self.taken += 1;
        self.held.push(Reverse(Held {
            due_ns: now_ns.saturating_add(delay_ns),
            number: self.taken,
            to,
            bytes: bytes.to_vec(),
        }));
    }

    /// When the next datagram is due.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        self.held.peek().map(|held| held.0.due_ns)
    }

    /// The next datagram that is due at `now_ns`.
    pub fn release(&mut self, now_ns: i64) -> Option<(SocketAddr, Vec<u8>)> {
        if self.next_due()? > now_ns {
            return None;
        }
        self.held.pop().map(|held| (held.0.to, held.0.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_lost_and_the_rest_comes_in_order_of_its_delay() {
        let to = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut impairment = Impairment::new(0.25, Duration::from_millis(2), 7);
        for k in 0..4_000u32 {
            impairment.take(0, to, &k.to_le_bytes());
        }
        assert_eq!(impairment.release(-1), None);
        let mut delays = Vec::new();
        while let Some(due) = impairment.next_due() {
            assert!(delays.last().is_none_or(|&last| last <= due));
            assert!(impairment.release(due).is_some());
            delays.push(due);
        }
        assert!((delays.len() as f64 / 4_000.0 - 0.75).abs() < 0.03, "{}", delays.len());
        let mean = delays.iter().sum::<i64>() as f64 / delays.len() as f64;
        assert!((mean / 2e6 - 1.0).abs() < 0.1, "{mean}");
    }
}
