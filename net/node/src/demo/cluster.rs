//! The nodes: each a thread with a socket and a key of its own; they share the registry and the address book.

use super::engine::{self, Event};
use super::model::{DOWNLINK, Deadlines, READING, STREAM, UPLINK, model};
use super::schedule::{Schedule, choose};
use super::{DemoError, Lie, Options};
use crate::backends::{self, OpenOptions};
use crate::clock::now_ns;
use crate::impairment::Impairment;
use crate::node::Node;
use centauri_engine::{Fleet, Session};
use centauri_roles::{
    Behaviour, Client, ClientConfig, ClientStream, ConfigError, Effect, Estimated, Monitor, MonitorConfig,
    Monitored, Note, Pacing, Replica, ReplicaConfig, ReplicaStream, RequestPolicy, Role, RoundTiming,
    SamplePolicy, Source, SourceConfig, SourceStream, SplitMix64, StreamQuery, Upstream, Windows,
};
use centauri_uring::{DatagramDriver, DriverConfig, DriverCounters, open};
use centauri_wire::{
    KeyFile, NodeEntry, NodeId, Registry, Role as NodeRole, SampleKind, SigningIdentity, StreamId,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

/// From the nodes' start to the first window: subscriptions are asked for several times over in it.
pub(super) const SETTLING: Duration = Duration::from_millis(1_000);
const RETRY: Duration = Duration::from_millis(100);
const RESULTS: StreamId = StreamId(1);
const READINGS: StreamId = StreamId(1);
/// A round decided later than this after its deadline has missed it.
pub(super) const MISS: Duration = Duration::from_millis(10);
/// Values that make a frame of samples, and how long they wait for each other.
const SAMPLES: (usize, Duration) = (64, Duration::from_millis(500));
const PUBLISH_PERIOD: Duration = Duration::from_secs(1);
/// Values of a sender before it has a say.
const SAMPLES_MIN: usize = 20;

/// What a node leaves behind.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) role: NodeRole,
    pub(super) counters: Vec<(&'static str, u64)>,
    pub(super) driver: DriverCounters,
}

/// A node before it has a role: its key and its socket.
struct Site {
    entry: NodeEntry,
    identity: SigningIdentity,
    driver: Box<dyn DatagramDriver>,
}

/// A node as the others know it.
#[derive(Debug, Clone)]
struct Contact {
    id: NodeId,
    address: SocketAddr,
}

/// The running nodes.
#[derive(Debug)]
pub(super) struct Cluster {
    threads: Vec<(String, JoinHandle<Result<Remains, DemoError>>)>,
    stop: Arc<AtomicBool>,
    /// When window 0 opens.
    pub(super) epoch_ns: i64,
    pub(super) deadlines: Deadlines,
    pub(super) replicas: Vec<String>,
    /// Places of the replicas that lie.
    pub(super) liars: Vec<usize>,
}

/// What the parts of a cluster are built from.
struct Plan<'a> {
    options: &'a Options,
    schedule: &'a Schedule,
    registry: Arc<Registry>,
    windows: Windows,
    deadlines: Deadlines,
    now_ns: i64,
    sources: Vec<Contact>,
    replicas: Vec<Contact>,
    monitor: Contact,
    engine: Contact,
}

