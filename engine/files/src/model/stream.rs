//! One logical stream of a model file.

use super::distribution;
use super::reader::{Field, Table};
use crate::error::FileError;
use crate::names::{self, expected_one_of, quoted};
use centauri_engine::limits::{
    CREDIBLE_DEFAULT, LEAK_DEFAULT, MESSAGES_MAX, POINTS_MAX, REPLICAS_MAX, SILENCE_DEFAULT,
};
use centauri_engine::{
    Computation, Distribution, DistributionRef, FaultGroup, Link, Objective, OutputSpec, PriorSpec,
    ReplicaSpec, StreamSpec, Support,
};
use std::collections::{BTreeMap, BTreeSet};

/// The word that stands for the flat prior; no distribution may be published under it.
pub(super) const UNIFORM: &str = "uniform";

const KEYS: [&str; 12] = [
    "name",
    "replicas",
    "faults",
    "groups",
    "objective",
    "credible",
    "silence",
    "support",
    "prior",
    "output",
    "link",
    "replica",
];

/// The distributions that streams may refer to by name.
pub(super) type Published = BTreeMap<String, Distribution>;

/// Reads the stream at `field`, which is `streams[index]`.
pub(super) fn read(field: &Field<'_, '_>, published: &Published) -> Result<StreamSpec, FileError> {
    let (spec, gaps) = read_template(field, published)?;
    if gaps.support {
        named(field, &spec.name)?.require("support", SUPPORT)?;
    }
    Ok(spec)
}

/// The stream's table, whose errors say its name.
fn named<'a>(field: &Field<'_, 'a>, name: &str) -> Result<Table<'a>, FileError> {
    Ok(field.table("a stream")?.renamed(format!("{} {}: ", field.path(), quoted(name))))
}

/// What a stream of a template leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// There is no `support`; the specification has a grid of one point in its place.
    pub support: bool,
    /// There is no `prior`.
    pub prior: bool,
    /// There is no `noise`, of the output or of a replica.
    pub noise: bool,
    /// There is no `link`, of the stream or of a replica.
    pub link: bool,
}

/// Reads the stream at `field`, in which `support` may be left out as well.
pub(super) fn read_template(
    field: &Field<'_, '_>,
    published: &Published,
) -> Result<(StreamSpec, Gaps), FileError> {
    let table = field.table("a stream")?;
    let name = name_of(&table.require("name", "the stream's name")?)?;
    let table = named(field, &name)?;
    table.only(&KEYS)?;
    let replica_names = replica_names(&table)?;
    let replicas = replicas(&table, replica_names, published)?;
    let groups = groups(&table, &replicas)?;
    let open = "a number between 0 and 1";
    let share = |key, default| {
        table.get(key).map_or(Ok(default), |field| field.number_that(open, |p| p > 0.0 && p < 1.0))
    };
    let support_field = table.get("support");
    let placeholder = || Support::new(0.0, 1.0, 1).map_err(|error| field.error(error.to_string()));
    let mut gaps =
        Gaps { support: support_field.is_none(), prior: table.get("prior").is_none(), ..Gaps::default() };
    let spec = StreamSpec {
        name,
        faults: faults(&table, &replicas, &groups)?,
        groups,
        replicas,
        objective: table
            .get("objective")
            .map_or(Ok(Objective::default()), |field| word(&field, &Objective::ALL, Objective::name))?,
        credible: share("credible", CREDIBLE_DEFAULT)?,
        silence: share("silence", SILENCE_DEFAULT)?,
        support: support_field.map_or_else(placeholder, |field| support(&field))?,
        prior: table.get("prior").map_or(Ok(PriorSpec::Uniform), |field| prior(&field, published))?,
        output: output(&table.require("output", OUTPUT)?.table(OUTPUT)?, published)?,
        link: table.get("link").map(|field| link(&field, published)).transpose()?,
    };
    gaps.noise = spec.output.noise.is_none() && spec.replicas.iter().all(|replica| replica.noise.is_none());
    gaps.link = spec.link.is_none() && spec.replicas.iter().all(|replica| replica.link.is_none());
    Ok((spec, gaps))
}

/// A name that may be used.
fn name_of(field: &Field<'_, '_>) -> Result<String, FileError> {
    let name = field.text("a name")?;
    names::check(name).map_err(|problem| field.error(problem))?;
    Ok(name.to_owned())
}

fn replica_names(table: &Table<'_>) -> Result<Vec<String>, FileError> {
    let expected = "a list of names";
    let field = table.require("replicas", expected)?;
    let items = field.list(expected)?;
    let n = items.len();
    if n == 0 || n > REPLICAS_MAX {
        return Err(field.error(format!("found {n} replicas, expected 1 to {REPLICAS_MAX}")));
    }
    let mut seen = BTreeSet::new();
    items
        .map(|item| {
            let name = name_of(&item)?;
            if seen.insert(name.clone()) {
                return Ok(name);
            }
            Err(item.error(format!("found {} twice, expected different names", quoted(&name))))
        })
        .collect()
}

