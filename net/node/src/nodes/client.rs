//! A client that follows an engine's decisions.

use super::{ClientTable, Parts, Transport};
use crate::clock::now_ns;
use crate::connections::{ConnectionLimits, Connections};
use crate::node::Node;
use anyhow::{Context, ensure};
use centauri_roles::{Effect, Followed, Follower, FollowerConfig, RequestPolicy};
use centauri_uring::TcpConfig;
use centauri_wire::StreamId;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::AtomicUsize;

pub(super) fn run(parts: &Parts<'_>, table: &ClientTable, stop: &AtomicUsize) -> anyhow::Result<()> {
    let names: BTreeMap<u32, &str> = table.streams.iter().map(|(name, id)| (*id, name.as_str())).collect();
    ensure!(!names.is_empty(), "client.streams: found none, expected names and numbers");
    ensure!(names.len() == table.streams.len(), "client.streams: found a number twice, expected it once");
    let config = FollowerConfig {
        engine: parts.node("client", &table.engine)?,
        address: table.address,
        streams: names.keys().map(|id| StreamId(*id)).collect(),
        request: RequestPolicy::default(),
        limits: parts.limits,
    };
    let follower = Follower::new(&config, parts.registry.clone(), parts.identity.clone(), now_ns())?;
    let mut failed = None;
    let seen = |effect: Effect<'_>| match effect {
        Effect::Followed(followed) => {
            if let Err(error) = write(&names, &followed) {
                failed.get_or_insert(error);
            }
        }
        other => super::tell(other),
    };
    let mut node = parts.open(follower)?;
    if table.transport == Transport::Tcp {
        let driver = TcpConfig { choice: parts.driver_choice()?, ..TcpConfig::default() };
        let connections = Connections::new(centauri_uring::adopt_tcp(&driver)?, ConnectionLimits::default());
        node = node.listening(connections.dialling(table.address))?;
    }
    let mut dialled = 0;
    let between = |node: &mut Node<Follower>| {
        // What was asked on a connection before is answered there.
        let now_dialled = node.connections().map_or(0, Connections::dialled);
        if std::mem::replace(&mut dialled, now_dialled) != now_dialled {
            node.role_mut().ask_again(now_ns());
        }
        Ok(())
    };
    parts.drive_seeing(node, stop, between, seen, |follower, now, effects| {
        follower.stop(now, effects);
    })?;
    failed.map_or(Ok(()), |error| Err(error).context("standard output"))
}

/// A decision as a line of JSON, at once.
fn write(names: &BTreeMap<u32, &str>, followed: &Followed) -> std::io::Result<()> {
    let Followed { signed_ns, decision, .. } = followed;
    let name = names.get(&decision.stream.0).copied().unwrap_or_default();
    let status = if decision.decided { "decided" } else { "no_quorum" };
    let line = serde_json::json!({
        "stream": name,
        "round": decision.round,
        "status": status,
        "value": decision.value,
        "confidence": decision.confidence,
        "mean": decision.mean,
        "sd": decision.sd,
        "low": decision.low,
        "high": decision.high,
        "quorum": decision.quorum.positions().collect::<Vec<_>>(),
        "replicas": decision.replicas,
        "reports": decision.reported,
        "signed_ns": signed_ns,
    });
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush())
}
