//! Computations that a replica does because it was asked to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use centauri_wire::{NodeId, Outcome, Registry, Role as NodeRole, StreamId};

use super::SourceStream;
use crate::error::check_number;
use crate::requests::{
    Asked, Catalogue, Grant, NamedStream, Planned, Query, Reason, Refusal, Terms, Wanted, resolve_own,
};
use crate::{ConfigError, READINGS_PER_WINDOW_MAX, ReplicaStream, StreamQuery, Windows};

/// Bounds on the computations that a replica does on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComputationLimits {
    /// The most different computations at a time.
    pub computations_max: usize,
    /// The most streams that one is computed from.
    pub sources_max: usize,
    /// The most readings of one source in one window.
    pub readings_per_source_max: usize,
    /// The longest time that a window may be kept open, in nanoseconds.
    pub by_max_ns: i64,
    /// The most windows that a reading may lie in: each costs about as much as another reading.
    pub overlap_max: u32,
}

impl Default for ComputationLimits {
    /// 256 computations of at most 1,024 streams, 1,024 readings of each, an hour, 128 windows.
    fn default() -> Self {
        Self {
            computations_max: 256,
            sources_max: 1_024,
            readings_per_source_max: 1_024,
            by_max_ns: 3_600_000_000_000,
            overlap_max: 128,
        }
    }
}

/// A computation at work.
#[derive(Debug)]
pub(super) struct Plan {
    /// All that makes a difference to its results.
    key: String,
    /// Its place among the logical streams.
    pub(super) logical: usize,
    sources: Vec<NamedStream>,
}

/// What is computed on request, and from what it can be.
#[derive(Debug)]
pub(super) struct Plans {
    limits: ComputationLimits,
    /// Windows ahead of the clock's that are held.
    ahead: u32,
    pub(super) catalogue: Catalogue,
    /// Names of the replica's own streams.
    names: BTreeMap<StreamId, String>,
    pub(super) running: BTreeMap<StreamId, Plan>,
}

/// What a node is to be asked for, and on behalf of which stream.
#[derive(Debug, Clone)]
pub(super) struct Need {
    pub(super) node: NodeId,
    pub(super) address: SocketAddr,
    /// The computation that alone needs it; `None` for what computations need of sources together.
    pub(super) plan: Option<StreamId>,
    pub(super) streams: StreamQuery,
}

impl Need {
    pub(super) fn reason(&self) -> Reason {
        self.plan.map_or(Reason::Several, Reason::Stream)
    }
}

impl Plans {
    pub(super) fn new(
        (limits, ahead): (ComputationLimits, u32),
        catalogue: Catalogue,
        names: BTreeMap<StreamId, String>,
    ) -> Result<Self, ConfigError> {
        let within = |found: usize, most: usize| (1..=most).contains(&found);
        let (sources, readings) = (limits.sources_max, limits.readings_per_source_max);
        let good = within(sources, READINGS_PER_WINDOW_MAX);
        check_number("computations.sources_max", sources as i128, good, "1 to 65,536")?;
        let good = within(readings, READINGS_PER_WINDOW_MAX);
        check_number("computations.readings_per_source_max", readings as i128, good, "1 to 65,536")?;
        Ok(Self { limits, ahead, catalogue, names, running: BTreeMap::new() })
    }

    pub(super) fn name(&self, stream: StreamId) -> Option<&str> {
        self.names.get(&stream).map(String::as_str)
    }

    /// What there is for a query. A computation that is granted need not run yet.
    pub(super) fn resolve(
        &self,
        query: &Query,
        terms: Terms,
        own: impl Iterator<Item = StreamId> + Clone,
    ) -> Result<Grant, Refusal> {
        if let Asked::Computation(_) = &query.asked {
            let (planned, sources) = self.plan(query, terms)?;
            refuse_circle(query, sources.iter().map(|source| source.name.as_str()))?;
            return Ok(Grant { streams: Wanted::Computation(planned.stream()), count: 1 });
        }
        let named = own.clone().map(|stream| (stream, self.name(stream).unwrap_or_default()));
        let grant = resolve_own(query, named)?;
        let wanted = own.filter(|stream| grant.streams.contains(*stream));
        refuse_circle(query, wanted.filter_map(|stream| self.name(stream)))?;
        Ok(grant)
    }

