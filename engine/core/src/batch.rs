//! Rounds on their way to a backend.

use crate::fleet::ModelId;
use crate::observation::Observation;
use crate::spec::Objective;

/// Rounds of mixed models, flat: what each replica was observed to report, and the prior where it is not the model's.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    entries: Vec<Packed>,
    observations: Vec<Observation>,
    ln_priors: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Packed {
    model: ModelId,
    objective: Option<Objective>,
    wants_marginal: bool,
    wants_region: bool,
    observations: (usize, usize),
    ln_prior: (usize, usize),
}

/// One round of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The model of the round's stream.
    pub model: ModelId,
    /// The objective, where it is not the model's.
    pub objective: Option<Objective>,
    /// Whether the marginal distribution (under `coalition` the reported one) is to be kept, for a prior that follows.
    pub wants_marginal: bool,
    /// Whether the decision's region is asked for; without, it is `None`, and the search over quorums that it takes is spared.
    pub wants_region: bool,
    /// What was observed of each replica, in the model's order.
    pub observations: &'a [Observation],
    /// Natural log-prior over the support, where it is not the model's.
    pub ln_prior: Option<&'a [f64]>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the rounds and keeps the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.observations.clear();
        self.ln_priors.clear();
    }

    /// The number of rounds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no round.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a round.
    pub fn push(&mut self, entry: Entry<'_>) {
        let observations = self.observations.len();
        self.observations.extend_from_slice(entry.observations);
        let ln_prior = self.ln_priors.len();
        self.ln_priors.extend_from_slice(entry.ln_prior.unwrap_or_default());
        self.entries.push(Packed {
            model: entry.model,
            objective: entry.objective,
            wants_marginal: entry.wants_marginal,
            wants_region: entry.wants_region,
            observations: (observations, self.observations.len()),
            ln_prior: (ln_prior, self.ln_priors.len()),
        });
    }

    /// The rounds in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.entries.iter().map(|packed| self.unpacked(packed))
    }

    /// The round that was added as number `round`, from 0; `None` where there is none.
    #[must_use]
    pub fn get(&self, round: usize) -> Option<Entry<'_>> {
        self.entries.get(round).map(|packed| self.unpacked(packed))
    }

    fn unpacked(&self, packed: &Packed) -> Entry<'_> {
        let ln_prior = &self.ln_priors[packed.ln_prior.0..packed.ln_prior.1];
        Entry {
            model: packed.model,
            objective: packed.objective,
            wants_marginal: packed.wants_marginal,
            wants_region: packed.wants_region,
            observations: &self.observations[packed.observations.0..packed.observations.1],
            ln_prior: (!ln_prior.is_empty()).then_some(ln_prior),
        }
    }
}
