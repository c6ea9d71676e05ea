//! The scalar backend: float64, one round at a time. It is the law by which the others are judged.

use crate::backend::{Backend, BackendError};
use crate::batch::{Batch, Entry};
use crate::compile::CompiledModel;
use crate::decide::Decider;
use crate::decision::Decisions;
use crate::fleet::Fleet;

/// Evaluates rounds one after the other in float64.
#[derive(Debug, Default)]
pub struct ScalarBackend {
    decider: Decider,
}

impl ScalarBackend {
    /// A backend with no memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backend for ScalarBackend {
    fn name(&self) -> &'static str {
        "scalar"
    }

    fn evaluate(
        &mut self,
        fleet: &Fleet,
        batch: &Batch,
        decisions: &mut Decisions,
    ) -> Result<(), BackendError> {
        decisions.clear();
        for (round, entry) in batch.iter().enumerate() {
            let model = fitting_model(fleet, round, &entry)?;
            self.decider.decide(model, &entry, decisions);
        }
        Ok(())
    }
}

/// The model of round `round` of a batch, if the round has the shape it asks for.
pub(crate) fn fitting_model<'a>(
    fleet: &'a Fleet,
    round: usize,
    entry: &Entry<'_>,
) -> Result<&'a CompiledModel, BackendError> {
    let model = fleet.model(entry.model).ok_or(BackendError::UnknownModel { round, model: entry.model })?;
    let shape = |what, found, expected| {
        if found == expected { Ok(()) } else { Err(BackendError::Shape { round, what, found, expected }) }
    };
    shape("observations", entry.observations.len(), model.replicas())?;
    shape(
        "prior masses",
        entry.ln_prior.map_or(model.support().points(), <[f64]>::len),
        model.support().points(),
    )?;
    Ok(model)
}