impl Cluster {
    /// Opens the sockets, draws the keys, and starts a thread for each node. What happens is told to `events`.
    pub(super) fn start(
        options: &Options,
        schedule: &Schedule,
        events: &Sender<Event>,
    ) -> Result<Self, DemoError> {
        let mut number = 0;
        let mut site = |name: String, role| {
            number += 1;
            site(NodeId(number), name, role)
        };
        let of = |count: usize, role: NodeRole| (1..=count).map(move |k| (format!("{role}-{k}"), role));
        let mut sites = Vec::new();
        for (name, role) in of(schedule.sources.len(), NodeRole::Source)
            .chain(of(options.replicas, NodeRole::Replica))
            .chain([("monitor".to_owned(), NodeRole::Monitor), ("engine".to_owned(), NodeRole::Engine)])
        {
            sites.push(site(name, role)?);
        }
        let registry = Registry::new(sites.iter().map(|site| site.entry.clone()).collect())
            .map_err(|problem| DemoError::part("registry", problem))?;
        let contacts = |role: NodeRole| -> Vec<Contact> {
            let known = sites.iter().filter(|site| site.entry.role == role);
            known.map(|site| Contact { id: site.entry.id, address: site.driver.local_addr() }).collect()
        };
        let one = |role| contacts(role).pop().ok_or_else(|| DemoError::part("registry", "a node is missing"));
        let replicas: Vec<String> = of(options.replicas, NodeRole::Replica).map(|(name, _)| name).collect();
        let liars = choose(options.liars, options.replicas, options.seed);
        let now_ns = now_ns();
        let epoch_ns = now_ns.saturating_add(nanoseconds(SETTLING));
        let deadlines =
            Deadlines::new(Duration::from_nanos(schedule.window_ns.unsigned_abs()), options.delay);
        let plan = Plan {
            options,
            schedule,
            registry: Arc::new(registry),
            windows: Windows::new(epoch_ns, schedule.window_ns).map_err(refused("windows"))?,
            deadlines,
            now_ns,
            sources: contacts(NodeRole::Source),
            replicas: contacts(NodeRole::Replica),
            monitor: one(NodeRole::Monitor)?,
            engine: one(NodeRole::Engine)?,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let mut cluster = Self { threads: Vec::new(), stop, epoch_ns, deadlines, replicas, liars };
        for (at, site) in sites.into_iter().enumerate() {
            if let Err(error) = cluster.add(&plan, site, at, events) {
                // The threads already started end before the error is told.
                let _ = cluster.end();
                return Err(error);
            }
        }
        Ok(cluster)
    }

    /// Gives a site its role and lets it run.
    fn add(
        &mut self,
        plan: &Plan<'_>,
        site: Site,
        at: usize,
        events: &Sender<Event>,
    ) -> Result<(), DemoError> {
        let Site { entry, identity, driver } = site;
        let (name, role) = (entry.name.clone(), entry.role);
        let weather = |plan: &Plan<'_>| {
            let seed = plan.options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (at as u64 + 1);
            Impairment::new(plan.options.loss, plan.options.delay, seed)
        };
        let of_kind = plan.registry.nodes().iter().filter(|node| node.role == role && node.id < entry.id);
        let place = of_kind.count();
        let handle = match role {
            NodeRole::Source => {
                let node = Node::new(plan.source(place, identity)?, driver).impaired(weather(plan));
                self.spawn(&name, role, node, events)
            }
            NodeRole::Replica => {
                let lies = self.liars.contains(&place);
                let node = Node::new(plan.replica(lies, identity)?, driver).impaired(weather(plan));
                self.spawn(&name, role, node, events)
            }
            NodeRole::Monitor => self.spawn(&name, role, Node::new(plan.monitor(identity)?, driver), events),
            NodeRole::Client | NodeRole::Engine => {
                let (client, fleet) = plan.client(&self.replicas, identity)?;
                let (stop, events) = (self.stop.clone(), events.clone());
                let node = Node::new(client, driver);
                let loss = plan.options.loss;
                thread(&name, move || engine::run(node, fleet, loss, &stop, &events))
            }
        }?;
        self.threads.push((name, handle));
        Ok(())
    }

