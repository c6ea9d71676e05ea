//! Batches to a GPU from a size on.

use centauri_engine::{Backend, BackendError, Batch, Decisions, Fleet};

/// A backend for large batches.
#[derive(Debug)]
pub struct Offload {
    /// The backend. What it cannot do it hands on to another itself, so that its errors are the batch's.
    pub backend: Box<dyn Backend>,
    /// Batches of at least so many rounds go to it.
    pub from_rounds: usize,
}

/// Routes batches by size: small ones to one backend, large ones to another. Both decide alike, so that the route changes no
/// decision.
#[derive(Debug)]
pub struct AutoBackend {
    near: Box<dyn Backend>,
    far: Option<Offload>,
}

impl AutoBackend {
    /// Decides with `near`, and with `far` where that is worth it.
    #[must_use]
    pub fn new(near: Box<dyn Backend>, far: Option<Offload>) -> Self {
        Self { near, far }
    }
}

impl Backend for AutoBackend {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn evaluate(
        &mut self,
        fleet: &Fleet,
        batch: &Batch,
        decisions: &mut Decisions,
    ) -> Result<(), BackendError> {
        match &mut self.far {
            Some(far) if batch.len() >= far.from_rounds => far.backend.evaluate(fleet, batch, decisions),
            _ => self.near.evaluate(fleet, batch, decisions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::calibration::{standard_batch, standard_fleet};
    use super::*;
    use centauri_engine::ScalarBackend;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The scalar backend, which counts the rounds that came to it.
    #[derive(Debug)]
    struct Counting(ScalarBackend, Arc<AtomicUsize>);

    impl Backend for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }

        fn evaluate(
            &mut self,
            fleet: &Fleet,
            batch: &Batch,
            decisions: &mut Decisions,
        ) -> Result<(), BackendError> {
            self.1.fetch_add(batch.len(), Ordering::Relaxed);
            self.0.evaluate(fleet, batch, decisions)
        }
    }

    #[test]
    fn batches_go_by_their_size_and_decisions_stay_the_same() {
        let counting = || {
            let count = Arc::new(AtomicUsize::new(0));
            (Box::new(Counting(ScalarBackend::new(), Arc::clone(&count))) as Box<dyn Backend>, count)
        };
        let ((near, near_rounds), (far, far_rounds)) = (counting(), counting());
        let mut auto = AutoBackend::new(near, Some(Offload { backend: far, from_rounds: 8 }));
        let (fleet, mut decisions) = (standard_fleet(), Decisions::new());
        for (rounds, near, far) in [(7, 7, 0), (8, 7, 8), (0, 7, 8), (20, 7, 28), (1, 8, 28)] {
            let batch = standard_batch(rounds);
            auto.evaluate(&fleet, &batch, &mut decisions).unwrap();
            assert_eq!(
                (near_rounds.load(Ordering::Relaxed), far_rounds.load(Ordering::Relaxed)),
                (near, far)
            );
            let mut expected = Decisions::new();
            ScalarBackend::new().evaluate(&fleet, &batch, &mut expected).unwrap();
            assert_eq!(decisions, expected);
        }
        let (only, rounds) = counting();
        AutoBackend::new(only, None).evaluate(&fleet, &standard_batch(9), &mut decisions).unwrap();
        assert_eq!(rounds.load(Ordering::Relaxed), 9);
    }
}
