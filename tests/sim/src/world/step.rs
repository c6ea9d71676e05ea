//! Calling a node, and carrying out what it wants done.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use centauri_engine::{Distribution, Fleet};
use centauri_roles::{ConfigError, Effect, Received};
use centauri_wire::NodeId;

use super::asking::own;
use super::decider::Decider;
use super::journal::{State, reserved_on};
use super::keeping::reserve;
use super::node::{Actor, ExpectedClient, Node};
use super::{Stepped, World};
use crate::build::{self, Start};
use crate::build_wider;
use crate::frame::{ReadFrame, Said, read_frame};
use crate::hostile::damaged;
use crate::model::{Acceptance, AskedOf, ExpectedRound, Reference, Requests};
use crate::network::Datagram;
use crate::sabotage::Subject;
use crate::violation::{Finding, expect};
use crate::{CLIENT, MONITOR, Sabotage, address, cast, relay_id, replica_id, ring_id};

impl World<'_> {
    /// Puts on a node's disk what it starts from.
    pub(super) fn set_up(&mut self, place: usize) -> Result<(), Finding> {
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        let done = build::install(node.disk.as_mut(), &cast::key_of(node.id), &self.registry);
        expect("a node can be set up", true, done)
    }

    /// Starts a node, for the first time or once more, from its disk and its clock.
    pub(super) fn start(&mut self, place: usize) -> Stepped<()> {
        let Some((id, now_ns)) = self.nodes.get(place).map(|node| (node.id, node.clock.shows_ns(self.at_ns)))
        else {
            return Ok(());
        };
        let wrong = |error: String| (id, Finding::new("a node can start", "", error));
        let start = self.nodes.get(place).map(|node| build::start(node.disk.as_ref(), id, now_ns));
        let start = start.unwrap_or_else(|| Err("there is no such node".to_owned())).map_err(wrong)?;
        let keeps = id == CLIENT && self.plan.disk.is_some();
        let (start, state) = if keeps {
            let Some(begun) = self.begin_journal(place, start).map_err(|finding| (id, finding))? else {
                return Ok(());
            };
            begun
        } else {
            (start, State::default())
        };
        let (floor_ns, first_rounds) = (start.floor_ns, start.first_rounds.clone());
        let limits = match id {
            CLIENT => build::client_limits(self.plan, floor_ns),
            _ => build::limits(self.plan, floor_ns),
        };
        let stage = self.stage(place)?;
        let fleet = stage.as_ref().map(|(_, fleet)| fleet);
        let actor = self.actor(place, start, fleet).map_err(wrong)?;
        let decider =
            stage.as_ref().map(|(stage, fleet)| Decider::new(self.plan, (stage, fleet), id, now_ns));
        let decider = decider.transpose().map_err(|finding| (id, finding))?;
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        node.decider = decider;
        node.acceptance = Acceptance::new(id.0, limits, node.tracked(self.plan));
        node.requests = own(self.plan, node.stage.as_deref(), id).map(Requests::new);
        node.asked = AskedOf::default();
        node.followed.clear();
        node.client = node.is_client().then(|| ExpectedClient::new(self.plan, now_ns, &first_rounds));
        node.delivered = 0;
        node.actor = Some(actor);
        if keeps {
            self.restore(place, now_ns, &state).map_err(|finding| (id, finding))?;
        }
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        node.counters = node.count();
        node.schedule(self.plan, self.at_ns);
        if node.is_client() {
            self.fleet_in_force = self.fleet.clone();
            self.honest_only.forget();
            self.reference = Reference::new(&self.fleet);
        }
        Ok(())
    }

    fn actor(&self, place: usize, start: Start, stage: Option<&Fleet>) -> Result<Actor, String> {
        let (plan, id) = (self.plan, start.identity.id());
        if id.0 < MONITOR.0 {
            return self.sender(place, start, stage).map_err(|error| error.to_string());
        }
        let built = if id == MONITOR {
            build::monitor(plan, start).map(|monitor| Actor::Monitor(Box::new(monitor)))
        } else if let (Some(fleet), Some(stage)) = (stage, plan.decided_by(id)) {
            build_wider::decider(&stage, fleet, start).map(|client| Actor::Decider(Box::new(client)))
        } else if id != CLIENT {
            build_wider::follower(plan, start).map(|follower| Actor::Follower(Box::new(follower)))
        } else if plan.shards > 1 && self.sabotage == Sabotage::None {
            build::shards(plan, &self.fleet, start)
                .map(|shards| Actor::Client(Box::new(Subject::divided(shards, build::sharding(plan)))))
        } else {
            let has_floor = self.sabotage != Sabotage::NoFloor;
            let limits = build::client_limits(plan, start.floor_ns);
            build::client(plan, &self.fleet, start, has_floor)
                .map(|client| Actor::Client(Box::new(Subject::whole(client, self.sabotage, limits))))
        };
        built.map_err(|error| error.to_string())
    }

    /// A source or a replica of some kind.
    fn sender(&self, place: usize, start: Start, stage: Option<&Fleet>) -> Result<Actor, ConfigError> {
        let (plan, id) = (self.plan, start.identity.id());
        let of = |first: NodeId| id.0.saturating_sub(first.0) as usize;
        match (id.0, &plan.later, plan.ring) {
            (..=10, ..) => build::source(plan, place, start).map(|source| Actor::Source(Box::new(source))),
            (21..=26, Some(later), _) => {
                let (Some(fleet), Some(stage)) = (stage, plan.decided_by(id)) else {
                    return Err(ConfigError::UnknownNode { key: "relay", node: id });
                };
                let relay = build_wider::relay((&stage, later), of(relay_id(0)), fleet, &start)?;
                Ok(Actor::Relay(Box::new(relay)))
            }
            (27..=30, _, Some(ring)) => {
                let replica = build_wider::ring(plan, ring, of(ring_id(0)), start)?;
                Ok(Actor::Replica(Box::new(replica)))
            }
            _ => build::replica(plan, of(replica_id(0)), start)
                .map(|replica| Actor::Replica(Box::new(replica))),
        }
    }

    /// Hands over what arrives next.
    pub(super) fn arrive(&mut self) -> Stepped<()> {
        let datagrams = self.network.arrive();
        let to = datagrams.first().map(|datagram| datagram.to);
        let Some(place) = self.nodes.iter().position(|node| Some(address(node.id)) == to) else {
            return Ok(());
        };
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        if node.busy_until_ns > self.at_ns {
            let until_ns = node.busy_until_ns;
            datagrams.into_iter().for_each(|datagram| self.network.put_exactly(until_ns, datagram));
            return Ok(());
        }
        let Some(actor) = &mut node.actor else { return Ok(()) };
        let now_ns = node.clock.shows_ns(self.at_ns);
        if let Some(journal) = &node.journal {
            self.incarnations.called(now_ns, reserved_on(node.disk.as_ref()));
            reserve(actor, &mut node.acceptance, journal);
        }
        let read: Vec<_> =
            datagrams.iter().map(|datagram| self.tamper.incoming(node.id, &datagram.bytes)).collect();
        let received: Vec<_> = datagrams
            .iter()
            .zip(&read)
            .map(|(datagram, bytes)| Received { from: datagram.from, bytes })
            .collect();
        self.effects.clear();
        let accepted = actor.role().handle_batch(now_ns, &received, &mut self.effects);
        let ticks_too = matches!(actor, Actor::Client(client) if client.ticks_always());
        for (at, datagram) in datagrams.iter().enumerate() {
            let taken =
                self.genuine.contains(&datagram.bytes) && node.take(now_ns, datagram.from, &datagram.bytes);
            let found = accepted.contains(at);
            if node.journal.is_some()
                && (taken || found)
                && let Some(frame) = read_frame(&datagram.bytes)
            {
                let on_disk_ns = reserved_on(node.disk.as_ref());
                self.incarnations
                    .accepted(&datagram.bytes, frame.timestamp_ns, now_ns, on_disk_ns)
                    .map_err(|f| (node.id, f))?;
            }
            if at < 64 {
                expect("a frame is accepted if it is to be", taken, found).map_err(|f| (node.id, f))?;
            }
            self.outcome.add(if taken { "frames accepted" } else { "frames rejected" }, 1);
        }
        if datagrams.len() > 64 {
            self.outcome.add("batches of several slices", 1);
        }
        let expected = match &mut node.client {
            Some(client) if ticks_too => client.rounds.tick(now_ns),
            _ => Vec::new(),
        };
        self.finish(place, now_ns, datagrams.len(), &expected)
    }

    /// Calls a node for what is due.
    pub(super) fn tick(&mut self, place: usize) -> Stepped<()> {
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        let Some(actor) = &mut node.actor else { return Ok(()) };
        let now_ns = node.clock.shows_ns(self.at_ns);
        if let Some(journal) = &node.journal {
            self.incarnations.called(now_ns, reserved_on(node.disk.as_ref()));
            reserve(actor, &mut node.acceptance, journal);
        }
        self.effects.clear();
        actor.role().tick(now_ns, &mut self.effects);
        if let Some(requests) = &mut node.requests {
            requests.expire(now_ns);
        }
        let rounds = match (&mut node.client, &mut node.decider) {
            (Some(client), _) => Some(&mut client.rounds),
            (None, decider) => decider.as_mut().map(|decider| &mut decider.rounds),
        };
        let expected = rounds.map(|rounds| rounds.tick(now_ns)).unwrap_or_default();
        self.finish(place, now_ns, 0, &expected)
    }

    /// Checks a step and carries out what came of it.
    fn finish(&mut self, place: usize, now_ns: i64, given: usize, expected: &[ExpectedRound]) -> Stepped<()> {
        self.outcome.steps += 1;
        let Some(id) = self.nodes.get(place).map(|node| node.id) else { return Ok(()) };
        self.outcome.trace.step(self.at_ns, id.0, &self.effects);
        let many = self.effects.len();
        self.say(format_args!("node {id}: {given} datagrams, {many} effects, {} rounds due", expected.len()));
        self.sends = self.effects.sends().map(|(to, bytes)| (to, self.sent(bytes))).collect();
        self.check(place, now_ns, given, expected).map_err(|finding| (id, finding))?;
        self.carry_out(place).map_err(|finding| (id, finding))?;
        if let Some(node) = self.nodes.get_mut(place) {
            node.schedule(self.plan, self.at_ns);
        }
        Ok(())
    }

    fn carry_out(&mut self, place: usize) -> Result<(), Finding> {
        let Some(id) = self.nodes.get(place).map(|node| node.id) else { return Ok(()) };
        for (to, bytes) in std::mem::take(&mut self.sends) {
            if self.genuine.insert(Rc::clone(&bytes)) {
                self.captured.push(&bytes);
            }
            let datagram = Datagram { from: address(id), to, bytes };
            self.ahead_of(&datagram);
            self.network.send(self.at_ns, &datagram);
        }
        if id != CLIENT {
            return Ok(());
        }
        let effects = std::mem::take(&mut self.effects);
        for effect in effects.iter() {
            if let Effect::Published { name, distribution } = effect {
                self.publish(place, &[(name.to_owned(), distribution.clone())].into())?;
            }
        }
        self.effects = effects;
        Ok(())
    }

    /// A frame as it is sent: in the memory of the one before if it is sent to several.
    fn sent(&self, bytes: &[u8]) -> Rc<[u8]> {
        let known = || self.genuine.get(bytes).cloned().unwrap_or_else(|| Rc::from(bytes));
        self.tamper.outgoing(bytes).unwrap_or_else(known)
    }

    /// The outsider may be faster than the frame.
    fn ahead_of(&mut self, datagram: &Datagram) {
        let Some(outsider) = self.plan.outsider else { return };
        if datagram.to == address(CLIENT) && self.dice.chance(outsider.ahead) {
            let bytes = Rc::from(damaged(&datagram.bytes, &mut self.dice));
            self.outcome.add("outsider's", 1);
            self.network.send_ahead(self.at_ns, Datagram { bytes, ..datagram.clone() });
        }
    }

    /// Does what the client's driver does with what the monitor has published.
    fn publish(&mut self, place: usize, news: &BTreeMap<String, Distribution>) -> Result<(), Finding> {
        for (name, distribution) in news {
            self.say(format_args!("the client installs {name}: {distribution:?}"));
        }
        let wrong = |error: String| Finding::new("what is published can be installed", "", error);
        self.fleet_in_force = self.fleet_in_force.published(news).map_err(|e| wrong(e.to_string()))?;
        self.honest_only.publish(news).map_err(wrong)?;
        self.reference.swap(&self.fleet_in_force);
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        if let (Some(expected), Some(Actor::Client(client))) = (&mut node.client, &mut node.actor) {
            expected.installed += client.parts();
            client.install(&self.fleet_in_force).map_err(|e| wrong(e.to_string()))?;
        }
        // Installing changes a counter without a step.
        node.counters = node.count();
        Ok(())
    }
}

