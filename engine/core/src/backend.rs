//! What every way of evaluating rounds has in common.

use crate::batch::Batch;
use crate::decision::Decisions;
use crate::fleet::{Fleet, ModelId};

/// Evaluates batches of rounds. All backends give the same status, value and quorum.
pub trait Backend: Send + std::fmt::Debug {
    /// The backend's name, as on the command line.
    fn name(&self) -> &'static str;

    /// Decides every round of `batch` and puts the decisions into `decisions`, which is emptied first, in order.
    ///
    /// # Errors
    /// A round that does not fit its model. The decisions are then not to be used.
    fn evaluate(
        &mut self,
        fleet: &Fleet,
        batch: &Batch,
        decisions: &mut Decisions,
    ) -> Result<(), BackendError>;
}

/// A batch that cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The fleet has no such model.
    #[error("round {round} of the batch: found {model:?}, expected a model of the fleet")]
    UnknownModel {
        /// The round's index in the batch.
        round: usize,
        /// The model it names.
        model: ModelId,
    },
    /// As many observations as replicas, and as many prior masses as points, are needed.
    #[error("round {round} of the batch: found {found} {what}, expected {expected}")]
    Shape {
        /// The round's index in the batch.
        round: usize,
        /// What there is the wrong number of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many the model has.
        expected: usize,
    },
}
