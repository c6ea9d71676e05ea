//! From a configuration to the parts of a server.

use super::config::ServeConfig;
use super::proofs::Proofs;
use super::streams::{Computed, StreamConfig, UpstreamConfig};
use super::values::nanoseconds;
use crate::backends::{self, OpenOptions};
use crate::connections::Connections;
use anyhow::{Context, anyhow, bail};
use centauri_engine::{DistributionRef, Fleet, Link, ModelSet, Session, StreamSpec};
use centauri_files::{locate, parse_model, read_model_text};
use centauri_roles::{
    ClientConfig, ClientStream, ComputationUpstream, RoundTiming, Sharding, StreamQuery, Upstream, Windows,
};
use centauri_uring::{DatagramDriver, Steering};
use centauri_wire::{KeyFile, Limits, NodeEntry, NodeId, Registry, Role, SigningIdentity, StreamId};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Everything that a client needs but its sessions and its sockets.
pub(crate) struct Prepared {
    pub(crate) client: ClientConfig,
    pub(crate) registry: Arc<Registry>,
    pub(crate) identity: SigningIdentity,
    pub(crate) fleet: Fleet,
}

pub(crate) fn prepare(config: &ServeConfig) -> anyhow::Result<Prepared> {
    let registry = read_registry(&config.registry)?;
    let roles = [Role::Engine, Role::Client];
    let identity = own_identity(&config.registry, &registry, &config.node, &config.key, &roles)?;
    let prepared =
        prepare_streams(&config.model, &config.registry, &config.streams, &config.upstreams, &registry)?;
    let Streams { streams, spreads, upstreams, computations, fleet } = prepared;
    let limits = limits(config.freshness_s);
    // Frames are kept only where there is a place for proofs.
    let evidence_bytes = if config.proofs.is_some() { EVIDENCE_BYTES } else { 0 };
    let verifier = config.verifier;
    let client = ClientConfig {
        streams,
        spreads,
        upstreams,
        computations,
        limits,
        verifier,
        evidence_bytes,
        health: config.health.policy(),
        ..ClientConfig::default()
    };
    Ok(Prepared { client, registry: Arc::new(registry), identity, fleet })
}

/// So many bytes of frames are kept for proofs: at a thousand datagrams a second those of ten seconds.
const EVIDENCE_BYTES: usize = 16 << 20;

/// The place for proofs.
pub(crate) fn open_proofs(config: &ServeConfig, registry: &Arc<Registry>) -> anyhow::Result<Proofs> {
    let folder = config.proofs.as_deref();
    let name = || folder.map_or_else(String::new, |folder| folder.display().to_string());
    Proofs::open(folder, Arc::clone(registry)).with_context(name)
}

/// What is decided, who is asked for it, and the compiled model.
pub(crate) struct Streams {
    pub(crate) streams: Vec<ClientStream>,
    /// Streams whose reported spread is added to a noise, and the noise's name.
    pub(crate) spreads: Vec<(String, String)>,
    pub(crate) upstreams: Vec<Upstream>,
    /// Computations that replicas are asked for.
    pub(crate) computations: Vec<ComputationUpstream>,
    pub(crate) fleet: Fleet,
}

/// The streams of a configuration, of a model file, with the nodes of a registry.
pub(crate) fn prepare_streams(
    model_file: &Path,
    registry_file: &Path,
    streams: &[StreamConfig],
    asked: &[UpstreamConfig],
    registry: &Registry,
) -> anyhow::Result<Streams> {
    let model = read_model(model_file)?;
    let files = (model_file, registry_file);
    let specs: BTreeMap<&str, &StreamSpec> =
        model.1.streams.iter().map(|spec| (spec.name.as_str(), spec)).collect();
    let spread = streams.iter().filter(|stream| stream.spreads);
    let spreads = spread
        .map(|stream| Ok((stream.name.clone(), noise(model_file, stream, &specs)?)))
        .collect::<anyhow::Result<_>>()?;
    let computed = streams.iter().map(StreamConfig::computed).collect::<Result<Vec<_>, _>>()?;
    let streams =
        streams.iter().map(|s| client_stream(files, s, &specs, registry)).collect::<Result<Vec<_>, _>>()?;
    let (upstreams, computations) = upstreams(registry_file, asked, (&streams, &computed), registry)?;
    let fleet = compile(model_file, &model)?;
    Ok(Streams { streams, spreads, upstreams, computations, fleet })
}

/// The acceptance of frames by a node that starts now, whose configuration says how fresh they must be.
pub(crate) fn limits(freshness_s: f64) -> Limits {
    let freshness_ns = nanoseconds(freshness_s).unsigned_abs();
    Limits {
        past_ns: freshness_ns,
        future_ns: freshness_ns,
        not_before_ns: crate::clock::now_ns(),
        ..Limits::default()
    }
}

