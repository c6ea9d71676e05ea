//! The engine server's thread, and the one that compiles what the monitor publishes.

use super::DemoError;
use super::cluster::{Remains, remains};
use super::model::with_loss;
use crate::clock::now_ns;
use crate::node::Node;
use centauri_engine::{Decision, Distribution, Fleet, Report};
use centauri_roles::{Client, Decided, Effect, Note};
use centauri_wire::Role as NodeRole;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// What the display is told.
#[derive(Debug)]
pub(super) enum Event {
    /// A round was decided.
    Round(Box<Round>),
    /// A node accepted a request, for the first time or anew under another address.
    Subscribed { at_ns: i64 },
    /// A node's thread has ended with an error.
    Failed,
}

/// A round as the engine decided it.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) round: i64,
    pub(super) late_ns: i64,
    pub(super) decision: Decision,
    pub(super) honest: Option<Vec<f64>>,
    pub(super) reports: Vec<Report>,
}

impl Round {
    fn of(decided: &Decided<'_>) -> Self {
        Self {
            round: decided.round,
            late_ns: decided.closed_ns.saturating_sub(decided.deadline_ns),
            decision: *decided.decision,
            honest: decided.honest.map(<[f64]>::to_vec),
            reports: decided.reports.to_vec(),
        }
    }
}

/// Runs the engine server until it is told to stop; compiling goes on beside it, so that no deadline waits for it.
pub(super) fn run(
    node: Node<Client>,
    fleet: Fleet,
    loss: f64,
    stop: &AtomicBool,
    events: &Sender<Event>,
) -> Result<Remains, DemoError> {
    std::thread::scope(|scope| {
        let (news, published) = channel();
        let (compiled, fleets) = channel();
        scope.spawn(move || compile(fleet, loss, &published, &compiled));
        // The compiler ends when this closure drops `news`.
        let ended = decide(node, stop, events, &news, &fleets);
        drop(news);
        if ended.is_err() {
            let _ = events.send(Event::Failed);
        }
        ended
    })
}

fn decide(
    mut node: Node<Client>,
    stop: &AtomicBool,
    events: &Sender<Event>,
    news: &Sender<(String, Distribution)>,
    fleets: &Receiver<Fleet>,
) -> Result<Remains, DemoError> {
    while !stop.load(Ordering::Relaxed) {
        if let Some(fleet) = fleets.try_iter().last() {
            node.role_mut().install(fleet).map_err(|problem| DemoError::part("engine", problem))?;
        }
        let stepped = node.step(|effect| match effect {
            Effect::Decided(decided) => {
                let _ = events.send(Event::Round(Box::new(Round::of(&decided))));
            }
            Effect::Published { name, distribution } => {
                let _ = news.send((name.to_owned(), distribution.clone()));
            }
            Effect::Note(Note::Subscribed { .. }) => {
                let _ = events.send(Event::Subscribed { at_ns: now_ns() });
            }
            _ => {}
        });
        stepped.map_err(|cause| DemoError::Io { what: "engine".to_owned(), cause })?;
    }
    Ok(remains(&node, NodeRole::Engine))
}

/// Compiles what was published since the last time, until nobody publishes any more.
fn compile(
    mut fleet: Fleet,
    loss: f64,
    published: &Receiver<(String, Distribution)>,
    compiled: &Sender<Fleet>,
) {
    while let Ok(first) = published.recv() {
        let mut news = BTreeMap::new();
        for (name, distribution) in std::iter::once(first).chain(published.try_iter()) {
            match with_loss(&name, distribution, loss) {
                Ok(distribution) => {
                    news.insert(name, distribution);
                }
                Err(error) => tracing::warn!(name, %error, "a published distribution was left out"),
            }
        }
        match fleet.published(&news) {
            Ok(next) => {
                fleet = next;
                let _ = compiled.send(fleet.clone());
            }
            Err(error) => tracing::warn!(%error, "published distributions make no model; the old ones stay"),
        }
    }
}
