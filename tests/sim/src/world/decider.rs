//! Nodes besides the client that decide: replicas of a later stage, its client, and another client of the first stage.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use centauri_engine::{Computation, Fleet, Report, Status};
use centauri_roles::Decided;
use centauri_wire::NodeId;

use super::check::check_round;
use super::{Stepped, World};
use crate::frame::{ReadDecision, Said, read_frame};
use crate::model::{ExpectedRound, HonestOnly, Reference, Rounds};
use crate::violation::{Finding, expect};
use crate::{LATER, LaterPlan, OTHER_CLIENT, Plan, address, models, relay_id};

/// What a node decides, and what is expected of it.
#[derive(Debug)]
pub(super) struct Decider {
    pub(super) stage: Rc<Plan>,
    pub(super) rounds: Rounds,
    reference: Reference,
    honest_only: HonestOnly,
    /// What a relay that does not lie has to pass on.
    passed: Option<Passed>,
}

/// A decision as it is passed on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Certain {
    value: f64,
    sd: f64,
    confidence: f64,
}

/// The decisions of the windows that a relay has not closed.
#[derive(Debug)]
struct Passed {
    later: LaterPlan,
    windows: BTreeMap<i64, Vec<Certain>>,
}

impl Decider {
    /// Of a node that starts at `now_ns`.
    pub(super) fn new(
        plan: &Plan,
        (stage, fleet): (&Rc<Plan>, &Fleet),
        id: NodeId,
        now_ns: i64,
    ) -> Result<Self, Finding> {
        let wrong = |error: models::BadModel| Finding::new("the plan can be run", "", error.to_string());
        let honest = plan.later.iter().filter(|later| {
            let honest = (0..later.relays).filter(|place| !later.liars.contains_key(place));
            honest.map(relay_id).any(|relay| relay == id)
        });
        let passed = honest.map(|later| Passed { later: later.clone(), windows: BTreeMap::new() }).next();
        Ok(Self {
            stage: Rc::clone(stage),
            rounds: Rounds::new(stage, now_ns, &[]),
            reference: Reference::new(fleet),
            honest_only: HonestOnly::new(stage).map_err(wrong)?,
            passed,
        })
    }
}

impl Passed {
    /// A round was decided.
    fn enter(&mut self, first: &crate::StreamPlan, decided: &Decided<'_>) {
        if decided.decision.status == Status::Decided {
            let since_ns = decided.round.saturating_mul(first.period_ns);
            let window = since_ns.div_euclid(self.later.stream.period_ns);
            let (value, sd) = (decided.decision.value, decided.decision.sd);
            let confidence = decided.decision.confidence.clamp(0.0, 1.0);
            self.windows.entry(window).or_default().push(Certain { value, sd, confidence });
        }
    }

    /// What comes of the decisions of a window.
    fn result(&self, window: i64) -> Option<Certain> {
        let all = self.windows.get(&window)?;
        let count = all.len() as f64;
        match self.later.stream.computation {
            Computation::Mean => Some(Certain {
                value: all.iter().map(|one| one.value).sum::<f64>() / count,
                sd: all.iter().map(|one| one.sd * one.sd).sum::<f64>().sqrt() / count,
                confidence: all.iter().map(|one| one.confidence).fold(1.0, f64::min),
            }),
            _ => all.last().copied(),
        }
    }

    /// Everything that is sent is what comes of a window's decisions, and everything that is due is sent to whoever wants it.
    fn check(
        &mut self,
        (now_ns, is_tick): (i64, bool),
        sent: &[ReadDecision],
        is_wanted: bool,
    ) -> Result<u64, Finding> {
        for decision in sent {
            let round = decision.record.round;
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
            let expected = self.result(round);
            let is_same = expected.is_some_and(|expected| {
                near(expected.value, decision.record.value)
                    && near(expected.sd, decision.sd)
                    && near(expected.confidence, decision.confidence)
            });
            if !is_same {
                let (rule, found) = ("a relay passes on value and certainty", format!("{decision:?}"));
                return Err(Finding::new(rule, format!("{expected:?} of round {round}"), found));
            }
        }
        if !is_tick {
            return Ok(sent.len() as u64);
        }
        let stream = &self.later.stream;
        let due_ns = |window: i64| stream.epoch_ns + window * stream.period_ns + stream.replica_deadline_ns;
        let due: Vec<i64> = self.windows.keys().copied().filter(|window| due_ns(*window) <= now_ns).collect();
        let missing = due.iter().find(|window| !sent.iter().any(|sent| sent.record.round == **window));
        if let Some(window) = missing.filter(|_| is_wanted) {
            let expected = format!("round {window}");
            return Err(Finding::new("a relay sends what it has decided", expected, format!("{sent:?}")));
        }
        due.iter().for_each(|window| {
            self.windows.remove(window);
        });
        Ok(sent.len() as u64)
    }
}

