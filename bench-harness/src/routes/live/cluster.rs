//! The nodes, each a thread with a socket, and the one clock that they go by.

use super::Departure;
use super::lagged::Lagged;
use crate::routes::model::MESSAGES;
use anyhow::{Context as _, anyhow, ensure};
use centauri::node::Node;
use centauri_engine::{Computation, Fleet, ModelSet, Report, Session, SimdBackend, StreamSpec};
use centauri_roles::{
    Behaviour, Client, ClientConfig, ClientStream, Effect, Estimated, Monitor, MonitorConfig, Monitored,
    Replica, ReplicaConfig, ReplicaStream, Role, RoundTiming, SamplePolicy, Source, SourceConfig,
    SourceStream, StreamQuery, Upstream, Windows,
};
use centauri_uring::{DatagramDriver, DriverConfig};
use centauri_wire::{
    KeyFile, NodeEntry, NodeId, Registry, Role as NodeRole, SampleKind, SigningIdentity, StreamId,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// From one measurement to the next, by the nodes' clock.
const PERIOD_NS: i64 = 8_000_000;
const QUARTER_NS: i64 = PERIOD_NS / 4;
/// When measurement 0 is made, by the nodes' clock.
const EPOCH_NS: i64 = 1_700_000_000_000_000_000;
/// What has not come after so long counts as lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// The latency from a measurement to when a replica hears of it.
const PUBLICATION: &str = "publication";

/// What is played.
pub(super) struct Script {
    /// The first departure.
    pub(super) start: usize,
    /// Both routes' times, where both were measured.
    pub(super) measured: Vec<Option<[f64; 2]>>,
    /// For each replica, the departure from which on it knows of each measurement.
    pub(super) known_from: Vec<Vec<Option<usize>>>,
    /// The replicas that lie.
    pub(super) liars: Vec<usize>,
    /// What each replica reports of each route at each departure, by the evaluation: what liars tell, and how much is to be waited
    /// for.
    pub(super) reports: Vec<[Vec<Report>; 2]>,
    /// The model of each route.
    pub(super) streams: Vec<StreamSpec>,
}

impl Script {
    /// The first measurement that a report of the first departure may be.
    fn first(&self) -> usize {
        self.start.saturating_sub(MESSAGES - 1)
    }

    /// When a departure, or a measurement, is.
    fn at_ns(place: usize) -> i64 {
        EPOCH_NS + place as i64 * PERIOD_NS
    }

    /// Windows of seven measurements: that of departure `p` opens half a period before measurement `p − 6` and ends half a
    /// period after measurement `p`.
    fn opens_ns() -> i64 {
        EPOCH_NS - (MESSAGES as i64 - 1) * PERIOD_NS - PERIOD_NS / 2
    }

    /// When a departure is, after its window opens.
    fn departs_after_ns() -> i64 {
        EPOCH_NS - Self::opens_ns()
    }

    /// When the nodes' clock begins: half a period before the first measurement, so that everybody has been asked by then.
    fn begins_ns(&self) -> i64 {
        Self::at_ns(self.first()) - PERIOD_NS / 2
    }

    /// When each measurement comes to a replica.
    fn heard_from_ns(&self, replica: usize) -> Vec<i64> {
        let of =
            |departure: &Option<usize>| departure.map_or(i64::MAX, |place| Self::at_ns(place) - QUARTER_NS);
        self.known_from[replica].iter().map(of).collect()
    }

    fn behaviour(&self, replica: usize) -> Behaviour {
        if !self.liars.contains(&replica) {
            return Behaviour::Honest;
        }
        let mut values = BTreeMap::new();
        for (departure, reports) in (self.start as i64..).zip(&self.reports) {
            for (stream, reports) in results().into_iter().zip(reports) {
                if let Some(Report::Value(value)) = reports.get(replica) {
                    values.insert((stream, departure), *value);
                }
            }
        }
        Behaviour::Scripted { values }
    }
}

/// The routes' streams at replicas.
fn results() -> [StreamId; 2] {
    [StreamId(1), StreamId(2)]
}

/// A source's stream.
const READINGS: StreamId = StreamId(1);

/// How far a node has come.
#[derive(Default)]
struct Progress {
    /// The clock at the beginning of its last whole step.
    clock_ns: i64,
    counters: Vec<(&'static str, u64)>,
}

impl Progress {
    fn count(&self, name: &str) -> u64 {
        self.counters.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count)
    }
}

/// A decision on a route: departure, route, estimate and reports.
type Told = (i64, usize, f64, Vec<Report>);

/// What is left at the end.
pub(super) struct Ended {
    pub(super) lost: u64,
    pub(super) published: u64,
    pub(super) taken: u64,
}

/// A node's role, how far it has come, and its thread.
type Running = (NodeRole, Arc<Mutex<Progress>>, JoinHandle<anyhow::Result<()>>);

/// The running nodes, and what moves their clock.
pub(super) struct Cluster<'a> {
    script: &'a Script,
    clock: Arc<AtomicI64>,
    stop: Arc<AtomicBool>,
    nodes: Vec<Running>,
    decided: Receiver<Told>,
    lost: u64,
}