/// At most so many units may be faulty: fault groups, and replicas of no group.
fn faults(table: &Table<'_>, replicas: &[ReplicaSpec], groups: &[FaultGroup]) -> Result<usize, FileError> {
    let grouped: usize = groups.iter().map(|group| group.members.len()).sum();
    let units = (replicas.len() + groups.len()).saturating_sub(grouped);
    let what = if units < replicas.len() { "fault groups" } else { "replicas" };
    let expected = format!("a whole number below the number of {what}, {units}");
    let most = units.saturating_sub(1) as u64;
    let faults = table.get("faults").map_or(Ok(0), |field| field.whole(&expected, 0, most))?;
    Ok(usize::try_from(faults).unwrap_or(usize::MAX))
}

/// The replicas with what sets them apart, from `replica.NAME.link` and `replica.NAME.noise`.
fn replicas(
    table: &Table<'_>,
    names: Vec<String>,
    published: &Published,
) -> Result<Vec<ReplicaSpec>, FileError> {
    let mut replicas: Vec<_> = names.into_iter().map(ReplicaSpec::new).collect();
    let Some(field) = table.get("replica") else { return Ok(replicas) };
    let overrides = field.table("a table by replica")?;
    for field in overrides.entries() {
        let Some(position) = replicas.iter().position(|replica| replica.name == field.key) else {
            let known = expected_one_of(field.key, replicas.iter().map(|replica| replica.name.as_str()));
            return Err(field.error(format!("unknown replica, expected {known}")));
        };
        let own = field.table("a table with link or noise")?;
        own.only(&["link", "noise"])?;
        if let Some(replica) = replicas.get_mut(position) {
            replica.link = own.get("link").map(|field| link(&field, published)).transpose()?;
            replica.noise = reference(&own, "noise", published)?;
        }
    }
    Ok(replicas)
}

/// Fault groups by name, each a list of replicas' names.
fn groups(table: &Table<'_>, replicas: &[ReplicaSpec]) -> Result<Vec<FaultGroup>, FileError> {
    let Some(field) = table.get("groups") else { return Ok(Vec::new()) };
    let mut group_of: BTreeMap<usize, &str> = BTreeMap::new();
    let mut groups = Vec::new();
    for field in field.table("a table of fault groups by name")?.entries() {
        names::check(field.key).map_err(|problem| field.error(problem))?;
        let items = field.list("a list of the replicas of the group")?;
        if items.len() == 0 {
            return Err(field.error("found no replica, expected at least one"));
        }
        let mut members = Vec::with_capacity(items.len().min(replicas.len()));
        for item in items {
            let position = position_of(&item, replicas)?;
            if let Some(other) = group_of.insert(position, field.key) {
                let found = quoted(item.text("a replica's name")?);
                let problem = if other == field.key {
                    format!("found {found} twice, expected each replica once")
                } else {
                    format!("found {found}, which is in the group {} too, expected it in one", quoted(other))
                };
                return Err(item.error(problem));
            }
            members.push(position);
        }
        groups.push(FaultGroup { name: field.key.to_owned(), members });
    }
    Ok(groups)
}

/// The position of the replica that is named.
fn position_of(field: &Field<'_, '_>, replicas: &[ReplicaSpec]) -> Result<usize, FileError> {
    let name = field.text("a replica's name")?;
    replicas.iter().position(|replica| replica.name == name).ok_or_else(|| {
        let known = expected_one_of(name, replicas.iter().map(|replica| replica.name.as_str()));
        field.error(format!("found {}, expected {known}", quoted(name)))
    })
}