impl World<'_> {
    /// Holds what a node besides the client has decided against what it had to decide, and what it sends against that.
    pub(super) fn check_decider(
        &mut self,
        place: usize,
        (now_ns, is_tick): (i64, bool),
        expected: &[ExpectedRound],
    ) -> Result<(), Finding> {
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        let (own, Some(decider)) = (node.next_deadline(), &mut node.decider) else { return Ok(()) };
        let found: Vec<_> = self.effects.decisions().map(|decided| decided.round).collect();
        let wanted: Vec<_> = expected.iter().map(|round| round.round).collect();
        expect("a later stage decides each round at its deadline", wanted, found)?;
        let next = decider.rounds.next_deadline();
        expect("a later stage asks to be called by the next deadline", true, own <= next && own.is_some())?;
        for (decided, expected) in self.effects.decisions().zip(expected) {
            check_round(now_ns, &decided, expected)?;
            let decision = decider.reference.check(expected, decided.decision, !decider.stage.simd)?;
            let of_law = Decided { decision: &decision, ..decided };
            let is_held = decider.honest_only.check(expected.stream, &of_law)?;
            let newest = node.newest.insert(expected.stream, decided.round);
            let is_new = newest.is_none_or(|newest| newest < decided.round);
            expect("a later stage decides no round twice", true, is_new)?;
            if let (Some(passed), Some(first)) = (&mut decider.passed, decider.stage.streams.first()) {
                passed.enter(first, &decided);
            }
            let heard = decided.reports.iter().filter(|report| matches!(report, Report::Value(_))).count();
            let (rounds, reports) = match node.id {
                LATER => ("later stage: decided", "later stage: reports"),
                OTHER_CLIENT => ("other client: decided", "other client: reports"),
                _ => ("relays: decided", "relays: reports"),
            };
            self.outcome.add(rounds, 1);
            self.outcome.add(reports, heard as u64);
            if is_held {
                self.outcome.add("other nodes: regions checked", 1);
            }
        }
        let Some(passed) = &mut decider.passed else { return Ok(()) };
        let all = self.plan.request.period_ns == 1 && self.plan.request.validity_ns >= 60_000_000_000;
        let to = address(LATER);
        let number = passed.later.stream.number;
        let requests = node.requests.as_ref().filter(|_| all);
        let is_wanted = requests.is_some_and(|requests| requests.is_wanted(now_ns, to, number));
        let sent = passed.check((now_ns, is_tick), &decisions_to(&self.sends, to), is_wanted)?;
        self.outcome.add("relays: passed on", sent);
        Ok(())
    }

    /// The plan and the models of what a node besides the client decides.
    pub(super) fn stage(&self, place: usize) -> Stepped<Option<(Rc<Plan>, Fleet)>> {
        let Some(node) = self.nodes.get(place) else { return Ok(None) };
        let Some(stage) = &node.stage else { return Ok(None) };
        let wrong = |error: models::BadModel| Finding::new("the plan can be run", "", error.to_string());
        let fleet = models::clients(stage).map_err(|error| (node.id, wrong(error)))?;
        Ok(Some((Rc::clone(stage), fleet)))
    }
}

fn decisions_to(sends: &[(SocketAddr, Rc<[u8]>)], to: SocketAddr) -> Vec<ReadDecision> {
    let frames =
        sends.iter().filter(|(receiver, _)| *receiver == to).filter_map(|(_, bytes)| read_frame(bytes));
    let decisions = frames.filter_map(|frame| match frame.said {
        Said::Decisions(decisions) => Some(decisions),
        _ => None,
    });
    decisions.flatten().collect()
}
