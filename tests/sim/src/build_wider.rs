//! Roles besides those of a plain run: a later stage, replicas that wait for each other, followers.

use centauri_engine::Fleet;
use centauri_roles::{
    Client, ConfigError, Follower, FollowerConfig, Relay, Replica, ReplicaConfig, SourceStream, StreamQuery,
    Upstream,
};
use centauri_wire::StreamId;

use crate::build::{Start, client_config, computed, limits, session};
use crate::{CLIENT, LaterPlan, Plan, RingPlan, StreamPlan, address};

/// A client besides the client, which decides what `stage` says.
pub(crate) fn decider(stage: &Plan, fleet: &Fleet, start: Start) -> Result<Client, ConfigError> {
    let config = client_config(stage, limits(stage, start.now_ns), &[])?;
    Client::new(&config, start.registry, start.identity, session(stage, fleet), start.now_ns)
}

/// The relay at `place`, which decides what `stage` says.
pub(crate) fn relay(
    (stage, later): (&Plan, &LaterPlan),
    place: usize,
    fleet: &Fleet,
    start: &Start,
) -> Result<Relay, ConfigError> {
    let limits = limits(stage, start.now_ns);
    let client = client_config(stage, limits, &[])?;
    let node = start.identity.id();
    let from = |stream: &StreamPlan| SourceStream { node, stream: StreamId(stream.number) };
    let behaviour = later.liars.get(&place).map(|liar| liar.behaviour.clone());
    let replica = ReplicaConfig {
        streams: vec![computed(&later.stream, stage.streams.iter().map(from).collect())?],
        request: stage.request,
        subscribers: stage.subscribers,
        limits,
        behaviour: behaviour.unwrap_or_default(),
        ..ReplicaConfig::default()
    };
    let session = session(stage, fleet);
    Relay::new(&client, &replica, &start.registry, &start.identity, session, start.now_ns)
}

/// The replica at `place` of those that wait for each other.
pub(crate) fn ring(plan: &Plan, ring: RingPlan, place: usize, start: Start) -> Result<Replica, ConfigError> {
    let (own, name) = RingPlan::stream(place);
    let (node, number) = ring.source(place);
    let from = SourceStream { node, stream: StreamId(number) };
    let streams = plan.streams.iter().take(1).map(|first| {
        let stream = StreamPlan { number: own, ..first.clone() };
        computed(&stream, vec![from])
    });
    let config = ReplicaConfig {
        streams: streams.collect::<Result<_, ConfigError>>()?,
        upstreams: vec![Upstream {
            node,
            address: address(node),
            query: StreamQuery::of([StreamId(number)]),
        }],
        request: plan.request,
        subscribers: plan.subscribers,
        names: [(StreamId(own), name)].into(),
        limits: limits(plan, start.now_ns),
        ..ReplicaConfig::default()
    };
    Replica::new(&config, start.registry, start.identity, start.now_ns)
}

/// A follower of the client's decisions on all streams.
pub(crate) fn follower(plan: &Plan, start: Start) -> Result<Follower, ConfigError> {
    let config = FollowerConfig {
        engine: CLIENT,
        address: address(CLIENT),
        streams: plan.streams.iter().map(|stream| StreamId(stream.number)).collect(),
        request: plan.request,
        limits: limits(plan, start.now_ns),
    };
    Follower::new(&config, start.registry, start.identity, start.now_ns)
}
