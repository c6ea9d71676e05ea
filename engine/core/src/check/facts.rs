//! What a model says, as numbers.

use crate::arrivals::Arrivals;
use crate::compile::{CompiledModel, Lookup, arrivals, on_time, own_key};
use crate::decision::Summary;
use crate::dist::Distribution;
use crate::error::ModelError;
use crate::observation::Observation;
use crate::spec::{Computation, DistributionRef, Objective, PriorSpec, StreamSpec};
use crate::support::Support;
use std::collections::BTreeMap;

/// What a model says. [`ModelFacts::words`] tells it in plain words.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFacts {
    /// The names of the replicas.
    pub replicas: Vec<String>,
    /// The fault groups of more than one replica: name and positions.
    pub groups: Vec<(String, Vec<usize>)>,
    /// The units of fault: fault groups, and replicas of no group; without groups the replicas.
    pub units: usize,
    /// At most so many of the units are faulty.
    pub faults: usize,
    /// Units of a quorum, n − f.
    pub quorum_size: usize,
    /// The number of quorums, C(n, f); `None` beyond 2⁶⁴.
    pub quorums: Option<u64>,
    /// How value and quorum are chosen.
    pub objective: Objective,
    /// Level of the credible interval.
    pub credible: f64,
    /// The probability that a faulty replica stays silent.
    pub silence: f64,
    /// The grid of the ideal output.
    pub support: Support,
    /// What is known before anybody reports.
    pub prior: PriorFacts,
    /// The computation and its window.
    pub output: OutputFacts,
    /// The replicas by what sets them apart; together they are all replicas.
    pub kinds: Vec<ReplicaKind>,
    /// Bytes held by the model's tables.
    pub table_bytes: usize,
}

/// A distribution in short.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// The name under which it is published, where it is.
    pub name: Option<String>,
    /// Its family.
    pub family: &'static str,
    /// Its mean; `None` where there is no finite one.
    pub mean: Option<f64>,
    /// Its standard deviation; `None` where there is no finite one.
    pub sd: Option<f64>,
}

/// What is known of the ideal output before anybody reports.
#[derive(Clone, Debug, PartialEq)]
pub struct PriorFacts {
    /// The distribution of the prior, or of the first round's; `None` is uniform.
    pub distribution: Option<Spread>,
    /// Mean on the support.
    pub mean: f64,
    /// Standard deviation on the support.
    pub sd: f64,
    /// Share of the distribution that lies below the support.
    pub below: f64,
    /// Share of the distribution that lies above the support.
    pub above: f64,
    /// For a prior that follows: the move from one round to the next.
    pub step: Option<Spread>,
    /// For a prior that follows: the share that is spread evenly after each move.
    pub leak: Option<f64>,
}

/// The computation and the window of source messages that it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputFacts {
    /// What is computed.
    pub computation: Computation,
    /// Source messages of a window; 0 for `identity`.
    pub messages: usize,
    /// When the first and the last one are sent, in seconds after the window opens.
    pub offsets: Option<(f64, f64)>,
    /// The latency from source to replica.
    pub arrival: Option<Spread>,
    /// The replica's deadline in seconds after the window opens.
    pub deadline: Option<f64>,
    /// The smallest and the largest probability of a message to be in time.
    pub in_time: Option<(f64, f64)>,
    /// How many messages arrive in time on average.
    pub expected_readings: f64,
    /// The probability that none does.
    pub nothing: f64,
    /// One reading, or for `last` one step between readings.
    pub source: Option<Spread>,
}

/// Replicas with the same link and noise.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaKind {
    /// Their positions.
    pub positions: Vec<usize>,
    /// Where the link is said: `link`, or a replica's own.
    pub link_key: String,
    /// Where the noise is said: `output.noise`, or a replica's own.
    pub noise_key: String,
    /// The probability that a message reaches the client in time; `None` without a link, where it always does.
    pub on_time: Option<f64>,
    /// P(missing) of an honest one.
    pub missing: f64,
    /// The measurement noise.
    pub noise: Option<Spread>,
}

impl Spread {
    fn of(reference: &DistributionRef, distribution: &Distribution) -> Self {
        let name = match reference {
            DistributionRef::Named(name) => Some(name.clone()),
            DistributionRef::Inline(_) => None,
        };
        let finite = |value: f64| value.is_finite().then_some(value);
        let (mean, sd) = (finite(distribution.mean()), finite(distribution.variance().sqrt()));
        Self { name, family: distribution.name(), mean, sd }
    }

    fn optional(
        lookup: &Lookup<'_>,
        key: &str,
        reference: Option<&DistributionRef>,
    ) -> Result<Option<Self>, ModelError> {
        let Some(reference) = reference else { return Ok(None) };
        Ok(lookup.optional(key, Some(reference))?.map(|distribution| Self::of(reference, distribution)))
    }
}

/// The facts of `spec`, of which `model` was compiled.
pub(super) fn of(
    spec: &StreamSpec,
    model: &CompiledModel,
    published: &BTreeMap<String, Distribution>,
) -> Result<ModelFacts, ModelError> {
    let lookup = Lookup(published);
    let n = model.unit_count();
    let several = spec.groups.iter().filter(|group| group.members.len() > 1);
    Ok(ModelFacts {
        replicas: spec.replicas.iter().map(|r| r.name.clone()).collect(),
        groups: several.map(|group| (group.name.clone(), group.members.clone())).collect(),
        units: n,
        faults: spec.faults,
        quorum_size: n - spec.faults,
        quorums: quorums(n, spec.faults),
        objective: spec.objective,
        credible: spec.credible,
        silence: spec.silence,
        support: spec.support,
        prior: prior(spec, model, &lookup)?,
        output: output(spec, &lookup)?,
        kinds: kinds(spec, model, &lookup)?,
        table_bytes: model.table_bytes(),
    })
}