impl Node {
    /// Takes a frame with a good signature into the account; says whether it is to be accepted.
    fn take(&mut self, now_ns: i64, from: SocketAddr, bytes: &[u8]) -> bool {
        let Some(frame) = read_frame(bytes) else { return false };
        let Some(fresh) = self.acceptance.judge(now_ns, &frame) else { return false };
        let ReadFrame { sender, timestamp_ns, said, .. } = &frame;
        match said {
            Said::Request(request) => {
                if let Some(requests) = &mut self.requests {
                    requests.take(now_ns, from, (*sender, *timestamp_ns), request);
                }
            }
            Said::Answer(answer) => self.asked.answered(*sender, answer),
            Said::Stream(_) | Said::Decisions(_) => {
                self.to_follow += fresh.len() as u64;
                let (rounds, first) = match (&mut self.client, &mut self.decider) {
                    (Some(client), _) => (&mut client.rounds, replica_id(0)),
                    (None, Some(decider)) => (&mut decider.rounds, decider.stage.first_replica),
                    (None, None) => return true,
                };
                for record in fresh {
                    let place = sender.saturating_sub(first.0) as usize;
                    rounds.take(now_ns, record.stream, place, record.round, record.value);
                }
            }
            Said::Sample { .. } | Said::Distribution(_) => {}
        }
        let Some(client) = &mut self.client else { return true };
        match said {
            Said::Distribution(name) if name == build::UPLINK => client.unused += 1,
            Said::Distribution(_) => client.published += 1,
            Said::Sample { .. } => client.unexpected += 1,
            Said::Request(_) | Said::Stream(_) | Said::Decisions(_) | Said::Answer(_) => {}
        }
        true
    }
}