/// A session for each shard.
pub(crate) fn sessions(config: &ServeConfig, fleet: &Fleet) -> anyhow::Result<Vec<Session>> {
    // Shards decide at the same time, so the cores are divided among them.
    let threads = (config.shards > 1).then(|| (backends::threads() / config.shards).max(1));
    // A batch holds at most a round of each stream.
    let rounds_max = Some(config.streams.len());
    let options = OpenOptions { calibration: config.calibration.clone(), rounds_max, threads };
    let session = |_| Ok(Session::new(fleet.clone(), backends::open(config.backend, &options)?.backend));
    (0..config.shards).map(session).collect()
}

/// Where a frame says who sent it.
const SENDER: Steering = Steering { offset: 16 };

/// So many records may wait for a shard, whichever shards they come from: a quarter of a second's, at a million a second.
const WAITING_RECORDS: usize = 1 << 18;

/// How senders and streams are divided: by the rule by which the kernel divides datagrams.
pub(crate) fn sharding(count: usize) -> Sharding {
    let others = count.saturating_sub(1).max(1);
    Sharding { count, shard_of: centauri_uring::shard_of, queue_records: WAITING_RECORDS / others }
}

/// A driver for each shard, all on one address.
pub(crate) fn open_drivers(config: &ServeConfig) -> anyhow::Result<Vec<Box<dyn DatagramDriver>>> {
    let drivers = centauri_uring::open_group(config.listen, &config.driver_config()?, SENDER, config.shards)?;
    if let Some(driver) = drivers.first() {
        tracing::info!(driver = %driver.kind(), count = drivers.len(), "datagram drivers");
    }
    Ok(drivers)
}

pub(crate) fn open_driver(config: &ServeConfig) -> anyhow::Result<Box<dyn DatagramDriver>> {
    let driver = centauri_uring::open(config.listen, &config.driver_config()?)?;
    tracing::info!(driver = %driver.kind(), "datagram driver");
    Ok(driver)
}

/// The TCP connections, where the configuration asks for them.
pub(crate) fn open_connections(config: &ServeConfig) -> anyhow::Result<Option<Connections>> {
    let Some(tcp) = &config.tcp else { return Ok(None) };
    let driver = centauri_uring::open_tcp(tcp.listen, &tcp.driver(config.driver_config()?.choice))?;
    Ok(Some(Connections::new(driver, tcp.limits())))
}

pub(crate) fn read_registry(file: &Path) -> anyhow::Result<Registry> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Registry::parse(&text).with_context(|| file.display().to_string())
}

/// The identity of the node of this name, which must have one of the roles, by its key file.
pub(crate) fn own_identity(
    registry_file: &Path,
    registry: &Registry,
    own_name: &str,
    key_file: &Path,
    roles: &[Role],
) -> anyhow::Result<SigningIdentity> {
    let node = node_named(registry_file, registry, "node", own_name)?;
    if !roles.contains(&node.role) {
        let expected: Vec<&str> = roles.iter().map(|role| role.name()).collect();
        bail!(
            "{}: node {:?} has the role {}, expected {}",
            registry_file.display(),
            node.name,
            node.role,
            expected.join(" or ")
        );
    }
    let name = || key_file.display().to_string();
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(key_file).with_context(name)?);
    let key = KeyFile::parse(&text).with_context(name)?;
    if key.public_key() != node.key {
        bail!("{}: the key is not the one that the registry has for node {:?}", name(), node.name);
    }
    Ok(key.identity(node.id))
}

fn node_named<'a>(
    registry_file: &Path,
    registry: &'a Registry,
    key: &str,
    name: &str,
) -> anyhow::Result<&'a NodeEntry> {
    registry.by_name(name).ok_or_else(|| {
        anyhow!("{}: found no node {name:?}, expected it there because of `{key}`", registry_file.display())
    })
}

fn read_model(file: &Path) -> anyhow::Result<(String, ModelSet)> {
    let text = read_model_text(file)?;
    let set = parse_model(&text, &file.display().to_string())?;
    Ok((text, set))
}

fn compile(file: &Path, (text, set): &(String, ModelSet)) -> anyhow::Result<Fleet> {
    Ok(Fleet::compile(set).map_err(|error| locate(&error, text, &file.display().to_string()))?)
}

