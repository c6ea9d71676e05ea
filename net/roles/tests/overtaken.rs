//! Requests that their cancellation has overtaken.

mod common;

use centauri_roles::*;
use centauri_wire::{Request, RequestAction, StreamId};
use common::world::{S, World};
use common::*;

const MINUTE: u64 = 60_000_000_000;

fn replica() -> Replica {
    let named = NamedStream {
        name: "road".to_owned(),
        node: SOURCES[0],
        stream: StreamId(5),
        address: address(SOURCES[0]),
    };
    let config =
        ReplicaConfig { catalogue: Catalogue::new(vec![named]).unwrap(), ..ReplicaConfig::default() };
    Replica::new(&config, registry(), identity(REPLICAS[0]), 0).unwrap()
}

fn signed(at_ns: i64, request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(at_ns, REPLICAS[0], &identity(CLIENT), &mut bytes).unwrap();
    bytes
}

#[test]
fn a_start_that_comes_after_its_cancellation_begins_nothing() {
    let second = 1_000_000_000;
    let started = |at_ns| signed(at_ns, &start(1, "mean(road)", MINUTE, second, MINUTE));
    let cancelled = |at_ns| signed(at_ns, &Request { request_id: 1, action: RequestAction::Cancel });
    for was_served in [false, true] {
        let mut world = World::new();
        world.add(REPLICAS[0], replica(), 0);
        world.run(S);
        if was_served {
            world.send(CLIENT, REPLICAS[0], &started(S));
            world.run(S + 10 * MS);
        }
        world.send(CLIENT, REPLICAS[0], &cancelled(S + 20 * MS));
        world.run(S + 30 * MS);
        // A renewal that was signed before, and had the longer way.
        world.send(CLIENT, REPLICAS[0], &started(S + 15 * MS));
        world.run(2 * S);
        let count = |name| world.count(REPLICAS[0], name);
        assert_eq!(count("requests_outdated"), 1);
        assert_eq!(count("computations_begun"), u64::from(was_served));
        assert_eq!(count("computations_begun"), count("computations_ended"), "nothing runs");
        // What is asked for afterwards is another matter.
        world.send(CLIENT, REPLICAS[0], &started(2 * S));
        world.run(3 * S);
        let count = |name| world.count(REPLICAS[0], name);
        assert_eq!(count("computations_begun"), count("computations_ended") + 1);
    }
}

#[test]
fn an_outdated_request_does_not_keep_what_has_expired_running() {
    let second = 1_000_000_000;
    let mut replica = replica();
    let mut take = |now_ns: i64, signed_ns: i64, request: Request<'_>| {
        let bytes = signed(signed_ns, &request);
        assert!(replica.handle(now_ns, address(CLIENT), &bytes, &mut Effects::new()));
        count(&replica, "computations_begun") - count(&replica, "computations_ended")
    };
    let long = |text| start(1, text, MINUTE, second, MINUTE);
    assert_eq!(take(S, S, long("mean(road)")), 1);
    assert_eq!(take(S + 10 * MS, S + 10 * MS, start(2, "max(road)", second, second, MINUTE)), 2);
    // Nobody has called it since the second expired; what comes is older than what it has of the first.
    assert_eq!(take(3 * S, S - 10 * MS, long("mean(road)")), 1);
    assert_eq!(count(&replica, "requests_outdated"), 1);
}
