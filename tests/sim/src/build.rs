//! Roles as a plan has them, from what is on their disks.

use std::sync::Arc;

use centauri_engine::{Fleet, ScalarBackend, Session, SimdBackend};
use centauri_roles::{
    Catalogue, Client, ClientConfig, ClientShard, ClientStream, ComputationUpstream, ConfigError, Estimated,
    Monitor, MonitorConfig, Monitored, NamedStream, Replica, ReplicaConfig, ReplicaStream, RoundTiming,
    SamplePolicy, Sharding, Source, SourceConfig, SourceStream, StreamQuery, Upstream, Windows,
};
use centauri_wire::{KeyFile, Limits, NodeId, Registry, SampleKind, SigningIdentity, StreamId};

use crate::{CLIENT, Dice, Disk, MONITOR, MS, Plan, StreamPlan, address, source_id};

/// The name of the distribution of replicas' noise, which the models use.
pub(crate) const NOISE: &str = "noise";
/// That of the latency from replicas to the client, which the model set has and no stream uses.
pub(crate) const LINK: &str = "link";
/// That of the latency from sources to replicas, which no model has.
pub(crate) const UPLINK: &str = "uplink";

const KEY_FILE: &str = "node.key";
const REGISTRY_FILE: &str = "registry.toml";

/// What a node finds when it starts.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) identity: SigningIdentity,
    pub(crate) registry: Arc<Registry>,
    /// What its clock shows.
    pub(crate) now_ns: i64,
    /// It accepts no timestamp before this.
    pub(crate) floor_ns: i64,
    /// By the stream's place, the rounds before which none is to be decided; empty for no such bound.
    pub(crate) first_rounds: Vec<i64>,
}

/// Puts on a new node's disk what whoever sets it up does.
pub(crate) fn install(disk: &mut dyn Disk, key: &KeyFile, registry: &Registry) -> bool {
    let key = disk.write(KEY_FILE, key.to_text().as_bytes());
    disk.write(REGISTRY_FILE, registry.to_toml().as_bytes()) && key
}

/// What the node finds on its disk; an error in words if that is not what it needs.
pub(crate) fn start(disk: &dyn Disk, node: NodeId, now_ns: i64) -> Result<Start, String> {
    let text = |file: &str| {
        let bytes = disk.read(file).ok_or_else(|| format!("{file} is not there"))?;
        String::from_utf8(bytes).map_err(|error| format!("{file}: {error}"))
    };
    let key = KeyFile::parse(&text(KEY_FILE)?).map_err(|error| error.to_string())?;
    let registry = Registry::parse(&text(REGISTRY_FILE)?).map_err(|error| error.to_string())?;
    Ok(Start {
        identity: key.identity(node),
        registry: Arc::new(registry),
        now_ns,
        floor_ns: now_ns,
        first_rounds: Vec::new(),
    })
}

/// A receiver that starts has forgotten what it accepted, so nothing from before counts.
pub(crate) fn limits(plan: &Plan, now_ns: i64) -> Limits {
    Limits { not_before_ns: now_ns, ..plan.limits }
}

/// The same of a client, which may have kept on its disk how far it has accepted timestamps.
pub(crate) fn client_limits(plan: &Plan, floor_ns: i64) -> Limits {
    let limits = limits(plan, floor_ns);
    let ahead_ns = plan.disk.as_ref().map(|disk| disk.reservation.clock_ahead_ns.unsigned_abs());
    Limits { future_ns: ahead_ns.map_or(limits.future_ns, |ahead| limits.future_ns.min(ahead)), ..limits }
}

/// The readings of a source from a time of its clock on, with the number of the first.
pub(crate) fn readings(plan: &Plan, place: usize, from_ns: i64) -> (i64, Vec<(i64, f64)>) {
    let clock = plan.clock(source_id(place));
    let every = plan.reading_every_ns.max(1);
    let (begin, end) = (clock.shows_ns(0) + place as i64 * MS, clock.shows_ns(plan.length_ns));
    let first = (from_ns - begin + every - 1).div_euclid(every).max(0);
    let reading = |number: i64| {
        let at_ns = begin + number * every;
        let mut dice = Dice::new(plan.seed, (place as u64 + 1) << 32 | number as u64);
        (at_ns, plan.truth(at_ns) + 0.5 * dice.normal())
    };
    let all = (first..).map(reading).take_while(|(at_ns, _)| *at_ns <= end);
    (first, all.collect())
}

