//! A replica, of sources or of replicas.

use super::{DecidesTable, Parts, ReplicaStreamTable, ReplicaTable};
use crate::backends::{self, BackendChoice, OpenOptions};
use crate::clock::now_ns;
use crate::node::Node;
use crate::serve::{Compiler, nanoseconds, prepare_streams, use_distributions};
use anyhow::{anyhow, bail};
use centauri_engine::Session;
use centauri_roles::{
    Catalogue, ClientConfig, ComputationLimits, Effect, NamePattern, NamedStream, Relay, Replica,
    ReplicaConfig, ReplicaStream, SamplePolicy, SourceStream, StreamQuery, Upstream, Windows,
};
use centauri_wire::StreamId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;

pub(super) fn run(parts: &Parts<'_>, table: &ReplicaTable, stop: &AtomicUsize) -> anyhow::Result<()> {
    let catalogue = catalogue(parts, table)?;
    let decided = table.decides.as_ref().map(DecidesTable::names).transpose()?.unwrap_or_default();
    let mut streams = Vec::with_capacity(table.streams.len());
    for stream in &table.streams {
        streams.push(replica_stream(parts, stream, &catalogue, &decided)?);
    }
    let names = table.streams.iter().filter_map(|s| Some((StreamId(s.id), s.name.clone()?))).collect();
    let config = ReplicaConfig {
        upstreams: upstreams(&streams, &catalogue),
        streams,
        names,
        catalogue,
        computations: ComputationLimits {
            computations_max: table.computations_max,
            overlap_max: table.overlap_max,
            ..ComputationLimits::default()
        },
        samples: samples(table)?,
        subscribers: parts.subscribers,
        limits: parts.limits,
        ..ReplicaConfig::default()
    };
    let end = |replica: &mut Replica, now, effects: &mut _| replica.stop(now, effects);
    let Some(decides) = &table.decides else {
        let replica = Replica::new(&config, parts.registry.clone(), parts.identity.clone(), now_ns())?;
        return parts.drive(parts.open(replica)?, stop, |_| Ok(()), end);
    };
    let mut prepared = prepare_streams(
        &decides.model,
        &parts.config.registry,
        &decides.streams,
        &decides.upstreams,
        &parts.registry,
    )?;
    let mut client = ClientConfig {
        streams: prepared.streams,
        spreads: prepared.spreads,
        upstreams: prepared.upstreams,
        computations: prepared.computations,
        limits: parts.limits,
        ..ClientConfig::default()
    };
    use_distributions(&mut client, &mut prepared.fleet, parts.found.distributions.clone());
    let options = OpenOptions { rounds_max: Some(client.streams.len()), ..OpenOptions::default() };
    let compiler = RefCell::new(Compiler::new(prepared.fleet.clone()));
    let session = Session::new(prepared.fleet, backends::open(BackendChoice::Simd, &options)?.backend);
    let relay = Relay::new(&client, &config, &parts.registry, &parts.identity, session, now_ns())?;
    let end = |relay: &mut Relay, now, effects: &mut _| relay.stop(now, effects);
    let install = |node: &mut Node<Relay>| {
        if let Some(fleet) = compiler.borrow_mut().finished()
            && let Err(error) = node.role_mut().install(fleet)
        {
            tracing::warn!(%error, "a published distribution is not used");
        }
        Ok(())
    };
    let see = |effect: Effect<'_>| {
        if let Effect::Published { name, distribution } = &effect {
            compiler.borrow_mut().publish(name, distribution);
        }
        super::tell(effect);
    };
    parts.drive_seeing(parts.open(relay)?, stop, install, see, end)
}

impl DecidesTable {
    /// Names and numbers of what is decided.
    fn names(&self) -> anyhow::Result<BTreeMap<&str, StreamId>> {
        self.streams.iter().map(|stream| Ok((stream.name.as_str(), stream.stream()?))).collect()
    }
}

/// Where samples go. Which values are sampled nobody is to foresee.
fn samples(table: &ReplicaTable) -> anyhow::Result<Option<SamplePolicy>> {
    let Some(samples) = &table.samples else { return Ok(None) };
    let mut seed = [0; 8];
    if let Err(error) = getrandom::fill(&mut seed) {
        bail!("the operating system gives no randomness: {error}");
    }
    Ok(Some(SamplePolicy { seed: u64::from_le_bytes(seed), ..SamplePolicy::new(samples.monitor) }))
}

fn catalogue(parts: &Parts<'_>, table: &ReplicaTable) -> anyhow::Result<Catalogue> {
    let named = |entry: &super::NamedTable| {
        let node = parts.node("replica.catalogue", &entry.node)?;
        let stream = StreamId(entry.stream);
        anyhow::Ok(NamedStream { name: entry.name.clone(), node, stream, address: entry.address })
    };
    let all = table.catalogue.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    Ok(Catalogue::new(all)?)
}

fn replica_stream(
    parts: &Parts<'_>,
    table: &ReplicaStreamTable,
    catalogue: &Catalogue,
    decided: &BTreeMap<&str, StreamId>,
) -> anyhow::Result<ReplicaStream> {
    let mut sources = Vec::new();
    for name in &table.sources {
        if let Some(&stream) = decided.get(name.as_str()) {
            sources.push(SourceStream { node: parts.identity.id(), stream });
            continue;
        }
        let pattern: NamePattern =
            name.parse().map_err(|error| anyhow!("replica.streams {}: sources: {error}", table.id))?;
        let found = catalogue.matching(&[pattern]);
        if found.is_empty() {
            bail!(
                "replica.streams {}: sources: found {name:?}, expected a name or pattern of the catalogue or of what is decided",
                table.id
            );
        }
        sources.extend(found.into_iter().map(|s| SourceStream { node: s.node, stream: s.stream }));
    }
    sources.sort_unstable();
    sources.dedup();
    let (epoch, period) = (nanoseconds(table.epoch_s), nanoseconds(table.period_s));
    let length = table.length_s.map_or(period, nanoseconds);
    Ok(ReplicaStream {
        stream: StreamId(table.id),
        sources,
        windows: Windows::sliding(epoch, period, length)?,
        deadline_ns: nanoseconds(table.deadline_s),
        computation: table.computation()?,
        readings_per_source_max: table.readings_per_source_max,
        latency: table.latency.clone(),
        residuals: table.residuals.clone(),
        steps: table.steps.clone(),
    })
}

/// Who is asked for what the streams are computed from.
fn upstreams(streams: &[ReplicaStream], catalogue: &Catalogue) -> Vec<Upstream> {
    let needed = |s: &NamedStream| {
        let source = SourceStream { node: s.node, stream: s.stream };
        streams.iter().any(|stream| stream.sources.contains(&source))
    };
    let mut by_node = BTreeMap::new();
    for source in catalogue.iter().filter(|source| needed(source)) {
        by_node.entry((source.node, source.address)).or_insert_with(Vec::new).push(source.stream);
    }
    let upstream = |((node, address), streams)| Upstream { node, address, query: StreamQuery::of(streams) };
    by_node.into_iter().map(upstream).collect()
}
