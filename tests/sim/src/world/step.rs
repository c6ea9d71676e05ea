//! Calling a node, and carrying out what it wants done.

use std::collections::BTreeMap;
use std::rc::Rc;

use centauri_engine::Distribution;
use centauri_roles::{Effect, Received};

use super::journal::{State, reserved_on};
use super::keeping::reserve;
use super::node::{Actor, ExpectedClient, Node};
use super::{Stepped, World};
use crate::build::{self, Start};
use crate::frame::{ReadFrame, Said, read_frame};
use crate::hostile::damaged;
use crate::model::{Acceptance, ExpectedRound, Reference};
use crate::network::Datagram;
use crate::sabotage::Subject;
use crate::violation::{Finding, expect};
use crate::{CLIENT, Sabotage, address, cast};

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
        let actor = self.actor(place, start).map_err(wrong)?;
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        node.acceptance = Acceptance::new(id.0, limits, Node::tracked(self.plan, id));
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

    fn actor(&self, place: usize, start: Start) -> Result<Actor, String> {
        let plan = self.plan;
        let replicas = plan.sources..plan.sources + plan.replicas;
        let built = if place < plan.sources {
            build::source(plan, place, start).map(|source| Actor::Source(Box::new(source)))
        } else if replicas.contains(&place) {
            build::replica(plan, place - plan.sources, start).map(|replica| Actor::Replica(Box::new(replica)))
        } else if start.identity.id() != CLIENT {
            build::monitor(plan, start).map(|monitor| Actor::Monitor(Box::new(monitor)))
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
        let received: Vec<_> = datagrams
            .iter()
            .map(|datagram| Received { from: datagram.from, bytes: &datagram.bytes })
            .collect();
        self.effects.clear();
        let accepted = actor.role().handle_batch(now_ns, &received, &mut self.effects);
        let ticks_too = matches!(actor, Actor::Client(client) if client.ticks_always());
        for (at, datagram) in datagrams.iter().enumerate() {
            let taken = self.genuine.contains(&datagram.bytes) && node.take(now_ns, &datagram.bytes);
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
        let expected = node.client.as_mut().map(|client| client.rounds.tick(now_ns)).unwrap_or_default();
        self.finish(place, now_ns, 0, &expected)
    }

    /// Checks a step and carries out what came of it.
    fn finish(&mut self, place: usize, now_ns: i64, given: usize, expected: &[ExpectedRound]) -> Stepped<()> {
        self.outcome.steps += 1;
        let Some(id) = self.nodes.get(place).map(|node| node.id) else { return Ok(()) };
        self.outcome.trace.step(self.at_ns, id.0, &self.effects);
        let many = self.effects.len();
        self.say(format_args!("node {id}: {given} datagrams, {many} effects, {} rounds due", expected.len()));
        self.check(place, now_ns, given, expected).map_err(|finding| (id, finding))?;
        self.carry_out(place).map_err(|finding| (id, finding))?;
        if let Some(node) = self.nodes.get_mut(place) {
            node.schedule(self.plan, self.at_ns);
        }
        Ok(())
    }

    fn carry_out(&mut self, place: usize) -> Result<(), Finding> {
        let Some(id) = self.nodes.get(place).map(|node| node.id) else { return Ok(()) };
        let effects = std::mem::take(&mut self.effects);
        for effect in effects.iter() {
            match effect {
                Effect::Send { to, bytes } => {
                    let known = self.genuine.get(bytes).cloned();
                    let bytes = known.unwrap_or_else(|| {
                        let bytes: Rc<[u8]> = Rc::from(bytes);
                        self.genuine.insert(Rc::clone(&bytes));
                        self.captured.push(&bytes);
                        bytes
                    });
                    let datagram = Datagram { from: address(id), to, bytes };
                    self.ahead_of(&datagram);
                    self.network.send(self.at_ns, &datagram);
                }
                Effect::Published { name, distribution } if id == CLIENT => {
                    self.publish(place, &[(name.to_owned(), distribution.clone())].into())?;
                }
                _ => {}
            }
        }
        self.effects = effects;
        Ok(())
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
    fn take(&mut self, now_ns: i64, bytes: &[u8]) -> bool {
        let Some(frame) = read_frame(bytes) else { return false };
        let Some(fresh) = self.acceptance.judge(now_ns, &frame) else { return false };
        let Some(client) = &mut self.client else { return true };
        let ReadFrame { sender, said, .. } = &frame;
        match said {
            Said::Stream(_) | Said::Decisions(_) => {
                for record in fresh {
                    let place = sender.saturating_sub(crate::replica_id(0).0) as usize;
                    client.rounds.take(now_ns, record.stream, place, record.round, record.value);
                }
            }
            Said::Distribution(name) if name == build::UPLINK => client.unused += 1,
            Said::Distribution(_) => client.published += 1,
            Said::Sample { .. } => client.unexpected += 1,
            Said::Request(_) | Said::Answer => {}
        }
        true
    }
}