    fn spawn<R: Role + Send + 'static>(
        &self,
        name: &str,
        role: NodeRole,
        mut node: Node<R>,
        events: &Sender<Event>,
    ) -> Result<JoinHandle<Result<Remains, DemoError>>, DemoError> {
        let (stop, events, owned) = (self.stop.clone(), events.clone(), name.to_owned());
        thread(name, move || {
            while !stop.load(Ordering::Relaxed) {
                let stepped = node.step(|effect| {
                    if let Effect::Note(Note::Subscribed { .. }) = effect {
                        let _ = events.send(Event::Subscribed { at_ns: now_ns() });
                    }
                });
                stepped.map_err(|cause| {
                    let _ = events.send(Event::Failed);
                    DemoError::Io { what: owned.clone(), cause }
                })?;
            }
            Ok(remains(&node, role))
        })
    }

    /// Subscriptions that there are once everybody is heard by everybody.
    pub(super) fn subscriptions(&self, schedule: &Schedule) -> usize {
        self.replicas.len() * (schedule.sources.len() + 1)
    }

    /// Stops every node, waits for the threads, and gives what they leave behind.
    pub(super) fn end(self) -> Result<Vec<Remains>, DemoError> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::with_capacity(self.threads.len());
        let mut failed = None;
        for (name, thread) in self.threads {
            match thread.join() {
                Ok(Ok(remains)) => all.push(remains),
                Ok(Err(error)) => failed = failed.or(Some(error)),
                Err(_) => failed = failed.or(Some(DemoError::part(name, "its thread ended by a fault"))),
            }
        }
        failed.map_or(Ok(all), Err)
    }
}

pub(super) fn remains<R: Role>(node: &Node<R>, role: NodeRole) -> Remains {
    Remains { role, counters: node.role().counters(), driver: node.driver_counters() }
}

fn thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, DemoError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map_err(|cause| DemoError::Io { what: format!("starting {name}"), cause })
}

/// A node's key, from the system's randomness, and its socket on loopback.
fn site(id: NodeId, name: String, role: NodeRole) -> Result<Site, DemoError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|problem| DemoError::part("drawing a key", problem))?;
    let key = KeyFile::generate(seed);
    let driver = open(SocketAddr::from(([127, 0, 0, 1], 0)), &DriverConfig::default())?;
    Ok(Site {
        entry: NodeEntry { id, name, role, key: key.public_key() },
        identity: key.identity(id),
        driver,
    })
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn refused(what: &'static str) -> impl Fn(ConfigError) -> DemoError {
    move |problem| DemoError::part(what, problem)
}