/// C(n, f), where it fits.
fn quorums(n: usize, f: usize) -> Option<u64> {
    let choose = |n: u128, f: u128| (1..=f).try_fold(1u128, |c, b| Some(c.checked_mul(n - b + 1)? / b));
    choose(n as u128, f.min(n - f) as u128).and_then(|count| u64::try_from(count).ok())
}

/// The shares of a distribution below and above the bins of a support.
pub(super) fn outside(distribution: &Distribution, support: &Support) -> (f64, f64) {
    let half = support.step() / 2.0;
    let (low, high) = (support.min() - half, support.point(support.points() - 1) + half);
    let share = |from, to| distribution.ln_mass(from, to).exp();
    (share(f64::NEG_INFINITY, low), share(high, f64::INFINITY))
}

fn prior(spec: &StreamSpec, model: &CompiledModel, lookup: &Lookup<'_>) -> Result<PriorFacts, ModelError> {
    let (key, distribution, step, leak) = match &spec.prior {
        PriorSpec::Uniform => ("prior", None, None, None),
        PriorSpec::Fixed(reference) => ("prior", Some(reference), None, None),
        PriorSpec::Following { step, initial, leak } => {
            ("prior.initial", initial.as_ref(), Some(step), Some(*leak))
        }
    };
    let outside = lookup.optional(key, distribution)?.map(|d| outside(d, &spec.support));
    let (below, above) = outside.unwrap_or((0.0, 0.0));
    let summary = Summary::of(model.ln_prior(), &spec.support, spec.credible);
    Ok(PriorFacts {
        distribution: Spread::optional(lookup, key, distribution)?,
        mean: summary.mean,
        sd: summary.sd,
        below,
        above,
        step: Spread::optional(lookup, "prior.step", step)?,
        leak,
    })
}

/// The probabilities of the window's messages to be in time, by ascending offset; none for `identity`.
pub(super) fn in_time(spec: &StreamSpec, lookup: &Lookup<'_>) -> Result<Vec<f64>, ModelError> {
    let arrivals: Arrivals = arrivals(&spec.output, lookup)?;
    Ok(arrivals.oldest_first().iter().map(|message| message.ln_in_time.exp()).collect())
}

/// The offsets of the window in ascending order; none for `identity`, which reads no messages.
pub(super) fn offsets(spec: &StreamSpec) -> Vec<f64> {
    if spec.output.computation == Computation::Identity {
        return Vec::new();
    }
    let mut offsets = spec.output.messages.clone();
    offsets.sort_by(f64::total_cmp);
    offsets
}

fn output(spec: &StreamSpec, lookup: &Lookup<'_>) -> Result<OutputFacts, ModelError> {
    let output = &spec.output;
    let (offsets, in_time) = (offsets(spec), in_time(spec, lookup)?);
    let extremes = |values: &[f64]| {
        let least = values.iter().copied().reduce(f64::min)?;
        Some((least, values.iter().copied().reduce(f64::max)?))
    };
    Ok(OutputFacts {
        computation: output.computation,
        messages: offsets.len(),
        offsets: extremes(&offsets),
        arrival: Spread::optional(lookup, "output.arrival", output.arrival.as_ref())?,
        deadline: output.deadline,
        in_time: extremes(&in_time),
        expected_readings: in_time.iter().sum(),
        nothing: if in_time.is_empty() { 0.0 } else { in_time.iter().map(|p| 1.0 - p).product() },
        source: Spread::optional(lookup, "output.source", output.source.as_ref())?,
    })
}

fn kinds(
    spec: &StreamSpec,
    model: &CompiledModel,
    lookup: &Lookup<'_>,
) -> Result<Vec<ReplicaKind>, ModelError> {
    let mut row = vec![0.0; model.support().points()];
    let mut known = Vec::new();
    let mut kinds: Vec<ReplicaKind> = Vec::new();
    for (position, replica) in spec.replicas.iter().enumerate() {
        let link = replica.link.as_ref().or(spec.link.as_ref());
        let noise = replica.noise.as_ref().or(spec.output.noise.as_ref());
        let same =
            known.iter().position(|kind| *kind == (link, noise)).and_then(|index| kinds.get_mut(index));
        if let Some(kind) = same {
            kind.positions.push(position);
            continue;
        }
        let link_key = own_key(&replica.name, "link", replica.link.is_some(), "link");
        let noise_key = own_key(&replica.name, "noise", replica.noise.is_some(), "output.noise");
        let in_time = on_time(&link_key, link, lookup)?.p;
        model.likelihood(position, Observation::Missing, &mut row);
        kinds.push(ReplicaKind {
            positions: vec![position],
            on_time: link.map(|_| in_time),
            missing: row.first().map_or(0.0, |ln| ln.exp()),
            noise: Spread::optional(lookup, &noise_key, noise)?,
            link_key,
            noise_key,
        });
        known.push((link, noise));
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_are_counted_as_far_as_they_fit() {
        assert_eq!(quorums(1, 0), Some(1));
        assert_eq!(quorums(7, 2), Some(21));
        assert_eq!(quorums(7, 5), Some(21));
        assert_eq!(quorums(64, 32), Some(1_832_624_140_942_590_534));
        assert_eq!(quorums(128, 64), None);
    }

    #[test]
    fn what_lies_outside_a_support_is_counted_by_bins() {
        let support = Support::new(0.0, 1.0, 3).unwrap();
        let tails = Distribution::binomial(4, 0.5).unwrap();
        let (below, above) = outside(&tails, &support);
        assert_eq!(below, 0.0);
        assert!((above - 5.0 / 16.0).abs() < 1e-12, "{above}");
    }
}
