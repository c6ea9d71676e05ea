//! Known bugs of nodes besides the client, simulated on the way in and out of them: a frame is made anew, with its sender's key, as
//! the node would have read or written it if it had the bug.

use std::collections::BTreeMap;
use std::rc::Rc;

use centauri_wire::{Answer, FrameBuilder, FrameView, MessageView, NodeId, Request, RequestAction};

use crate::{Sabotage, key_of};

/// So many times longer a request holds that goes on after it has expired.
const TTL_FACTOR: u64 = 8;

/// What the bugs remember.
#[derive(Debug)]
pub(crate) struct Tamper {
    sabotage: Sabotage,
    /// When each request was cancelled: receiver, sender and number.
    cancelled: BTreeMap<(u32, u32, u64), i64>,
    revived: i64,
    /// How long those that run on were to hold, likewise.
    extended: BTreeMap<(u32, u32, u64), u64>,
}

impl Tamper {
    pub(crate) fn new(sabotage: Sabotage) -> Self {
        Self { sabotage, cancelled: BTreeMap::new(), revived: 0, extended: BTreeMap::new() }
    }

    fn is_at_work(&self) -> bool {
        matches!(
            self.sabotage,
            Sabotage::RunsOn
                | Sabotage::RevivesCancelled
                | Sabotage::ForgetsSpread
                | Sabotage::AnswersFromAnybody
        )
    }

    /// What the node makes of a frame that comes to it.
    pub(crate) fn incoming(&mut self, node: NodeId, bytes: &Rc<[u8]>) -> Rc<[u8]> {
        let made = if self.is_at_work() { self.read_wrongly(node, bytes) } else { None };
        made.map_or_else(|| Rc::clone(bytes), Rc::from)
    }

    fn read_wrongly(&mut self, node: NodeId, bytes: &[u8]) -> Option<Vec<u8>> {
        let frame = FrameView::parse(bytes).ok()?;
        let header = frame.header();
        let identity = key_of(header.sender).identity(header.sender);
        let mut out = Vec::new();
        match (self.sabotage, frame.message()) {
            (Sabotage::RunsOn, MessageView::Request(request)) => {
                let RequestAction::Start { query, validity_ns, ttl_ns, period_ns } = request.action else {
                    return None;
                };
                let key = (node.0, header.sender.0, request.request_id);
                // What is cut to the longest that is served is left alone.
                let is_short = query.contains('(') && ttl_ns < 60_000_000_000;
                if !is_short {
                    self.extended.remove(&key);
                    return None;
                }
                self.extended.insert(key, ttl_ns);
                let ttl_ns = ttl_ns * TTL_FACTOR;
                let action = RequestAction::Start { query, validity_ns, ttl_ns, period_ns };
                let longer = Request { action, ..*request };
                longer.encode(header.timestamp_ns, header.receiver?, &identity, &mut out).ok()?;
            }
            (Sabotage::RevivesCancelled, MessageView::Request(request)) if header.receiver == Some(node) => {
                let key = (node.0, header.sender.0, request.request_id);
                if request.action == RequestAction::Cancel {
                    self.cancelled.insert(key, header.timestamp_ns);
                    return None;
                }
                let cancelled_ns = *self.cancelled.get(&key)?;
                if header.timestamp_ns >= cancelled_ns {
                    return None;
                }
                // No two have the same timestamp.
                self.revived += 1;
                let revived_ns = cancelled_ns.checked_add(777 * self.revived)?;
                request.encode(revived_ns, header.receiver?, &identity, &mut out).ok()?;
            }
            (Sabotage::AnswersFromAnybody, MessageView::Answer(answer)) => {
                if header.receiver == Some(node) {
                    return None;
                }
                answer.encode(header.timestamp_ns, node, &identity, &mut out).ok()?;
            }
            _ => return None,
        }
        Some(out)
    }

    /// What the node sends instead of a frame.
    pub(crate) fn outgoing(&self, bytes: &[u8]) -> Option<Rc<[u8]>> {
        if !self.is_at_work() {
            return None;
        }
        let frame = FrameView::parse(bytes).ok()?;
        let header = frame.header();
        let identity = key_of(header.sender).identity(header.sender);
        let mut out = Vec::new();
        match (self.sabotage, frame.message()) {
            // It does not know that it is served for longer.
            (Sabotage::RunsOn, MessageView::Answer(answer)) if answer.ttl_ns > 0 => {
                let key = (header.sender.0, header.receiver?.0, answer.request_id);
                let told = Answer { ttl_ns: *self.extended.get(&key)?, ..*answer };
                told.encode(header.timestamp_ns, header.receiver?, &identity, &mut out).ok()?;
            }
            (Sabotage::ForgetsSpread, MessageView::Decision(decisions)) => {
                let mut frame = FrameBuilder::begin(&mut out, header.timestamp_ns, bytes.len());
                for mut decision in decisions.iter() {
                    if decision.replicas == 1 {
                        (decision.sd, decision.low, decision.high) = (0.0, decision.value, decision.value);
                    }
                    frame.push(&decision).ok()?;
                }
                frame.finish(&identity).ok()?;
            }
            _ => return None,
        }
        Some(Rc::from(out))
    }
}