    fn plan(&self, query: &Query, terms: Terms) -> Result<(Planned, Vec<NamedStream>), Refusal> {
        let Asked::Computation(computation) = &query.asked else {
            return Err(Refusal::new(Outcome::Query, "no computation"));
        };
        let planned = computation.planned(terms.period_ns, terms.validity_ns);
        let unknown = |what: String| Refusal::new(Outcome::Unknown, what);
        for pattern in &computation.sources {
            if self.catalogue.matching(std::slice::from_ref(pattern)).is_empty() {
                return Err(unknown(format!("no source is {pattern}")));
            }
        }
        let sources = self.catalogue.matching(&computation.sources);
        let (found, most) = (sources.len(), self.limits.sources_max);
        if found > most {
            return Err(Refusal::new(
                Outcome::Quota,
                format!("{found} sources, at most {most} are computed from"),
            ));
        }
        let most = self.limits.by_max_ns;
        if planned.by_ns > most || planned.over_ns > most {
            let reason = format!("windows are kept open for {most} ns at most");
            return Err(Refusal::new(Outcome::Quota, reason));
        }
        let every_ns = planned.every_ns.unsigned_abs().max(1);
        let (overlap, most) = (planned.over_ns.unsigned_abs().div_ceil(every_ns), self.limits.overlap_max);
        if overlap > u64::from(most) {
            let reason = format!("a reading would lie in {overlap} windows, at most {most} may overlap");
            return Err(Refusal::new(Outcome::Quota, reason));
        }
        let stream = planned.stream();
        match self.running.get(&stream) {
            Some(running) if running.key != planned.key() => {
                return Err(Refusal::new(Outcome::Full, "another computation has the same number"));
            }
            None if self.running.len() >= self.limits.computations_max => {
                let most = self.limits.computations_max;
                return Err(Refusal::new(Outcome::Full, format!("{most} computations run, no more can")));
            }
            _ => {}
        }
        let sources: Vec<NamedStream> = sources.into_iter().cloned().collect();
        // What it would be made of is tried before it is promised.
        let made = self.stream(&planned, &sources).and_then(|stream| stream.slots(self.ahead));
        made.map_err(|error| Refusal::new(Outcome::Quota, error.to_string()))?;
        Ok((planned, sources))
    }

    fn stream(&self, planned: &Planned, sources: &[NamedStream]) -> Result<ReplicaStream, ConfigError> {
        let shared = READINGS_PER_WINDOW_MAX / sources.len().max(1);
        Ok(ReplicaStream {
            stream: planned.stream(),
            sources: sources.iter().map(|s| SourceStream { node: s.node, stream: s.stream }).collect(),
            windows: Windows::sliding(0, planned.every_ns, planned.over_ns)?,
            deadline_ns: planned.by_ns,
            computation: planned.query.computation,
            readings_per_source_max: self.limits.readings_per_source_max.min(shared).max(1),
            latency: None,
            residuals: None,
            steps: None,
        })
    }

    /// The logical stream of a granted query, if it does not run yet.
    pub(super) fn begin(&self, query: &Query, terms: Terms) -> Option<Begun> {
        let (planned, sources) = self.plan(query, terms).ok()?;
        if self.running.contains_key(&planned.stream()) {
            return None;
        }
        let stream = self.stream(&planned, &sources).ok()?;
        let (above, validity_ns) = (planned.query.above, planned.validity_ns);
        Some(Begun { stream, above, validity_ns, key: planned.key(), sources })
    }

    pub(super) fn run(&mut self, begun: Begun, logical: usize) {
        let Begun { stream, key, sources, .. } = begun;
        self.running.insert(stream.stream, Plan { key, logical, sources });
    }

    /// What the running computations need, in the order of nodes.
    pub(super) fn needs(&self, registry: &Registry) -> Vec<Need> {
        let mut together: BTreeMap<(NodeId, Option<StreamId>), (SocketAddr, BTreeSet<StreamId>)> =
            BTreeMap::new();
        for (stream, plan) in &self.running {
            for source in &plan.sources {
                let role = registry.by_id(source.node).map(|node| node.role);
                // Only what replicas are asked for can close a circle.
                let on_behalf = (role == Some(NodeRole::Replica)).then_some(*stream);
                let entry =
                    together.entry((source.node, on_behalf)).or_insert((source.address, BTreeSet::new()));
                entry.1.insert(source.stream);
            }
        }
        let need = |((node, plan), (address, streams))| Need {
            node,
            address,
            plan,
            streams: StreamQuery::of(streams),
        };
        together.into_iter().map(need).collect()
    }

    /// Whether a circle's path can name the stream: a stream without a name is passed over.
    pub(super) fn is_named(&self, stream: StreamId) -> bool {
        self.names.contains_key(&stream) || self.running.contains_key(&stream)
    }

    /// What the stream is called in a circle's path.
    pub(super) fn label(&self, stream: StreamId) -> String {
        self.name(stream).map_or_else(|| format!("computation:{stream}"), str::to_owned)
    }
}

/// A computation that is to run.
pub(super) struct Begun {
    pub(super) stream: ReplicaStream,
    pub(super) above: Option<f64>,
    pub(super) validity_ns: Option<i64>,
    key: String,
    sources: Vec<NamedStream>,
}

/// Refuses what waits, by whatever way, for one of `wanted`.
fn refuse_circle<'a>(query: &Query, mut wanted: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let Some(name) = wanted.find(|name| query.via.iter().any(|via| via == name)) else { return Ok(()) };
    let way = query.via.iter().take_while(|via| *via != name);
    let path: Vec<&str> =
        std::iter::once(name).chain(way.map(String::as_str)).chain(std::iter::once(name)).collect();
    Err(Refusal::new(Outcome::Cycle, format!("a circle: {}", path.join(" → "))))
}