/// A value that is one of a few words.
fn word<T: Copy>(field: &Field<'_, '_>, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, FileError> {
    let list = || expected_one_of("", all.iter().map(|&item| name(item)));
    let text = field.text(&list())?;
    all.iter().copied().find(|&item| name(item) == text).ok_or_else(|| {
        let expected = expected_one_of(text, all.iter().map(|&item| name(item)));
        field.error(format!("found {}, expected {expected}", quoted(text)))
    })
}

const SUPPORT: &str = "a grid such as { min = 0, step = 1, points = 101 }";

fn support(field: &Field<'_, '_>) -> Result<Support, FileError> {
    let table = field.table(SUPPORT)?;
    table.only(&["min", "step", "points"])?;
    let min = table.require("min", "a number")?.number()?;
    let step_field = table.require("step", "a number above 0")?;
    let step = step_field.number_that("a number above 0", |step| step > 0.0)?;
    let expected = format!("a whole number, 1 to {POINTS_MAX}");
    let points = table.require("points", &expected)?.whole(&expected, 1, POINTS_MAX as u64)?;
    let points = usize::try_from(points).unwrap_or(usize::MAX);
    Support::new(min, step, points).map_err(|error| {
        let at_fault = error.key.rsplit('.').next().and_then(|key| table.get(key)).unwrap_or(step_field);
        at_fault.error(error.problem)
    })
}

fn prior(field: &Field<'_, '_>, published: &Published) -> Result<PriorSpec, FileError> {
    if field.is_text() && field.text("")? == UNIFORM {
        return Ok(PriorSpec::Uniform);
    }
    if !field.is_text() {
        let table = field.table("\"uniform\", a distribution or { from = \"previous\", … }")?;
        if let Some(from) = table.get("from") {
            return following(&table, &from, published);
        }
    }
    resolve(field, published).map(PriorSpec::Fixed)
}

fn following(table: &Table<'_>, from: &Field<'_, '_>, published: &Published) -> Result<PriorSpec, FileError> {
    table.only(&["from", "step", "initial", "leak"])?;
    let expected = "\"previous\"";
    let text = from.text(expected)?;
    if text != "previous" {
        return Err(from.error(format!("found {}, expected {expected}", quoted(text))));
    }
    let step = resolve(&table.require("step", "the distribution of the move to the next round")?, published)?;
    let initial = match table.get("initial") {
        Some(field) if field.is_text() && field.text("")? == UNIFORM => None,
        Some(field) => Some(resolve(&field, published)?),
        None => None,
    };
    let leak = table.get("leak").map_or(Ok(LEAK_DEFAULT), |field| probability(&field))?;
    Ok(PriorSpec::Following { step, initial, leak })
}

fn probability(field: &Field<'_, '_>) -> Result<f64, FileError> {
    field.number_that("a probability, 0 to 1", |p| (0.0..=1.0).contains(&p))
}

const OUTPUT: &str = "a table with the computation";

fn output(table: &Table<'_>, published: &Published) -> Result<OutputSpec, FileError> {
    table.only(&["computation", "messages", "arrival", "deadline", "source", "noise"])?;
    let expected = expected_one_of("", Computation::ALL.iter().map(|c| c.name()));
    let computation = word(&table.require("computation", &expected)?, &Computation::ALL, Computation::name)?;
    let deadline = table.get("deadline").map(|field| field.number()).transpose()?;
    let arrival = reference(table, "arrival", published)?;
    if arrival.is_some() && deadline.is_none() {
        return Err(table.missing("deadline", "the replica's deadline, as arrival is given"));
    }
    Ok(OutputSpec {
        computation,
        messages: table.get("messages").map_or(Ok(Vec::new()), |field| messages(&field))?,
        arrival,
        deadline,
        source: reference(table, "source", published)?,
        noise: reference(table, "noise", published)?,
    })
}

/// Emission offsets: as they are, or `count` of them `period` apart from 0 on.
fn messages(field: &Field<'_, '_>) -> Result<Vec<f64>, FileError> {
    if field.is_list() {
        let items = field.list("")?;
        let found = items.len();
        if found > MESSAGES_MAX {
            return Err(field.error(format!("found {found} messages, expected at most {MESSAGES_MAX}")));
        }
        return items.map(|item| item.number()).collect();
    }
    let table = field.table("a list of offsets in seconds or { count = 60, period = 1.0 }")?;
    table.only(&["count", "period"])?;
    let expected = format!("a whole number of messages, 1 to {MESSAGES_MAX}");
    let count = table.require("count", &expected)?.whole(&expected, 1, MESSAGES_MAX as u64)?;
    let expected = "seconds, 0 or more";
    let period_fits = |period: f64| period >= 0.0 && (period * count as f64).is_finite();
    let period = table.require("period", expected)?.number_that(expected, period_fits)?;
    Ok((0..count).map(|message| message as f64 * period).collect())
}

fn link(field: &Field<'_, '_>, published: &Published) -> Result<Link, FileError> {
    let table = field.table("a link such as { arrival = \"hop\", deadline = 0.06 } or { on_time = 0.97 }")?;
    table.only(&["arrival", "deadline", "on_time"])?;
    if let Some(on_time) = table.get("on_time") {
        if let Some(other) = table.get("arrival").or_else(|| table.get("deadline")) {
            return Err(
                other.error("found beside on_time, expected arrival and deadline or on_time, not both")
            );
        }
        return probability(&on_time).map(Link::OnTime);
    }
    let arrival = table.require("arrival", "the distribution of the latency, or on_time")?;
    let deadline = table.require("deadline", "seconds after the replica sent")?.number()?;
    Ok(Link::Latency { arrival: resolve(&arrival, published)?, deadline })
}

fn reference(
    table: &Table<'_>,
    key: &str,
    published: &Published,
) -> Result<Option<DistributionRef>, FileError> {
    table.get(key).map(|field| resolve(&field, published)).transpose()
}

/// A published distribution by its name, or one said in place.
fn resolve(field: &Field<'_, '_>, published: &Published) -> Result<DistributionRef, FileError> {
    if !field.is_text() {
        let table = field.table("a published distribution's name or an inline distribution")?;
        return distribution::read(&table).map(DistributionRef::Inline);
    }
    let name = field.text("")?;
    if published.contains_key(name) {
        return Ok(DistributionRef::Named(name.to_owned()));
    }
    let known = expected_one_of(name, published.keys().map(String::as_str));
    Err(field
        .error(format!("found {}, expected the name of a published distribution ({known})", quoted(name))))
}