impl Plan<'_> {
    fn source(&self, place: usize, identity: SigningIdentity) -> Result<Source, DemoError> {
        let readings = self.schedule.sources.get(place).map(|(_, readings)| readings.clone());
        let epoch = self.windows.epoch_ns();
        let readings = readings.unwrap_or_default().into_iter();
        let readings = readings.map(move |(at, value)| (epoch.saturating_add(at), value));
        let config = SourceConfig::new(READINGS);
        Source::new(&config, self.registry.clone(), identity, Box::new(readings), self.now_ns)
            .map_err(refused("source"))
    }

    fn replica(&self, lies: bool, identity: SigningIdentity) -> Result<Replica, DemoError> {
        let stream = ReplicaStream {
            stream: RESULTS,
            sources: self.sources.iter().map(|c| SourceStream { node: c.id, stream: READINGS }).collect(),
            windows: self.windows,
            deadline_ns: nanoseconds(self.deadlines.replica),
            computation: centauri_engine::Computation::Mean,
            readings_per_source_max: self.schedule.readings_per_source_max(),
            latency: Some(UPLINK.into()),
            residuals: Some(READING.into()),
            steps: None,
        };
        let config = ReplicaConfig {
            streams: vec![stream],
            upstreams: self.upstreams(&self.sources, READINGS),
            request: self.request(),
            samples: Some(self.samples()),
            behaviour: if lies { self.behaviour(identity.id()) } else { Behaviour::Honest },
            sample_offset: if lies { self.lie() } else { 0.0 },
            ..ReplicaConfig::default()
        };
        Replica::new(&config, self.registry.clone(), identity, self.now_ns).map_err(refused("replica"))
    }

    fn monitor(&self, identity: SigningIdentity) -> Result<Monitor, DemoError> {
        let replicas: Vec<NodeId> = self.replicas.iter().map(|contact| contact.id).collect();
        // So many senders that the liars among them cannot move the median one at will.
        let senders_min = 2 * self.options.faults() + 1;
        let watched = |name: &str, kind, family, senders_min, senders| Monitored {
            samples_min: SAMPLES_MIN,
            senders_min,
            senders: Some(senders),
            scale_min: 1e-6,
            ..Monitored::new(name, kind, family)
        };
        let latency = (SampleKind::Latency, Estimated::Exponential);
        let uplink = watched(UPLINK, latency.0, latency.1, senders_min, replicas.clone());
        let downlink = watched(DOWNLINK, latency.0, latency.1, 1, vec![self.engine.id]);
        let reading = watched(READING, SampleKind::Output, Estimated::Normal, senders_min, replicas);
        let scale_min = self.schedule.scales.spread * 1e-3;
        let config = MonitorConfig {
            monitored: vec![uplink, downlink, Monitored { centred: true, scale_min, ..reading }],
            publish_every_min_ns: nanoseconds(PUBLISH_PERIOD),
            targets: vec![self.engine.address],
            ..MonitorConfig::default()
        };
        Monitor::new(&config, self.registry.clone(), identity, self.now_ns).map_err(refused("monitor"))
    }

    fn client(&self, replicas: &[String], identity: SigningIdentity) -> Result<(Client, Fleet), DemoError> {
        let set = model(self.schedule, self.options, replicas, self.deadlines)?;
        let fleet = Fleet::compile(&set).map_err(|problem| DemoError::part("model", problem))?;
        let stream = ClientStream {
            name: STREAM.to_owned(),
            stream: RESULTS,
            replicas: self.replicas.iter().map(|contact| contact.id).collect(),
            timing: RoundTiming { windows: self.windows, close_after_ns: nanoseconds(self.deadlines.engine) },
            first_round: 0,
        };
        let config = ClientConfig {
            streams: vec![stream],
            upstreams: self.upstreams(&self.replicas, RESULTS),
            request: self.request(),
            latencies: self.replicas.iter().map(|contact| (contact.id, DOWNLINK.to_owned())).collect(),
            samples: Some(self.samples()),
            pacing: Pacing { miss_ns: nanoseconds(MISS), ..Pacing::default() },
            ..ClientConfig::default()
        };
        let options = OpenOptions { rounds_max: Some(1), ..OpenOptions::default() };
        let backend = backends::open(self.options.backend, &options)?.backend;
        let session = Session::new(fleet.clone(), backend);
        let client = Client::new(&config, self.registry.clone(), identity, session, self.now_ns);
        Ok((client.map_err(refused("engine"))?, fleet))
    }

    fn upstreams(&self, contacts: &[Contact], stream: StreamId) -> Vec<Upstream> {
        let of = |contact: &Contact| Upstream {
            node: contact.id,
            address: contact.address,
            query: StreamQuery::of([stream]),
        };
        contacts.iter().map(of).collect()
    }

    /// A request holds for more than the whole run: a renewal that is lost does no harm.
    fn request(&self) -> RequestPolicy {
        let ttl = (self.options.duration + SETTLING) * 3;
        RequestPolicy { ttl_ns: nanoseconds(ttl), retry_ns: nanoseconds(RETRY), ..RequestPolicy::default() }
    }

    fn samples(&self) -> SamplePolicy {
        let (values_max, every) = SAMPLES;
        // A run is short: every value is sampled.
        let policy = SamplePolicy::new(self.monitor.address);
        SamplePolicy { values_max, every_ns: nanoseconds(every), share_ppm: 1_000_000, ..policy }
    }

    /// The size of the lie.
    fn lie(&self) -> f64 {
        self.options.lie_size * self.schedule.scales.spread
    }

    fn behaviour(&self, id: NodeId) -> Behaviour {
        let scales = self.schedule.scales;
        let first = self.schedule.truth.iter().flatten().next().copied().unwrap_or(scales.low);
        match self.options.lie {
            Lie::Offset => Behaviour::Offset { by: self.lie() },
            Lie::Stuck => Behaviour::Stuck { value: first + self.lie() },
            Lie::Collude => Behaviour::Collude { target: first + self.lie() },
            Lie::Random => Behaviour::Random {
                low: scales.low,
                high: scales.high,
                rng: SplitMix64::new(self.options.seed ^ u64::from(id.0)),
            },
            Lie::Silent => Behaviour::Silent,
            Lie::Equivocate => Behaviour::Equivocate { by: self.lie() },
        }
    }
}