pub(crate) fn source(plan: &Plan, place: usize, start: Start) -> Result<Source, ConfigError> {
    let (first_sequence, readings) = readings(plan, place, start.now_ns);
    let config = SourceConfig {
        limits: limits(plan, start.now_ns),
        subscribers: plan.subscribers,
        name: Plan::source_name(place),
        first_sequence,
        ..SourceConfig::new(StreamId(source_id(place).0))
    };
    Source::new(&config, start.registry, start.identity, Box::new(readings.into_iter()), start.now_ns)
}

pub(crate) fn windows(stream: &StreamPlan) -> Result<Windows, ConfigError> {
    Windows::new(stream.epoch_ns, stream.period_ns)
}

fn samples(plan: &Plan) -> Option<SamplePolicy> {
    let every = plan.publish_every_ns?;
    let usual = SamplePolicy::new(address(MONITOR));
    let (share_ppm, frames_per_s_max) = (1_000_000, 1_000);
    Some(SamplePolicy { values_max: 8, every_ns: (every / 3).max(1), share_ppm, frames_per_s_max, ..usual })
}

/// A logical stream that is computed from these, without samples.
pub(crate) fn computed(
    stream: &StreamPlan,
    sources: Vec<SourceStream>,
) -> Result<ReplicaStream, ConfigError> {
    Ok(ReplicaStream {
        stream: StreamId(stream.number),
        sources,
        windows: windows(stream)?,
        deadline_ns: stream.replica_deadline_ns,
        computation: stream.computation,
        readings_per_source_max: 8,
        latency: None,
        residuals: None,
        steps: None,
    })
}

/// What replicas compute from on request: the sources, in plans in which that is asked for.
fn catalogue(plan: &Plan) -> Result<Catalogue, ConfigError> {
    let named = |place: usize| {
        let node = source_id(place);
        NamedStream { name: Plan::source_name(place), node, stream: StreamId(node.0), address: address(node) }
    };
    let count = if plan.computes_on_request() { plan.sources } else { 0 };
    Catalogue::new((0..count).map(named).collect())
}

pub(crate) fn replica(plan: &Plan, place: usize, start: Start) -> Result<Replica, ConfigError> {
    let liar = plan.liars.get(&place).cloned().unwrap_or_default();
    let from = |place: usize| {
        let node = source_id(place);
        SourceStream { node, stream: StreamId(node.0) }
    };
    let stream = |stream: &StreamPlan| {
        let named = |name: &str| Some(name.to_owned());
        let sources = (0..plan.sources).map(from).collect();
        Ok(ReplicaStream { latency: named(UPLINK), residuals: named(NOISE), ..computed(stream, sources)? })
    };
    let upstream = |place: usize| {
        let node = source_id(place);
        Upstream { node, address: address(node), query: StreamQuery::All }
    };
    let config = ReplicaConfig {
        streams: plan.own_streams().map(stream).collect::<Result<_, ConfigError>>()?,
        catalogue: catalogue(plan)?,
        subscribers: plan.subscribers,
        upstreams: (0..plan.sources).map(upstream).collect(),
        request: plan.request,
        samples: samples(plan),
        limits: limits(plan, start.now_ns),
        behaviour: liar.behaviour,
        sample_offset: liar.sample_offset,
        ..ReplicaConfig::default()
    };
    Replica::new(&config, start.registry, start.identity, start.now_ns)
}

pub(crate) fn monitor(plan: &Plan, start: Start) -> Result<Monitor, ConfigError> {
    let monitored = |name: &str, kind, family, centred| Monitored {
        centred,
        scale_min: 0.25,
        samples_min: 4,
        ..Monitored::new(name, kind, family)
    };
    let every_ns = plan.publish_every_ns.unwrap_or(1_000 * MS);
    let config = MonitorConfig {
        monitored: vec![
            monitored(NOISE, SampleKind::Output, Estimated::Normal, true),
            monitored(LINK, SampleKind::Latency, Estimated::Exponential, false),
            monitored(UPLINK, SampleKind::Latency, Estimated::Exponential, false),
        ],
        publish_every_min_ns: every_ns,
        publish_every_max_ns: 3 * every_ns,
        publish_again_ns: 2 * every_ns,
        targets: vec![address(CLIENT)],
        limits: limits(plan, start.now_ns),
        ..MonitorConfig::default()
    };
    Monitor::new(&config, start.registry, start.identity, start.now_ns)
}

