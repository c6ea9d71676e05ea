//! What happens at set times: crashes, pauses, what hostile nodes do, calls for nothing.

use std::collections::BTreeMap;
use std::rc::Rc;

use centauri_wire::NodeId;

use super::{Stepped, World};
use crate::hostile::{Outsider, by_hand};
use crate::network::Datagram;
use crate::{CLIENT, Happening, MONITOR, MS, Plan, address, replica_id};

/// Something that happens at a set time.
#[derive(Debug, Clone, Copy)]
enum Act {
    Happens(NodeId, Happening),
    Restart(NodeId),
    ByHand(usize),
    Outsider,
    Early,
    Journal,
}

/// Whoever cannot start is started again after this.
const START_AGAIN_NS: i64 = 7 * MS;

/// So many frames are replayed when the client starts again.
const REPLAYED_MAX: usize = 40;

/// What happens at set times, in order.
#[derive(Debug)]
pub(super) struct Agenda {
    acts: BTreeMap<(i64, u64), Act>,
    entered: u64,
}

impl Agenda {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut agenda = Self { acts: BTreeMap::new(), entered: 0 };
        for (at_ns, node, happening) in &plan.happenings {
            agenda.enter(*at_ns, Act::Happens(*node, *happening));
        }
        for (place, liar) in &plan.liars {
            if let Some(every_ns) = liar.by_hand_every_ns {
                agenda.enter(every_ns, Act::ByHand(*place));
            }
        }
        if let Some(outsider) = plan.outsider {
            agenda.enter(outsider.every_ns, Act::Outsider);
        }
        if let Some(every_ns) = plan.driver.early_every_ns {
            agenda.enter(every_ns, Act::Early);
        }
        if let Some(disk) = &plan.disk {
            agenda.enter(disk.look_ns, Act::Journal);
        }
        agenda
    }

    fn enter(&mut self, at_ns: i64, act: Act) {
        self.acts.insert((at_ns, self.entered), act);
        self.entered += 1;
    }

    pub(super) fn next_ns(&self) -> Option<i64> {
        self.acts.first_key_value().map(|((at_ns, _), _)| *at_ns)
    }
}

impl World<'_> {
    /// Does the next of what happens at set times.
    pub(super) fn act(&mut self) -> Stepped<()> {
        let Some((_, act)) = self.agenda.acts.pop_first() else { return Ok(()) };
        match act {
            Act::Happens(node, happening) => self.happens(node, happening),
            Act::Restart(node) => {
                self.say(format_args!("node {node} starts again"));
                let place = self.nodes.iter().position(|known| known.id == node);
                place.map_or(Ok(()), |place| self.start(place))?;
                if node == CLIENT {
                    self.replay();
                }
            }
            Act::ByHand(place) => self.by_hand(place),
            Act::Outsider => self.outsider(),
            Act::Journal => self.look_journal().map_err(|finding| (CLIENT, finding))?,
            Act::Early => {
                let client = self.nodes.iter().position(|node| node.id == CLIENT);
                if let Some(every_ns) = self.plan.driver.early_every_ns {
                    self.agenda.enter(self.at_ns + every_ns, Act::Early);
                }
                if let Some(place) = client.filter(|place| self.is_free(*place)) {
                    self.tick(place)?;
                }
            }
        }
        Ok(())
    }

    /// The node could not start, and is tried again.
    pub(super) fn start_later(&mut self, id: NodeId) {
        self.agenda.enter(self.at_ns + START_AGAIN_NS, Act::Restart(id));
    }

    pub(super) fn look_later(&mut self, wait_ns: i64) {
        self.agenda.enter(self.at_ns + wait_ns, Act::Journal);
    }

    fn is_free(&self, place: usize) -> bool {
        self.nodes.get(place).is_some_and(|node| node.actor.is_some() && node.busy_until_ns <= self.at_ns)
    }

    fn happens(&mut self, id: NodeId, happening: Happening) {
        self.say(format_args!("node {id}: {happening:?}"));
        let (plan, at_ns) = (self.plan, self.at_ns);
        let place = self.nodes.iter().position(|node| node.id == id && node.actor.is_some());
        let Some(place) = place else { return };
        if matches!(happening, Happening::Crash { .. } | Happening::End { .. }) {
            self.tally(place);
        }
        if matches!(happening, Happening::End { .. }) {
            self.close_journal(place);
        }
        let Some(node) = self.nodes.get_mut(place) else { return };
        match happening {
            Happening::Pause { until_ns } => {
                node.busy_until_ns = node.busy_until_ns.max(until_ns);
                self.outcome.add("pauses", 1);
            }
            Happening::SetClock { by_ns } => {
                node.clock.offset_ns += by_ns;
                if node.is_client() {
                    self.incarnations.set_clock(by_ns);
                }
                self.outcome.add("clocks set", 1);
            }
            Happening::End { until_ns } => {
                node.forget();
                self.outcome.add("orderly ends", 1);
                self.agenda.enter(until_ns, Act::Restart(id));
            }
            Happening::Crash { until_ns, slow_ns } => {
                node.forget();
                node.busy_until_ns = until_ns + slow_ns;
                self.outcome.add(if node.is_client() { "client crashes" } else { "other crashes" }, 1);
                self.agenda.enter(until_ns, Act::Restart(id));
            }
        }
        node.schedule(plan, at_ns);
    }

    fn by_hand(&mut self, place: usize) {
        let id = replica_id(place);
        if let Some(every_ns) = self.plan.liars.get(&place).and_then(|liar| liar.by_hand_every_ns) {
            let wait_ns = every_ns / 2 + self.dice.between(0, every_ns);
            self.agenda.enter(self.at_ns + wait_ns, Act::ByHand(place));
        }
        let now_ns = self.plan.clock(id).shows_ns(self.at_ns);
        for (to, bytes) in by_hand(self.plan, id, now_ns, &self.captured, &mut self.dice) {
            self.say(format_args!("node {id} makes a frame of {} bytes for node {to} by hand", bytes.len()));
            let bytes: Rc<[u8]> = Rc::from(bytes);
            self.genuine.insert(Rc::clone(&bytes));
            self.captured.push(&bytes);
            self.outcome.add("frames by hand", 1);
            self.network.send(self.at_ns, &Datagram { from: address(id), to: address(to), bytes });
        }
    }

    /// Whoever sees the client start again tries what went by before once more.
    fn replay(&mut self) {
        if self.plan.outsider.is_none() || self.plan.disk.is_none() {
            return;
        }
        let newest = self.captured.iter().rev().take(REPLAYED_MAX).cloned().collect::<Vec<_>>();
        self.outcome.add("replayed after a restart", newest.len() as u64);
        for bytes in newest {
            let datagram = Datagram { from: address(MONITOR), to: address(CLIENT), bytes };
            self.network.send_ahead(self.at_ns, datagram);
        }
    }

    fn outsider(&mut self) {
        let Some(outsider) = self.plan.outsider else { return };
        let wait_ns = outsider.every_ns / 2 + self.dice.between(0, outsider.every_ns);
        self.agenda.enter(self.at_ns + wait_ns, Act::Outsider);
        let now_ns = self.plan.clock(CLIENT).shows_ns(self.at_ns);
        let somebody = Outsider { plan: self.plan, outsider, now_ns, captured: &self.captured };
        let sent = somebody.act(&mut self.dice);
        self.say(format_args!("the outsider sends {}", sent.len()));
        self.outcome.add("outsider's", sent.len() as u64);
        for datagram in sent {
            self.network.send_ahead(self.at_ns, datagram);
        }
    }
}