/// A node before it has a role.
struct Site {
    entry: NodeEntry,
    identity: SigningIdentity,
    driver: Box<dyn DatagramDriver>,
}

fn site(number: u32, role: NodeRole) -> anyhow::Result<Site> {
    let id = NodeId(number);
    // Nobody but this process is to believe it.
    let key = KeyFile::generate([u8::try_from(number)?; 32]);
    let driver = centauri_uring::open(SocketAddr::from(([127, 0, 0, 1], 0)), &DriverConfig::default())?;
    let entry = NodeEntry { id, name: format!("{role}-{number}"), role, key: key.public_key() };
    Ok(Site { entry, identity: key.identity(id), driver })
}

/// What the roles are made from.
struct Plan<'a> {
    script: &'a Script,
    registry: Arc<Registry>,
    contacts: Vec<(NodeRole, NodeId, SocketAddr)>,
    begins_ns: i64,
}

impl<'a> Cluster<'a> {
    /// Opens the sockets and starts a thread for each node.
    pub(super) fn start(script: &'a Script) -> anyhow::Result<Self> {
        let replicas = script.known_from.len();
        let roles = [NodeRole::Source; 2].into_iter().chain(vec![NodeRole::Replica; replicas]);
        let roles = roles.chain([NodeRole::Monitor, NodeRole::Engine]);
        let sites =
            (1..).zip(roles).map(|(number, role)| site(number, role)).collect::<anyhow::Result<Vec<_>>>()?;
        let contact = |site: &Site| (site.entry.role, site.entry.id, site.driver.local_addr());
        let plan = Plan {
            script,
            registry: Arc::new(Registry::new(sites.iter().map(|site| site.entry.clone()).collect())?),
            contacts: sites.iter().map(contact).collect(),
            begins_ns: script.begins_ns(),
        };
        let (tell, decided) = channel();
        let mut cluster = Self {
            script,
            clock: Arc::new(AtomicI64::new(plan.begins_ns)),
            stop: Arc::new(AtomicBool::new(false)),
            nodes: Vec::new(),
            decided,
            lost: 0,
        };
        let (mut sources, mut replicas) = (0.., 0..);
        for Site { entry, identity, driver } in sites {
            let place = |places: &mut dyn Iterator<Item = usize>| places.next().context("a place");
            match entry.role {
                NodeRole::Source => {
                    cluster.run(entry.role, plan.source(place(&mut sources)?, identity)?, driver, &tell)?;
                }
                NodeRole::Replica => {
                    cluster.run(entry.role, plan.replica(place(&mut replicas)?, identity)?, driver, &tell)?;
                }
                NodeRole::Monitor => cluster.run(entry.role, plan.monitor(identity)?, driver, &tell)?,
                NodeRole::Client | NodeRole::Engine => {
                    cluster.run(entry.role, plan.client(identity)?, driver, &tell)?;
                }
            }
        }
        Ok(cluster)
    }

