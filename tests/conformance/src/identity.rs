//! Status, value and quorum over very many rounds.

use crate::Make;
use crate::random::RandomRounds;
use centauri_engine::*;

/// A run of [`identical`].
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Of the random rounds.
    pub seed: u64,
    /// How many rounds.
    pub rounds: usize,
}

/// Rounds of one model.
const ROUNDS_PER_MODEL: usize = 500;

/// Decides random rounds by the backend and by the scalar one, and compares status, value and quorum, which must be
/// equal always. `progress` is told how many rounds are done.
///
/// # Panics
/// Where they differ.
pub fn identical(make: Make<'_>, run: &Identity, progress: &mut dyn FnMut(usize)) {
    let mut random = RandomRounds::new(run.seed);
    let (mut backend, mut scalar) = (make(), ScalarBackend::new());
    let (mut found, mut law) = (Decisions::new(), Decisions::new());
    let mut done = 0;
    let mut number = 0;
    while done < run.rounds {
        let spec = random.model("s", 7);
        let set = ModelSet { streams: vec![spec.clone()], ..ModelSet::default() };
        let fleet = Fleet::compile(&set).unwrap_or_else(|e| panic!("seed {}: {e}", run.seed));
        let mut batch = Batch::new();
        for _ in 0..ROUNDS_PER_MODEL.min(run.rounds - done) {
            let observations: Vec<Observation> =
                random.reports(&spec).into_iter().map(|r| r.quantise(&spec.support)).collect();
            batch.push(Entry {
                model: ModelId(0),
                objective: Some(Objective::ALL[random.number(Objective::ALL.len())]),
                wants_marginal: false,
                wants_region: false,
                observations: &observations,
                ln_prior: None,
            });
        }
        let context = format!("{}, seed {}, model {number}", backend.name(), run.seed);
        backend.evaluate(&fleet, &batch, &mut found).unwrap_or_else(|e| panic!("{context}: {e}"));
        scalar.evaluate(&fleet, &batch, &mut law).unwrap_or_else(|e| panic!("{context}: {e}"));
        assert_eq!(found.len(), law.len(), "{context}");
        for (i, entry) in batch.iter().enumerate() {
            let (a, b) = (found.decision(i), law.decision(i));
            let same =
                a.status == b.status && a.point == b.point && a.value == b.value && a.quorum == b.quorum;
            assert!(same, "{context}, round {i}\n found    {a:?}\n expected {b:?}\n {entry:?}\n {spec:?}");
        }
        done += batch.len();
        number += 1;
        progress(done);
    }
}
