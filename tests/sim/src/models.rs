//! What the client takes for granted of its streams, and the same for the honest replicas alone.

use centauri_engine::{
    Distribution, DistributionError, Fleet, Link, ModelError, ModelSet, Objective, OutputSpec, PriorSpec,
    StreamSpec, Support,
};
use thiserror::Error;

use crate::build::{LINK, NOISE};
use crate::{Plan, StreamPlan};

/// A model that cannot be compiled: the plan is wrong.
#[derive(Debug, Error)]
pub(crate) enum BadModel {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Distribution(#[from] DistributionError),
}

/// The distance of neighbouring points of the grid.
pub(crate) const STEP: f64 = 0.5;

/// The model by which the client decides.
pub(crate) fn clients(plan: &Plan) -> Result<Fleet, BadModel> {
    let all: Vec<usize> = (0..plan.replicas).collect();
    compile(plan, &all, plan.faults, None)
}

/// What can be faulty: groups, and replicas of no group, each as the places of its replicas, by the first of them.
pub(crate) fn units(plan: &Plan) -> Vec<Vec<usize>> {
    let mut units = plan.groups.clone();
    let is_alone = |place: &usize| !plan.groups.iter().flatten().any(|known| known == place);
    units.extend((0..plan.replicas).filter(is_alone).map(|place| vec![place]));
    units.sort();
    units
}

/// A model in which there are only the replicas of a quorum, of units that are honest by the plan; and which these are: fewer
/// than a quorum where too many lie.
pub(crate) fn honest_only(plan: &Plan) -> Result<(Vec<usize>, Fleet), BadModel> {
    let units = units(plan);
    let honest = units.iter().filter(|unit| !unit.iter().any(|place| plan.liars.contains_key(place)));
    let mut quorum: Vec<usize> = honest.take(units.len() - plan.faults).flatten().copied().collect();
    quorum.sort_unstable();
    // Where nobody is honest there is nothing to hold decisions against, and any model will do.
    let places = if quorum.is_empty() { &[0][..] } else { &quorum };
    // By the evidence of the one quorum that there is the value is the most probable given just that quorum.
    let fleet = compile(plan, places, 0, Some(Objective::Evidence))?;
    Ok((quorum, fleet))
}

fn compile(
    plan: &Plan,
    places: &[usize],
    faults: usize,
    objective: Option<Objective>,
) -> Result<Fleet, BadModel> {
    let noise = Distribution::normal(0.0, 1.0)?;
    let link = Distribution::exponential(0.01)?;
    // Where nobody lies it makes no difference who would lie together.
    let groups: &[Vec<usize>] = if faults > 0 { &plan.groups } else { &[] };
    let spec =
        |stream: &StreamPlan| spec(stream, (places, groups), faults, objective.unwrap_or(stream.objective));
    let streams = plan.streams.iter().map(spec).collect::<Result<_, _>>()?;
    let distributions = [(NOISE.to_owned(), noise), (LINK.to_owned(), link)].into();
    Ok(Fleet::compile(&ModelSet { distributions, streams })?)
}

fn spec(
    stream: &StreamPlan,
    (places, groups): (&[usize], &[Vec<usize>]),
    faults: usize,
    objective: Objective,
) -> Result<StreamSpec, BadModel> {
    let prior = if stream.follows {
        PriorSpec::following(Distribution::normal(0.0, 1.0)?)
    } else {
        PriorSpec::Uniform
    };
    let names = places.iter().map(|place| format!("replica-{place}"));
    let mut builder = StreamSpec::builder(stream.number.to_string(), names);
    for (at, group) in groups.iter().enumerate() {
        builder = builder.group(format!("group-{at}"), group.clone());
    }
    Ok(builder
        .faults(faults)
        .objective(objective)
        .support(Support::new(0.0, STEP, 81)?)
        .prior(prior)
        .output(OutputSpec::identity(NOISE))
        .link(Link::OnTime(0.9))
        .build())
}