    fn run<R: Role + Send + 'static>(
        &mut self,
        kind: NodeRole,
        role: R,
        driver: Box<dyn DatagramDriver>,
        tell: &Sender<Told>,
    ) -> anyhow::Result<()> {
        let (clock, stop, tell) = (Arc::clone(&self.clock), Arc::clone(&self.stop), tell.clone());
        let progress = Arc::new(Mutex::new(Progress::default()));
        let (told, read) = (Arc::clone(&progress), Arc::clone(&clock));
        let mut node = Node::new(role, driver).timed(Box::new(move || read.load(Ordering::SeqCst)));
        let work = move || {
            while !stop.load(Ordering::Relaxed) {
                let clock_ns = clock.load(Ordering::SeqCst);
                node.step(|effect| {
                    if let Effect::Decided(decided) = effect {
                        let Ok(route) = usize::try_from(decided.stream.0) else { return };
                        let _ = tell.send((
                            decided.round,
                            route,
                            decided.decision.mean,
                            decided.reports.to_vec(),
                        ));
                    }
                })?;
                let mut told = told.lock().map_err(|_| anyhow!("the conductor is gone"))?;
                *told = Progress { clock_ns, counters: node.role().counters() };
            }
            Ok(())
        };
        let thread = std::thread::Builder::new().name(kind.to_string()).spawn(work)?;
        self.nodes.push((kind, progress, thread));
        Ok(())
    }

    /// Waits until all nodes of this role have come so far; says whether they have.
    fn wait(&mut self, role: NodeRole, is_there: impl Fn(&Progress) -> bool) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut of_role = self.nodes.iter().filter(|(known, ..)| *known == role);
            if of_role.all(|(_, progress, _)| progress.lock().is_ok_and(|progress| is_there(&progress))) {
                return Ok(());
            }
            ensure!(
                self.nodes.iter().all(|(.., thread)| !thread.is_finished()),
                "a node has ended by itself"
            );
            if Instant::now() > until {
                self.lost += 1;
                return Ok(());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Moves the clock on and waits until all nodes of this role have acted at its time.
    fn advance(&mut self, to_ns: i64, role: NodeRole) -> anyhow::Result<()> {
        self.clock.store(to_ns, Ordering::SeqCst);
        self.wait(role, |progress| progress.clock_ns >= to_ns)
    }

    /// Plays the script to its end, and gives what was decided on each departure.
    pub(super) fn play(mut self) -> anyhow::Result<(Vec<Departure>, Ended)> {
        let script = self.script;
        let replicas = script.known_from.len() as u64;
        self.wait(NodeRole::Source, |source| source.count("requests_started") >= replicas)?;
        self.wait(NodeRole::Replica, |replica| replica.count("requests_started") >= 1)?;
        let (mut readings, mut reported) = (0, 0);
        let mut departures = Vec::with_capacity(script.reports.len());
        for place in script.first()..script.measured.len() {
            let at_ns = Script::at_ns(place);
            self.advance(at_ns - QUARTER_NS, NodeRole::Replica)?;
            self.advance(at_ns, NodeRole::Source)?;
            readings += 2 * u64::from(script.measured[place].is_some());
            self.wait(NodeRole::Replica, |replica| {
                replica.clock_ns >= at_ns && replica.count("readings_heard") >= readings
            })?;
            // Before the first departure nothing is decided.
            let Some(reports) = place.checked_sub(script.start).and_then(|at| script.reports.get(at)) else {
                continue;
            };
            let values = reports.iter().flatten().filter(|report| matches!(report, Report::Value(_)));
            reported += values.count() as u64;
            self.wait(NodeRole::Engine, |engine| engine.count("records_reported") >= reported)?;
            self.clock.store(at_ns + QUARTER_NS, Ordering::SeqCst);
            departures.push(self.departure(place)?);
        }
        Ok((departures, self.end()?))
    }

    /// What is decided on a departure.
    fn departure(&mut self, place: usize) -> anyhow::Result<Departure> {
        let mut departure = Departure::default();
        for _ in 0..2 {
            // Whatever is lost, the engine decides.
            let told = self.decided.recv_timeout(60 * PATIENCE);
            let (round, route, estimate, reports) =
                told.with_context(|| format!("no decision on departure {place}"))?;
            ensure!(
                round == place as i64 && route < 2,
                "found a decision on round {round}, expected {place}"
            );
            (departure.estimates[route], departure.reports[route]) = (estimate, reports);
        }
        Ok(departure)
    }

    fn end(mut self) -> anyhow::Result<Ended> {
        let count = |cluster: &Self, role, name: &str| -> u64 {
            let of_role = cluster.nodes.iter().filter(|(known, ..)| *known == role);
            of_role.filter_map(|(_, progress, _)| Some(progress.lock().ok()?.count(name))).sum()
        };
        let ended = Ended {
            lost: self.lost,
            published: count(&self, NodeRole::Monitor, "distributions_published"),
            taken: ["distributions_published", "distributions_renewed", "distributions_unused"]
                .iter()
                .map(|name| count(&self, NodeRole::Engine, name))
                .sum(),
        };
        self.stop.store(true, Ordering::Relaxed);
        for (role, _, thread) in self.nodes.drain(..) {
            thread.join().map_err(|_| anyhow!("the {role}'s thread has ended by a fault"))??;
        }
        Ok(ended)
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Plan<'_> {
    fn of(&self, role: NodeRole) -> impl Iterator<Item = (NodeId, SocketAddr)> {
        self.contacts.iter().filter(move |(known, ..)| *known == role).map(|&(_, id, address)| (id, address))
    }

    fn upstreams(&self, role: NodeRole, streams: &[StreamId]) -> Vec<Upstream> {
        let query = || StreamQuery::of(streams.iter().copied());
        self.of(role).map(|(node, address)| Upstream { node, address, query: query() }).collect()
    }

    fn source(&self, route: usize, identity: SigningIdentity) -> anyhow::Result<Source> {
        let first = self.script.first();
        // A measurement of one route only is none; its number passes unsent.
        let readings = self.script.measured.iter().enumerate().skip(first);
        let readings: Vec<(i64, f64)> = readings
            .map(|(place, times)| (Script::at_ns(place), times.map_or(f64::NAN, |times| times[route])))
            .collect();
        let config = SourceConfig { first_sequence: first as i64, ..SourceConfig::new(READINGS) };
        Ok(Source::new(
            &config,
            self.registry.clone(),
            identity,
            Box::new(readings.into_iter()),
            self.begins_ns,
        )?)
    }

    fn replica(&self, place: usize, identity: SigningIdentity) -> anyhow::Result<Lagged> {
        let windows = Windows::sliding(Script::opens_ns(), PERIOD_NS, MESSAGES as i64 * PERIOD_NS)?;
        let sources = self.of(NodeRole::Source);
        let stream = |(stream, (node, _)): (StreamId, (NodeId, SocketAddr))| ReplicaStream {
            stream,
            sources: vec![SourceStream { node, stream: READINGS }],
            windows,
            deadline_ns: Script::departs_after_ns(),
            computation: Computation::Last,
            readings_per_source_max: 2 * MESSAGES,
            latency: Some(PUBLICATION.to_owned()),
            residuals: None,
            steps: None,
        };
        let monitor = self.of(NodeRole::Monitor).next().context("a monitor")?.1;
        let config = ReplicaConfig {
            streams: results().into_iter().zip(sources).map(stream).collect(),
            upstreams: self.upstreams(NodeRole::Source, &[READINGS]),
            samples: Some(SamplePolicy::new(monitor)),
            behaviour: self.script.behaviour(place),
            ..ReplicaConfig::default()
        };
        let replica = Replica::new(&config, self.registry.clone(), identity, self.begins_ns)?;
        Ok(Lagged::new(replica, self.script.heard_from_ns(place), QUARTER_NS))
    }

    fn monitor(&self, identity: SigningIdentity) -> anyhow::Result<Monitor> {
        let engine = self.of(NodeRole::Engine).next().context("an engine")?.1;
        let config = MonitorConfig {
            monitored: vec![Monitored::new(PUBLICATION, SampleKind::Latency, Estimated::Exponential)],
            targets: vec![engine],
            ..MonitorConfig::default()
        };
        Ok(Monitor::new(&config, self.registry.clone(), identity, self.begins_ns)?)
    }

    fn client(&self, identity: SigningIdentity) -> anyhow::Result<Client> {
        let set = ModelSet { streams: self.script.streams.clone(), ..ModelSet::default() };
        let session = Session::new(Fleet::compile(&set)?, Box::new(SimdBackend::new().with_threads(1)));
        let timing = RoundTiming {
            windows: Windows::new(Script::opens_ns(), PERIOD_NS)?,
            close_after_ns: Script::departs_after_ns() + QUARTER_NS,
        };
        let stream = |(stream, spec): (StreamId, &StreamSpec)| ClientStream {
            name: spec.name.clone(),
            stream,
            replicas: self.of(NodeRole::Replica).map(|(node, _)| node).collect(),
            timing,
            first_round: self.script.start as i64,
        };
        let config = ClientConfig {
            streams: results().into_iter().zip(&self.script.streams).map(stream).collect(),
            upstreams: self.upstreams(NodeRole::Replica, &results()),
            ..ClientConfig::default()
        };
        Ok(Client::new(&config, self.registry.clone(), identity, session, self.begins_ns)?)
    }
}
