//! A run: nodes, network and time in one thread.

mod agenda;
mod asking;
mod check;
mod decider;
mod health;
mod incarnations;
mod journal;
mod keeping;
mod node;
mod outcome;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;

use centauri_engine::Fleet;
use centauri_roles::Effects;
use centauri_wire::{NodeId, Registry};

pub use outcome::{DecidedRound, Outcome};

use crate::hostile::Captured;
use crate::model::{HonestOnly, Reference, RequestCounts};
use crate::network::Network;
use crate::tamper::Tamper;
use crate::violation::{Finding, Violation};
use crate::{Dice, Plan, Sabotage, cast, models};
use agenda::Agenda;
use asking::Made;
use check::Signed;
use incarnations::Incarnations;
use node::Node;

/// So many ticks of a node at one moment are taken for a node that does nothing about what is due.
const TICKS_AT_ONCE_MAX: u32 = 1_000;

/// Everything that there is in a run.
struct World<'a> {
    plan: &'a Plan,
    sabotage: Sabotage,
    log: Option<&'a mut (dyn Write + 'a)>,
    nodes: Vec<Node>,
    registry: Registry,
    network: Network,
    agenda: Agenda,
    dice: Dice,
    /// Every frame that somebody has signed with a registered key of their own.
    genuine: BTreeSet<Rc<[u8]>>,
    captured: Captured,
    signed: Signed,
    /// The model that every client starts with, and the one in force.
    fleet: Fleet,
    fleet_in_force: Fleet,
    honest_only: HonestOnly,
    reference: Reference,
    effects: Effects,
    tamper: Tamper,
    /// What is sent in a step.
    sends: Vec<(SocketAddr, Rc<[u8]>)>,
    /// What clients have decided, by the stream's number and round.
    made: BTreeMap<(u32, i64), Vec<Made>>,
    /// Simulated time.
    at_ns: i64,
    ticks_at_once: u32,
    /// By stream: the newest round decided, by whichever client.
    newest: BTreeMap<usize, i64>,
    incarnations: Incarnations,
    outcome: Outcome,
}

/// Runs a plan and checks every step; `log` is told each.
///
/// ```
/// use centauri_sim::{Plan, Sabotage, run};
/// let outcome = run(&Plan::calm(1), Sabotage::None, None)?;
/// assert!(outcome.decisions.len() > 30);
/// # Ok::<(), centauri_sim::Violation>(())
/// ```
///
/// # Errors
/// The first invariant that does not hold.
pub fn run<'a>(
    plan: &'a Plan,
    sabotage: Sabotage,
    log: Option<&'a mut (dyn Write + 'a)>,
) -> Result<Outcome, Violation> {
    let violation = |finding: Finding| Violation::new(plan.seed, finding, sabotage);
    let mut world = World::new(plan, sabotage, log).map_err(violation)?;
    loop {
        match world.next() {
            Ok(true) => {}
            Ok(false) => break,
            Err((node, finding)) => {
                let (step, at_ns) = (world.outcome.steps, world.at_ns);
                return Err(Violation { step, at_ns, node: node.0, ..violation(finding) });
            }
        }
    }
    for place in 0..world.nodes.len() {
        world.tally(place);
    }
    Ok(world.outcome)
}

/// What a step finds, and at which node.
type Stepped<T> = Result<T, (NodeId, Finding)>;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Act,
    Arrival,
    Tick(usize),
}

