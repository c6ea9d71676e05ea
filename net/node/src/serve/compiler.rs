//! Published distributions are compiled on a thread of their own, so that no deadline waits for it.

use crate::http::Shelf;
use centauri_engine::{Distribution, Fleet};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

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
