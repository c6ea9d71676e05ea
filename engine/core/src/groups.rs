//! Fault groups: replicas that fail together, such as those of one provider or one rack.
//!
//! What can be faulty is then a *unit*: a group, or a replica of no group on its own. See `docs/NUMERICS.md`, section "Fault
//! groups".

use crate::compile::CompiledModel;
use crate::decision::Quorum;
use crate::error::{ModelError, problem};
use crate::observation::Observation;
use crate::spec::StreamSpec;

/// Replicas that fail together, such as those of one provider or one rack. See `docs/NUMERICS.md`, section "Fault groups".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultGroup {
    /// Its name, unique in the stream.
    pub name: String,
    /// The positions of its replicas in [`StreamSpec::replicas`].
    pub members: Vec<usize>,
}

impl StreamSpec {
    /// The units of fault, each as the positions of its replicas, in the order of their first replicas: the fault groups,
    /// and every replica of no group on its own.
    ///
    /// # Errors
    /// A group without replicas, a replica in two groups or twice in one, a position beyond the set, two groups of one name.
    pub fn units(&self) -> Result<Vec<Quorum>, ModelError> {
        let n = self.replicas.len().min(Quorum::POSITIONS_MAX);
        let mut grouped = Quorum::EMPTY;
        let mut units = Vec::with_capacity(n);
        for (at, group) in self.groups.iter().enumerate() {
            if self.groups.iter().take(at).any(|earlier| earlier.name == group.name) {
                return Err(group.problem("found twice, expected different names"));
            }
            let unit = self.members(group, n, grouped)?;
            grouped = grouped.union(unit);
            units.push(unit);
        }
        let alone = (0..n).filter(|&position| !grouped.contains(position));
        units.extend(alone.map(|position| Quorum::EMPTY.with(position)));
        units.sort_by_key(|unit| unit.bits().trailing_zeros());
        Ok(units)
    }

    /// The replicas of `group`, none of which is among those `taken` by other groups.
    fn members(&self, group: &FaultGroup, n: usize, taken: Quorum) -> Result<Quorum, ModelError> {
        if group.members.is_empty() {
            return Err(group.problem("found no replica, expected at least one"));
        }
        let mut unit = Quorum::EMPTY;
        for &position in &group.members {
            if position >= n {
                return Err(group.problem(format!("found replica {position}, expected one below {n}")));
            }
            if taken.contains(position) || unit.contains(position) {
                let name = self.replicas.get(position).map_or("", |replica| replica.name.as_str());
                return Err(
                    group.problem(format!("found {name:?} twice, expected each replica in one group"))
                );
            }
            unit = unit.with(position);
        }
        Ok(unit)
    }

    /// The largest number of replicas that may be faulty at a time: those of the `faults` largest units.
    #[must_use]
    pub fn faulty_replicas_max(&self) -> usize {
        let mut sizes: Vec<usize> = self.groups.iter().map(|group| group.members.len()).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let alone = std::iter::repeat(1);
        sizes.into_iter().chain(alone).take(self.faults).sum::<usize>().min(self.replicas.len())
    }
}

impl FaultGroup {
    fn problem(&self, text: impl Into<String>) -> ModelError {
        problem(format!("groups.{}", self.name), text)
    }
}

impl CompiledModel {
    /// The number of units of fault: fault groups, and replicas of no group. Of these, at most [`Self::faults`] are faulty.
    #[must_use]
    pub fn unit_count(&self) -> usize {
        self.grouped_units().map_or(self.replicas(), <[Quorum]>::len)
    }

    /// Whether a unit has more than one replica. Where not, the model is that without groups.
    #[must_use]
    pub fn is_grouped(&self) -> bool {
        self.grouped_units().is_some()
    }

    /// The units of fault, each as the set of its replicas, in the order of their first replicas.
    pub fn units(&self) -> impl Iterator<Item = Quorum> {
        let alone = if self.is_grouped() { 0 } else { self.replicas() };
        let groups = self.grouped_units().unwrap_or_default();
        groups.iter().copied().chain((0..alone).map(|position| Quorum::EMPTY.with(position)))
    }

    /// The units that equivocation leaves: a unit of which one replica equivocated is proven faulty.
    pub(crate) fn units_left(&self, observations: &[Observation]) -> impl Iterator<Item = Quorum> {
        let equivocated: Quorum =
            (0..observations.len()).filter(|&p| observations[p] == Observation::Equivocated).collect();
        self.units().filter(move |unit| unit.bits() & equivocated.bits() == 0)
    }
}

/// The units of `spec` where one of them has more than one replica.
pub(crate) fn grouped(spec: &StreamSpec) -> Result<Option<Vec<Quorum>>, ModelError> {
    let units = spec.units()?;
    if spec.faults >= units.len() {
        let (found, units) = (spec.faults, units.len());
        let text = format!("found {found}, expected less than the number of fault groups, {units}");
        return Err(problem("faults", text));
    }
    Ok((units.len() < spec.replicas.len()).then_some(units))
}