impl<'a> World<'a> {
    fn new(
        plan: &'a Plan,
        sabotage: Sabotage,
        log: Option<&'a mut (dyn Write + 'a)>,
    ) -> Result<Self, Finding> {
        let wrong = |error: String| Finding::new("the plan can be run", "", error);
        let registry = cast::registry(plan).map_err(|e| wrong(e.to_string()))?;
        let fleet = models::clients(plan).map_err(|e| wrong(e.to_string()))?;
        let mut world = Self {
            plan,
            sabotage,
            log,
            nodes: plan.nodes().into_iter().map(|node| Node::new(plan, node)).collect(),
            registry,
            network: Network::new(plan),
            agenda: Agenda::new(plan),
            dice: Dice::new(plan.seed, 2),
            genuine: BTreeSet::new(),
            captured: Captured::default(),
            signed: Signed::default(),
            reference: Reference::new(&fleet),
            fleet_in_force: fleet.clone(),
            fleet,
            honest_only: HonestOnly::new(plan).map_err(|e| wrong(e.to_string()))?,
            effects: Effects::new(),
            tamper: Tamper::new(sabotage),
            sends: Vec::new(),
            made: BTreeMap::new(),
            at_ns: 0,
            ticks_at_once: 0,
            newest: BTreeMap::new(),
            incarnations: Incarnations::default(),
            outcome: Outcome::default(),
        };
        for place in 0..world.nodes.len() {
            world.set_up(place)?;
            world.start(place).map_err(|(_, finding)| finding)?;
        }
        Ok(world)
    }

    /// Does what comes next; says whether anything did before the run's end.
    fn next(&mut self) -> Stepped<bool> {
        let act = self.agenda.next_ns().map(|at| (at, Next::Act));
        let arrival = self.network.next_ns().map(|at| (at, Next::Arrival));
        let ticks = self.nodes.iter().enumerate();
        let tick = ticks.filter_map(|(place, node)| Some((node.due_ns?, Next::Tick(place)))).min();
        // Of what comes at the same time, datagrams come before ticks.
        let Some((at_ns, next)) = [act, arrival, tick].into_iter().flatten().min() else { return Ok(false) };
        if at_ns > self.plan.length_ns {
            return Ok(false);
        }
        self.ticks_at_once = if at_ns > self.at_ns { 0 } else { self.ticks_at_once + 1 };
        if self.ticks_at_once > TICKS_AT_ONCE_MAX + 8 * self.plan.nodes().len() as u32 {
            let node = self.plan.nodes().get(if let Next::Tick(place) = next { place } else { 0 }).copied();
            let finding = Finding::new("a tick does what is due", "time goes on", "another tick at once");
            return Err((node.unwrap_or(NodeId(0)), finding));
        }
        self.at_ns = self.at_ns.max(at_ns);
        match next {
            Next::Act => self.act()?,
            Next::Arrival => self.arrive()?,
            Next::Tick(place) => self.tick(place)?,
        }
        Ok(true)
    }

    /// Adds up what a node has been through before it is gone.
    fn tally(&mut self, place: usize) {
        self.tally_requests(place);
        let Some(client) = self.nodes.get(place).and_then(|node| node.client.as_ref()) else { return };
        let (rounds, frames) =
            (client.rounds.counts, self.nodes.get(place).map(|node| node.acceptance.counts));
        let frames = frames.unwrap_or_default();
        let published = client.published;
        for (name, count) in [
            ("client: reports", rounds.reported),
            ("client: reports at the deadline exactly", rounds.just_in_time),
            ("client: repeated", rounds.repeated),
            ("client: equivocating", rounds.equivocating),
            ("client: late", rounds.late),
            ("client: early", rounds.early),
            ("client: rounds left out", rounds.skipped),
            ("client: distributions", published),
            ("client: signed frames stale", frames.stale),
            ("client: signed frames from the future", frames.future),
            ("client: signed frames replayed", frames.replayed),
            ("client: signed records replayed", frames.records_replayed),
        ] {
            self.outcome.add(name, count);
        }
    }

    fn tally_requests(&mut self, place: usize) {
        let Some(requests) = self.nodes.get(place).and_then(|node| node.requests.as_ref()) else { return };
        let RequestCounts { started, renewed, cancelled, outdated, expired, circled, refused } =
            requests.counts.clone();
        let [_, _, query, unknown, quota, rate, _, full] = refused;
        for (name, count) in [
            ("requests: begun", started),
            ("requests: renewed", renewed),
            ("requests: cancelled", cancelled),
            ("requests: overtaken", outdated),
            ("requests: expired", expired),
            ("requests: ended by a circle", circled),
            ("requests: not understood", query),
            ("requests: of unknown streams", unknown),
            ("requests: over quota", quota),
            ("requests: too often", rate),
            ("requests: too many", full),
        ] {
            self.outcome.add(name, count);
        }
    }

    fn say(&mut self, line: std::fmt::Arguments<'_>) {
        if let Some(log) = &mut self.log {
            // Whoever reads it may have stopped reading; the run goes on.
            let _ = writeln!(log, "{:>12.6} s  {line}", self.at_ns as f64 * 1e-9);
        }
    }
}