fn client_stream(
    (model_file, registry_file): (&Path, &Path),
    stream: &StreamConfig,
    specs: &BTreeMap<&str, &StreamSpec>,
    registry: &Registry,
) -> anyhow::Result<ClientStream> {
    let spec = specs.get(stream.name.as_str()).ok_or_else(|| {
        anyhow!(
            "{}: found no stream {:?}, expected it there because of `streams`",
            model_file.display(),
            stream.name
        )
    })?;
    let known = |name: &String| spec.replicas.iter().any(|r| r.name == *name);
    if let Some(unknown) = stream.replicas.keys().find(|name| !known(name)) {
        bail!("streams {:?}: replicas: found {unknown:?}, expected a replica of the model", stream.name);
    }
    let mut replicas = Vec::with_capacity(spec.replicas.len());
    for replica in &spec.replicas {
        let name = stream.replicas.get(&replica.name).unwrap_or(&replica.name);
        let node = node_named(registry_file, registry, "streams", name)?;
        if node.role != Role::Replica {
            let file = registry_file.display();
            bail!(
                "{file}: node {name:?} has the role {}, expected replica for stream {:?}",
                node.role,
                stream.name
            );
        }
        replicas.push(node.id);
    }
    let close_after_s = match stream.close_after_s {
        Some(seconds) => seconds,
        None => model_deadline(spec).ok_or_else(|| {
            anyhow!(
                "streams {:?}: close_after_s: found none, expected it where the model has no deadlines",
                stream.name
            )
        })?,
    };
    let windows = Windows::new(nanoseconds(stream.epoch_s), nanoseconds(stream.period_s))?;
    let timing = RoundTiming { windows, close_after_ns: nanoseconds(close_after_s) };
    let name = stream.name.clone();
    Ok(ClientStream { name, stream: stream.stream()?, replicas, timing, first_round: i64::MIN })
}

/// The name of the noise by which a stream's reports are judged.
fn noise(
    model_file: &Path,
    stream: &StreamConfig,
    specs: &BTreeMap<&str, &StreamSpec>,
) -> anyhow::Result<String> {
    match specs.get(stream.name.as_str()).and_then(|spec| spec.output.noise.as_ref()) {
        Some(DistributionRef::Named(name)) => Ok(name.clone()),
        _ => bail!(
            "streams {:?}: spreads: found it with a noise without a name, expected one of [distributions] in {}",
            stream.name,
            model_file.display()
        ),
    }
}

/// The latest that the model expects a report: the replica's deadline and then the link's.
fn model_deadline(spec: &StreamSpec) -> Option<f64> {
    let link = |link: &Option<Link>| match link {
        Some(Link::Latency { deadline, .. }) => Some(*deadline),
        Some(Link::OnTime(_)) | None => None,
    };
    let links = std::iter::once(&spec.link).chain(spec.replicas.iter().map(|r| &r.link));
    let latest =
        links.filter_map(link).fold(None, |latest: Option<f64>, d| Some(latest.map_or(d, |l| l.max(d))));
    Some(spec.output.deadline? + latest?)
}

/// What a replica is asked for.
#[derive(Default)]
struct Wanted<'a> {
    streams: Vec<StreamId>,
    computations: Vec<&'a Computed>,
}

/// Each upstream is asked for the streams that it is a replica of: those that it computes unasked, and those that it is to compute.
fn upstreams(
    registry_file: &Path,
    asked: &[UpstreamConfig],
    (streams, computed): (&[ClientStream], &[Option<Computed>]),
    registry: &Registry,
) -> anyhow::Result<(Vec<Upstream>, Vec<ComputationUpstream>)> {
    let mut wanted: BTreeMap<NodeId, Wanted<'_>> = BTreeMap::new();
    for (stream, computed) in streams.iter().zip(computed) {
        for &replica in &stream.replicas {
            let of_node = wanted.entry(replica).or_default();
            match computed {
                Some(computed) => of_node.computations.push(computed),
                None => of_node.streams.push(stream.stream),
            }
        }
    }
    let (mut upstreams, mut computations) = (Vec::new(), Vec::new());
    for UpstreamConfig { node: name, address } in asked {
        let (node, address) = (node_named(registry_file, registry, "upstreams", name)?.id, *address);
        let of_node = wanted
            .get(&node)
            .ok_or_else(|| anyhow!("upstreams: found {name:?}, expected a replica of one of the streams"))?;
        if !of_node.streams.is_empty() {
            let query = StreamQuery::of(of_node.streams.iter().copied());
            upstreams.push(Upstream { node, address, query });
        }
        computations.extend(of_node.computations.iter().map(|computed| computed.of(node, address)));
    }
    Ok((upstreams, computations))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_and_the_shards_divide_senders_alike() {
        for count in [2, 3, 8, 255] {
            let sharding = sharding(count);
            for number in (0..2_000_u32).map(|n| n * 7) {
                let mut frame = [0; 96];
                frame[16..20].copy_from_slice(&number.to_le_bytes());
                for length in [96, 20, 19, 0] {
                    let frame = &frame[..length];
                    assert_eq!(
                        sharding.of_frame(frame),
                        SENDER.shard(frame, count),
                        "{number}, {length} bytes"
                    );
                }
            }
        }
    }
}
