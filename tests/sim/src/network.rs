//! Datagrams under way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::{Dice, NetworkPlan, Plan, node_at};

/// A datagram.
#[derive(Debug, Clone)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Rc<[u8]>,
}

/// The most datagrams under way: what does not fit is lost, as in a full queue.
const UNDER_WAY_MAX: usize = 4_096;

/// A network that loses, doubles, delays and reorders.
#[derive(Debug)]
pub(crate) struct Network {
    plan: NetworkPlan,
    seed: u64,
    dice: Dice,
    /// By time of arrival and number.
    sky: BTreeMap<(i64, u64), Datagram>,
    sent: u64,
}

impl Network {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            plan: plan.network.clone(),
            seed: plan.seed,
            dice: Dice::new(plan.seed, 1),
            sky: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Sends a datagram at `at_ns`; it may arrive not at all, or twice.
    pub(crate) fn send(&mut self, at_ns: i64, datagram: &Datagram) {
        let (loss, jitter_ns) = self.link(datagram);
        let copies = 1 + usize::from(self.dice.chance(self.plan.duplication));
        for _ in 0..copies {
            let lost = self.dice.chance(loss);
            let mut delay_ns = self.plan.delay_ns + self.dice.exponential(jitter_ns);
            if self.dice.chance(self.plan.held_up) {
                delay_ns += self.dice.between(0, self.plan.held_up_ns);
            }
            if !lost && !self.is_cut(at_ns, datagram) {
                self.put(at_ns + delay_ns, datagram.clone());
            }
        }
    }

    /// Has a datagram arrive at the next moment of the grid at which anything sent now can.
    pub(crate) fn send_ahead(&mut self, at_ns: i64, datagram: Datagram) {
        self.put(at_ns, datagram);
    }

    /// Puts a datagram under way, to arrive at the first moment of the grid after `at_ns`.
    fn put(&mut self, at_ns: i64, datagram: Datagram) {
        let grid = self.plan.grid_ns.max(1);
        self.put_exactly((at_ns.div_euclid(grid) + 1) * grid, datagram);
    }

    /// Has a datagram that has arrived at a node that is not looking arrive once more at `at_ns`.
    pub(crate) fn put_exactly(&mut self, at_ns: i64, datagram: Datagram) {
        if self.sky.len() < UNDER_WAY_MAX {
            self.sky.insert((at_ns, self.sent), datagram);
            self.sent += 1;
        }
    }

    /// When the next datagram arrives.
    pub(crate) fn next_ns(&self) -> Option<i64> {
        self.sky.first_key_value().map(|((at_ns, _), _)| *at_ns)
    }

    /// Everything that arrives at the moment, and at the address, of the datagram that arrives next, in the order of sending.
    pub(crate) fn arrive(&mut self) -> Vec<Datagram> {
        let Some((&(at_ns, _), first)) = self.sky.first_key_value() else { return Vec::new() };
        let to = first.to;
        let here = self.sky.range((at_ns, 0)..=(at_ns, u64::MAX)).filter(|(_, datagram)| datagram.to == to);
        let keys: Vec<_> = here.map(|(key, _)| *key).collect();
        keys.iter().filter_map(|key| self.sky.remove(key)).collect()
    }

    /// The loss and the jitter of a link, which stay what they are for the whole run.
    fn link(&self, datagram: &Datagram) -> (f64, i64) {
        let number = |address| u64::from(node_at(address).map_or(255, |node| node.0));
        let purpose = 1_000 + number(datagram.from) * 256 + number(datagram.to);
        let mut dice = Dice::new(self.seed, purpose);
        let jitter_ns = self.plan.jitter_ns as f64 * dice.real(0.3, 1.7);
        (self.plan.loss * dice.real(0.0, 2.0), jitter_ns as i64)
    }

    fn is_cut(&self, at_ns: i64, datagram: &Datagram) -> bool {
        let number = |address| node_at(address).map_or(u32::MAX, |node| node.0);
        let (from, to) = (number(datagram.from), number(datagram.to));
        self.plan.partitions.iter().any(|partition| {
            let now = partition.from_ns <= at_ns && at_ns < partition.until_ns;
            now && partition.nodes.contains(&from) != partition.nodes.contains(&to)
        })
    }
}