pub(crate) fn client_config(
    plan: &Plan,
    limits: Limits,
    first_rounds: &[i64],
) -> Result<ClientConfig, ConfigError> {
    let replicas: Vec<NodeId> = (0..plan.replicas).map(|place| plan.replica(place)).collect();
    let stream = |(place, stream): (usize, &StreamPlan)| {
        Ok(ClientStream {
            name: stream.number.to_string(),
            stream: StreamId(stream.number),
            replicas: replicas.clone(),
            timing: RoundTiming { windows: windows(stream)?, close_after_ns: stream.close_after_ns },
            first_round: first_rounds.get(place).copied().unwrap_or(i64::MIN),
        })
    };
    let own: Vec<StreamId> = plan.own_streams().map(|stream| StreamId(stream.number)).collect();
    // Whoever asks for everything gets what others have computed, too.
    let query = if plan.computes_on_request() { StreamQuery::of(own.clone()) } else { StreamQuery::All };
    let upstream = |&node: &NodeId| Upstream { node, address: address(node), query: query.clone() };
    let upstreams = if own.is_empty() { Vec::new() } else { replicas.iter().map(upstream).collect() };
    Ok(ClientConfig {
        streams: plan.streams.iter().enumerate().map(stream).collect::<Result<_, ConfigError>>()?,
        upstreams,
        computations: computations(plan, &replicas)?,
        followers: plan.subscribers,
        request: plan.request,
        latencies: replicas.iter().map(|node| (*node, LINK.to_owned())).collect(),
        samples: samples(plan),
        health: plan.health,
        limits,
        verifier: plan.verifier,
        pacing: plan.pacing,
        evidence_bytes: plan.evidence_bytes,
        distributions: plan.distributions,
        ..ClientConfig::default()
    })
}

/// What is asked of each replica.
fn computations(plan: &Plan, replicas: &[NodeId]) -> Result<Vec<ComputationUpstream>, ConfigError> {
    let mut all = Vec::new();
    for stream in &plan.streams {
        let Some(asked) = &stream.asked else { continue };
        let query = asked.query.parse::<centauri_roles::ComputationQuery>()?;
        all.extend(replicas.iter().map(|&node| ComputationUpstream {
            node,
            address: address(node),
            query: query.clone(),
            every_ns: stream.period_ns,
            validity_ns: asked.validity_ns,
        }));
    }
    Ok(all)
}

pub(crate) fn session(plan: &Plan, fleet: &Fleet) -> Session {
    if plan.simd {
        Session::new(fleet.clone(), Box::new(SimdBackend::new()))
    } else {
        Session::new(fleet.clone(), Box::new(ScalarBackend::new()))
    }
}

/// The client in one piece; without its floor of timestamps if a bug is to be simulated.
pub(crate) fn client(
    plan: &Plan,
    fleet: &Fleet,
    start: Start,
    has_floor: bool,
) -> Result<Client, ConfigError> {
    let limits = if has_floor { client_limits(plan, start.floor_ns) } else { plan.limits };
    let config = client_config(plan, limits, &start.first_rounds)?;
    Client::new(&config, start.registry, start.identity, session(plan, fleet), start.now_ns)
}

pub(crate) fn shards(plan: &Plan, fleet: &Fleet, start: Start) -> Result<Vec<ClientShard>, ConfigError> {
    let config = client_config(plan, client_limits(plan, start.floor_ns), &start.first_rounds)?;
    let sessions = (0..plan.shards).map(|_| session(plan, fleet)).collect();
    let Start { identity, registry, now_ns, .. } = start;
    ClientShard::group(&config, &registry, &identity, sessions, now_ns, sharding(plan))
}

/// How a divided client is divided: queues that hold more than any step brings.
pub(crate) fn sharding(plan: &Plan) -> Sharding {
    Sharding {
        count: plan.shards,
        shard_of: |number, count| (number as usize).checked_rem(count).unwrap_or(0),
        queue_records: 1 << 16,
    }
}
