//! Rounds of one shape, on their way to the device together.

use crate::counters::Reason;
use crate::kernels::{FAULTS_MAX, Kernel, POINTS_MAX, REPLICAS_MAX, SEARCH_REPLICAS_MAX, TURNS_MAX, Variant};
use crate::quorums::{count, countable};
use crate::tables::Loaded;
use centauri_engine::{CompiledModel, Entry, Objective, Observation};

/// Words of a decision before the quorum's bits (`common.wgsl`).
pub(crate) const FIELDS: usize = 8;

/// What rounds have in common that one submission decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub(crate) replicas: usize,
    pub(crate) faults: usize,
    /// As the kernels number them; 0 is `marginal`.
    pub(crate) objective: u32,
    pub(crate) region: bool,
    pub(crate) marginal: Variant,
}

impl Shape {
    /// The shape of rounds of `model` by an objective, as the kernels number them, or why the device cannot decide them.
    pub(crate) fn of(model: &CompiledModel, objective: u32, wants_region: bool) -> Result<Self, Reason> {
        let (n, f, points) = (model.replicas(), model.faults(), model.support().points());
        if model.is_grouped() {
            return Err(Reason::Grouped);
        }
        let countable = countable(n, f);
        // With more quorums than can be counted a decision has no region.
        let region = wants_region && countable;
        let searches = objective != 0 || region;
        let large = n > REPLICAS_MAX || f > FAULTS_MAX || points > POINTS_MAX;
        if large || (objective != 0 && !countable) || (searches && n > SEARCH_REPLICAS_MAX) {
            return Err(Reason::Large);
        }
        let shape =
            Self { replicas: n, faults: f, objective, region, marginal: Variant::marginal(n, f, points) };
        let quorums = count(n, f);
        if !shape.variants().all(|v| v.fits() && v.turns(n, f, points, quorums) <= TURNS_MAX) {
            return Err(Reason::Large);
        }
        Ok(shape)
    }

    /// The kernels that decide rounds of this shape, in order.
    pub(crate) fn variants(&self) -> impl Iterator<Item = Variant> {
        let points = self.marginal.points as usize;
        let search = (self.objective != 0).then(|| Variant::search(self.replicas, points));
        let region = self.region.then(|| Variant::region(self.replicas, points));
        [Some(self.marginal), search, region].into_iter().flatten()
    }

    /// Whether the logarithm of the evidence is relative to the product of all u times those of max(1, likelihood/u).
    pub(crate) fn evidence_leaves_tops_out(&self) -> bool {
        self.objective != 0 || self.marginal.kernel == Kernel::MarginalFew
    }

    /// Words of a round on its way up.
    pub(crate) fn in_words(&self) -> usize {
        1 + self.replicas.div_ceil(2)
    }

    /// Words of a quorum's bits.
    pub(crate) fn quorum_words(&self) -> usize {
        self.replicas.div_ceil(32)
    }

    /// Words of a decision on its way down.
    pub(crate) fn out_words(&self) -> usize {
        FIELDS + self.quorum_words() + self.replicas
    }

    /// `1/((f + 1)·C(n, b))` for b = 0 … 3, 0 beyond f.
    pub(crate) fn faulty_weights(&self) -> [f32; 4] {
        std::array::from_fn(|b| {
            if b > self.faults {
                return 0.0;
            }
            (1.0 / ((self.faults + 1) as f64 * count(self.replicas, b) as f64)) as f32
        })
    }
}

/// The objectives that the kernels know, in their order.
const OBJECTIVES: [Objective; 4] =
    [Objective::Marginal, Objective::Evidence, Objective::Joint, Objective::Posterior];

/// The shapes of a model's rounds: by objective, without and with a region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shapes([[Result<Shape, Reason>; 2]; OBJECTIVES.len()]);

impl Shapes {
    pub(crate) fn of(model: &CompiledModel) -> Self {
        Self(std::array::from_fn(|objective| {
            [false, true].map(|region| Shape::of(model, objective as u32, region))
        }))
    }

    /// The shape of the round, or why the device cannot decide it.
    pub(crate) fn get(&self, model: &CompiledModel, entry: &Entry<'_>) -> Result<Shape, Reason> {
        if entry.wants_marginal || entry.ln_prior.is_some() {
            return Err(Reason::Following);
        }
        let objective = entry.objective.unwrap_or(model.objective());
        let number = OBJECTIVES.iter().position(|&known| known == objective).ok_or(Reason::Large)?;
        self.0[number][usize::from(entry.wants_region)]
    }
}

/// Rounds that wait to be submitted together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) words: Vec<u32>,
    /// The rounds' places in the batch.
    pub(crate) members: Vec<u32>,
}

impl Group {
    /// Adds the round; leaves everything as it was where the tables lack a row.
    pub(crate) fn push(&mut self, loaded: &Loaded, index: u32, entry: &Entry<'_>) -> Result<(), Reason> {
        let place = loaded.place.ok_or(Reason::Range)?;
        let begin = self.words.len();
        self.words.push(place.header.0);
        for (pair, observations) in entry.observations.chunks(2).enumerate() {
            let mut word = 0;
            for (k, &observation) in observations.iter().enumerate() {
                let Some(code) = loaded.code(2 * pair + k, observation) else {
                    self.words.truncate(begin);
                    let equivocated = entry.observations.contains(&Observation::Equivocated);
                    return Err(if equivocated { Reason::Equivocated } else { Reason::Outside });
                };
                word |= u32::from(code) << (16 * k);
            }
            self.words.push(word);
        }
        self.members.push(index);
        Ok(())
    }
}
