//! Published distributions are compiled on a thread of their own, so that no deadline waits for it.

use super::keeping::{Kept, time_text};
use crate::http::Shelf;
use centauri_engine::{Distribution, Fleet};
use centauri_roles::DistributionPolicy;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// So many distributions that are used again are told one by one.
const TOLD_MAX: usize = 16;

/// The fleet with distributions that were published to an earlier server, as wide as their age at `now_ns` makes them, and those that
/// are used: as far as the model has their names and takes them. Each is told with its age.
pub(crate) fn with_distributions(
    fleet: &Fleet,
    mut kept: BTreeMap<String, Kept>,
    policy: DistributionPolicy,
    now_ns: i64,
) -> (Fleet, BTreeMap<String, Kept>) {
    kept.retain(|name, _| fleet.distributions().contains_key(name));
    let aged = |kept: &Kept| policy.aged(&kept.distribution, now_ns.saturating_sub(kept.published_ns));
    let all = kept.iter().map(|(name, kept)| (name.clone(), aged(kept))).collect();
    let compiled = match fleet.published(&all) {
        Ok(compiled) => compiled,
        // Those that fit are better than none.
        Err(_) => one_by_one(fleet, &mut kept, aged),
    };
    for (name, Kept { published_ns, .. }) in kept.iter().take(TOLD_MAX) {
        let age_s = now_ns.saturating_sub(*published_ns) / 1_000_000_000;
        tracing::info!(name, age_s, published = %time_text(*published_ns), "a published distribution is used again");
    }
    if let Some(more) = kept.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
        tracing::info!(more, "more published distributions are used again");
    }
    (compiled, kept)
}

fn one_by_one(
    fleet: &Fleet,
    kept: &mut BTreeMap<String, Kept>,
    aged: impl Fn(&Kept) -> Distribution,
) -> Fleet {
    let mut fleet = fleet.clone();
    kept.retain(|name, kept| {
        let compiled = fleet.published(&BTreeMap::from([(name.clone(), aged(kept))]));
        match compiled {
            Ok(compiled) => {
                fleet = compiled;
                true
            }
            Err(error) => {
                tracing::warn!(name, %error, "a published distribution that was kept is not used");
                false
            }
        }
    });
    fleet
}

/// Compiles what was published into a new fleet, one compilation at a time; what comes meanwhile is for the next.
pub(crate) struct Compiler {
    fleet: Fleet,
    waiting: BTreeMap<String, Distribution>,
    running: Option<Receiver<Result<Fleet, String>>>,
    shelf: Option<Shelf>,
}

impl Compiler {
    pub(crate) fn new(fleet: Fleet) -> Self {
        Self { fleet, waiting: BTreeMap::new(), running: None, shelf: None }
    }

    /// The fleet that was compiled last.
    pub(crate) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What is compiled goes there, too, for who explains decisions.
    pub(crate) fn share(&mut self, shelf: Option<Shelf>) {
        self.shelf = shelf;
    }

    /// Takes in a published distribution. Only names that the model uses come here, so what waits is bounded.
    pub(crate) fn publish(&mut self, name: &str, distribution: &Distribution) {
        self.waiting.insert(name.to_owned(), distribution.clone());
        self.start();
    }

    fn start(&mut self) {
        if self.running.is_some() || self.waiting.is_empty() {
            return;
        }
        let (fleet, distributions) = (self.fleet.clone(), std::mem::take(&mut self.waiting));
        let (send, receive) = channel();
        let shelf = self.shelf.clone();
        let compile = move || {
            let fleet = fleet.published(&distributions).map_err(|error| error.to_string());
            if let (Some(shelf), Ok(fleet)) = (shelf, &fleet) {
                shelf.put(fleet.clone());
            }
            // Nobody listens any more only when the server is ending.
            let _ = send.send(fleet);
        };
        match std::thread::Builder::new().name("compiler".to_owned()).spawn(compile) {
            Ok(_) => self.running = Some(receive),
            Err(error) => {
                tracing::warn!(%error, "published distributions are not used: no thread to compile them");
            }
        }
    }

    /// The new fleet, once it is compiled.
    pub(crate) fn finished(&mut self) -> Option<Fleet> {
        let result = match self.running.as_ref()?.try_recv() {
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err("the compiler ended without a result".to_owned()),
            Ok(result) => result,
        };
        self.running = None;
        let fleet = match result {
            Ok(fleet) => {
                self.fleet = fleet.clone();
                Some(fleet)
            }
            Err(error) => {
                tracing::warn!(%error, "published distributions are not used");
                None
            }
        };
        self.start();
        fleet
    }
}
