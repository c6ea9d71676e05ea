//! Batches to a GPU from a size on, and to SIMD when it fails.

use centauri_engine::{Backend, BackendError, Batch, Decisions, Fleet};

/// Large batches that are spared a GPU after its first failure; twice as many after each further one.
const REST_BATCHES: u32 = 8;
/// Most batches that it is spared at a time.
const REST_BATCHES_MAX: u32 = 1_024;

/// A backend for large batches.
#[derive(Debug)]
pub struct Offload {
    /// The backend.
    pub backend: Box<dyn Backend>,
    /// Batches of at least so many rounds go to it.
    pub from_rounds: usize,
}

/// Routes batches by size: small ones to one backend, large ones to another.
///
/// Both decide alike, so that the route changes no decision. When the one for large batches fails, the batch goes to the
/// other, a warning says so once, and after a while (8 large batches at first, up to 1,024) it is tried again.
#[derive(Debug)]
pub struct AutoBackend {
    name: &'static str,
    near: Box<dyn Backend>,
    far: Option<Far>,
}

#[derive(Debug)]
struct Far {
    offload: Offload,
    /// Large batches before it is tried again.
    resting: u32,
    /// How long it rests after the next failure.
    rest: u32,
    /// Whether it failed when it was last tried.
    failed: bool,
    warned: bool,
}

impl AutoBackend {
    /// A backend called `name` that decides with `near`, and with `offload` where that is worth it.
    #[must_use]
    pub fn new(name: &'static str, near: Box<dyn Backend>, offload: Option<Offload>) -> Self {
        let far = offload.map(|offload| Far {
            offload,
            resting: 0,
            rest: REST_BATCHES,
            failed: false,
            warned: false,
        });
        Self { name, near, far }
    }
}

impl Backend for AutoBackend {
    fn name(&self) -> &'static str {
        self.name
    }

    fn evaluate(
        &mut self,
        fleet: &Fleet,
        batch: &Batch,
        decisions: &mut Decisions,
    ) -> Result<(), BackendError> {
        if let Some(far) = &mut self.far
            && far.takes(batch.len())
        {
            match far.offload.backend.evaluate(fleet, batch, decisions) {
                Ok(()) => {
                    far.succeeded();
                    return Ok(());
                }
                Err(error) if is_of_the_batch(&error) => return Err(error),
                Err(error) => far.failed_with(&error, self.near.name()),
            }
        }
        self.near.evaluate(fleet, batch, decisions)
    }
}

/// Whether every backend would say so of the batch.
fn is_of_the_batch(error: &BackendError) -> bool {
    matches!(error, BackendError::UnknownModel { .. } | BackendError::Shape { .. })
}

impl Far {
    fn takes(&mut self, rounds: usize) -> bool {
        if rounds < self.offload.from_rounds.max(1) {
            return false;
        }
        if self.resting > 0 {
            self.resting -= 1;
            return false;
        }
        true
    }

    fn succeeded(&mut self) {
        if self.failed {
            tracing::info!(backend = self.offload.backend.name(), "works again");
            self.failed = false;
        }
    }

    fn failed_with(&mut self, error: &BackendError, instead: &str) {
        let backend = self.offload.backend.name();
        if self.warned {
            tracing::debug!(backend, %error, "failed again; {instead} carries on");
        } else {
            tracing::warn!(backend, %error, "failed; {instead} carries on");
        }
        self.warned = true;
        self.failed = true;
        self.resting = self.rest;
        self.rest = (self.rest * 2).min(REST_BATCHES_MAX);
    }
}
