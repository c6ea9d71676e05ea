//! Replicas: the readings of a window in, one result at its deadline out.

mod config;
mod plans;
mod publisher;
mod window;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;

use centauri_wire::{
    Accepted, Limits, MessageView, NodeId, Registry, Role as NodeRole, SampleKind, SigningIdentity, StreamId,
    Verifier,
};

pub use config::{ReplicaConfig, ReplicaStream, SourceStream};
pub use plans::ComputationLimits;
use plans::{Begun, Need, Plans};
use publisher::{Outgoing, publish};
use window::{Logical, SampleSlots, Taken};

use crate::compute::{Certainty, compute_above, mean};
use crate::counters::counters;
use crate::error::check_number;
use crate::requests::{Reason, Subscription, Subscriptions, Terms, Upstreams};
use crate::sampler::Sampler;
use crate::signer::Signer;
use crate::timing::seconds_between;
use crate::{Behaviour, ConfigError, EVENTS_PER_TICK_MAX, Effects, Query, Reading, Role, Upstream};

counters! {
    /// What became of readings and windows.
    ReplicaCounters {
        readings_counted,
        readings_late,
        readings_early,
        readings_duplicate,
        readings_overflow,
        readings_outside,
        windows_closed,
        windows_empty,
        windows_left_out,
        computations_begun,
        computations_ended,
        results_not_finite,
        records_sent,
        frames_unexpected,
    }
}

/// To which logical stream a source's stream belongs, and as its how manieth source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Feed {
    node: NodeId,
    stream: StreamId,
    logical: u32,
    source: u32,
}

/// A replica: asks sources for their streams, computes on each window what has come by its deadline, and
/// streams the results to whoever asked.
///
/// - A reading belongs to the window its source time lies in, and counts if it comes by the window's
///   deadline, exactly then included. One that comes later never counts, wherever its window stands.
/// - A reading is known by its source and number: what comes twice counts once, the first value stands.
/// - At the deadline the result goes out with the window's index as its round; nothing goes out where
///   there is no result ([`crate::compute`]). What closes in one tick shares frames.
/// - The monitor is told the latencies from the sources (of late readings too), the residuals around each
///   window's mean times `√(m/(m−1))`, so that their variance is a reading's, and the steps between the
///   outputs of neighbouring windows.
/// - A subscriber's period thins the results by the windows alone, the same at every replica; a subscriber whose validity
///   has passed for the oldest reading of a result does not get it.
#[derive(Debug)]
pub struct Replica {
    own: NodeId,
    logicals: Vec<Logical>,
    /// Sorted.
    feeds: Vec<Feed>,
    plans: Plans,
    /// Places of logical streams that nobody asks for any more.
    free: Vec<usize>,
    ahead: u32,
    /// The next window of each stream by when it is due.
    due: BinaryHeap<Reverse<(i64, u32)>>,
    verifier: Verifier,
    signer: Signer,
    upstreams: Upstreams,
    subscriptions: Subscriptions,
    sampler: Sampler,
    behaviour: Behaviour,
    sample_offset: f64,
    frame_bytes_max: usize,
    /// What its own streams need of other replicas.
    static_needs: Vec<Need>,
    /// Who asks for its streams, or on whose behalf, has changed since it was looked at from outside.
    waiting_changed: bool,
    /// The replicas that ask for its streams, with what they ask.
    waiting: Vec<(NodeId, Arc<str>)>,
    closing: Vec<Reading>,
    outgoing: Vec<Outgoing>,
    counters: ReplicaCounters,
}

impl Replica {
    /// A replica at time `now_ns`: its first window is the one that the clock is in, or the next if that one's deadline has come.
    ///
    /// # Errors
    /// A number out of its range, a node that the registry does not have, a stream given twice.
    pub fn new(
        config: &ReplicaConfig,
        registry: Arc<Registry>,
        identity: SigningIdentity,
        now_ns: i64,
    ) -> Result<Self, ConfigError> {
        let feeds = feeds(&config.streams)?;
        let named = config.catalogue.iter();
        // All of the catalogue from the start: a stream that is tracked anew would have forgotten its nonces.
        let tracked: BTreeSet<(NodeId, StreamId)> = feeds
            .iter()
            .map(|feed| (feed.node, feed.stream))
            .chain(named.map(|named| (named.node, named.stream)))
            .collect();
        if let Some(stream) = config.streams.iter().find(|stream| stream.stream.0 >> 31 == 1) {
            let found = stream.stream.0;
            check_number(
                "stream",
                found,
                config.catalogue.is_empty(),
                "below 2,147,483,648 beside a catalogue",
            )?;
        }
        let limits = Limits { tracked_pairs_max: tracked.len(), ..config.limits };
        let mut verifier = Verifier::new(registry, limits).for_node(identity.id());
        for (node, stream) in tracked {
            verifier.track(node, stream)?;
        }
        let mut sampler = Sampler::new(config.samples)?;
        let mut logicals = Vec::with_capacity(config.streams.len());
        for stream in &config.streams {
            let mut made = logical(stream, config.windows_ahead_max, now_ns, &mut sampler)?;
            made.is_of_decisions = stream.sources.iter().any(|source| source.node == identity.id());
            logicals.push(made);
        }
        let ahead = config.windows_ahead_max;
        let (plain, static_needs) = divide(config, verifier.registry());
        let mut replica = Self {
            own: identity.id(),
            logicals,
            feeds,
            due: BinaryHeap::new(),
            verifier,
            signer: Signer::new(identity),
            upstreams: Upstreams::new(config.request, &plain, &[], now_ns)?,
            plans: Plans::new((config.computations, ahead), config.catalogue.clone(), config.names.clone())?,
            free: Vec::new(),
            ahead,
            static_needs,
            waiting_changed: false,
            waiting: Vec::new(),
            subscriptions: Subscriptions::new(config.subscribers, config.limits.past_ns)?,
            sampler,
            behaviour: config.behaviour.clone(),
            sample_offset: config.sample_offset,
            frame_bytes_max: config.frame_bytes_max,
            closing: Vec::new(),
            outgoing: Vec::new(),
            counters: ReplicaCounters::default(),
        };
        for at in 0..replica.logicals.len() {
            replica.schedule(at);
        }
        replica.ask(now_ns);
        Ok(replica)
    }

    /// Tells the sources that nothing more is wanted, and closes no more windows.
    pub fn stop(&mut self, now_ns: i64, effects: &mut Effects) {
        self.upstreams.cancel(now_ns, &mut self.signer, effects);
        self.due.clear();
    }

    /// Accepts no timestamp from now on that is both after `reserved_ns` and ahead of the clock.
    pub fn reserve_until(&mut self, reserved_ns: i64) {
        self.verifier.reserve_until(reserved_ns);
    }

    /// The newest timestamp of a frame that was accepted.
    #[must_use]
    pub fn newest_accepted_ns(&self) -> Option<i64> {
        self.verifier.newest_accepted_ns()
    }

    /// The requests that it serves as bytes, by node and number, to be kept over a restart.
    pub fn kept_requests(&self) -> impl Iterator<Item = ((NodeId, u64), Vec<u8>)> {
        self.subscriptions.kept()
    }

    /// Takes up a request that was kept, until it expires, and begins what it asks for; says whether it could.
    pub fn restore_request(&mut self, now_ns: i64, kept: &[u8]) -> bool {
        let own = self.logicals.iter().filter(|logical| !logical.retired).map(|logical| logical.stream);
        let resolve = |query: &_, terms| self.plans.resolve(query, terms, own);
        let granted = self.subscriptions.restore(now_ns, kept, self.verifier.registry(), resolve);
        let Some((query, terms)) = granted else { return false };
        self.begin(now_ns, &query, terms);
        // Nothing ends here, so there is nothing to tell anybody.
        self.end_unasked(now_ns, &mut Effects::new());
        true
    }

    fn accept(&mut self, now_ns: i64, from: SocketAddr, accepted: &Accepted<'_>, effects: &mut Effects) {
        let header = accepted.header();
        match accepted.message() {
            MessageView::Request(request) => {
                let own =
                    self.logicals.iter().filter(|logical| !logical.retired).map(|logical| logical.stream);
                let resolve = |query: &_, terms| self.plans.resolve(query, terms, own);
                let reply = self.subscriptions.request(now_ns, from, header, request, resolve, effects);
                if let Some(reply) = reply {
                    self.signer.answer(now_ns, reply.to, &reply.answer(), effects);
                    if let Some((query, terms)) = &reply.granted {
                        self.begin(now_ns, query, *terms);
                    }
                }
                // What has expired by now ends, also where there is nothing to answer.
                self.end_unasked(now_ns, effects);
            }
            MessageView::Answer(answer) => self.upstreams.answered(now_ns, header, answer, effects),
            MessageView::Stream(_) => {
                self.upstreams.heard(header.sender, effects);
                for record in accepted.records() {
                    let at_ns = record.source_timestamp_ns(header.timestamp_ns);
                    let (sequence, value) = (record.round, record.value);
                    let certainty = Certainty::OF_A_READING;
                    let reading = Reading { source: 0, sequence, at_ns, value, certainty };
                    self.take(now_ns, (header.sender, record.stream), reading, effects);
                }
            }
            _ => self.counters.frames_unexpected += 1,
        }
    }

    /// Gives a reading to every logical stream that is computed from its stream.
    fn take(&mut self, now_ns: i64, from: (NodeId, StreamId), reading: Reading, effects: &mut Effects) {
        let first = self.feeds.partition_point(|feed| (feed.node, feed.stream) < from);
        let feeds = self.feeds.get(first..).unwrap_or_default();
        let mut told = None;
        for feed in feeds.iter().take_while(|feed| (feed.node, feed.stream) == from) {
            let Some(logical) = self.logicals.get_mut(feed.logical as usize) else { continue };
            let count = match logical.take(now_ns, Reading { source: feed.source, ..reading }) {
                Taken::Counted => &mut self.counters.readings_counted,
                Taken::Late => &mut self.counters.readings_late,
                Taken::Early => &mut self.counters.readings_early,
                Taken::Duplicate => &mut self.counters.readings_duplicate,
                Taken::Overflow => &mut self.counters.readings_overflow,
                Taken::Outside => &mut self.counters.readings_outside,
            };
            *count += 1;
            // One latency for each distribution, however many streams the reading feeds.
            let slot = logical.samples.latency;
            if slot.is_some() && slot != told {
                told = slot;
                let latency = seconds_between(now_ns, reading.at_ns) + self.sample_offset;
                self.sampler.push(now_ns, slot, latency, &mut self.signer, effects);
            }
        }
    }

    /// Begins a computation that was granted, unless it runs already.
    fn begin(&mut self, now_ns: i64, query: &Query, terms: Terms) {
        let Some(begun) = self.plans.begin(query, terms) else { return };
        let Begun { stream, above, validity_ns, .. } = &begun;
        // It has been tried before it was granted, and asks for no samples.
        let Ok(mut made) = logical(stream, self.ahead, now_ns, &mut self.sampler) else { return };
        // Of windows that have begun it lacks readings. And whatever had this number before has sent results of such windows:
        // two different ones would convict this replica.
        made.next = made.windows.first_from(now_ns).unwrap_or(i64::MAX);
        made.above = above.unwrap_or(made.above);
        made.validity_ns = *validity_ns;
        let at = match self.free.pop() {
            Some(at) => at,
            None => self.logicals.len(),
        };
        let Ok(number) = u32::try_from(at) else { return };
        let sources = (0_u32..).zip(&stream.sources);
        self.feeds.extend(sources.map(|(source, from)| Feed {
            node: from.node,
            stream: from.stream,
            logical: number,
            source,
        }));
        self.feeds.sort_unstable();
        match self.logicals.get_mut(at) {
            Some(place) => *place = made,
            None => self.logicals.push(made),
        }
        self.plans.run(begun, at);
        self.counters.computations_begun += 1;
        self.schedule(at);
        self.tidy_due();
    }

    /// Forgets when windows of ended computations would have been due, before they become many.
    fn tidy_due(&mut self) {
        if self.due.len() <= 2 * self.logicals.len() + 64 {
            return;
        }
        let mut due = std::mem::take(&mut self.due).into_vec();
        due.retain(|Reverse((due_ns, at))| {
            let logical = self.logicals.get(*at as usize).filter(|logical| !logical.retired);
            logical.is_some_and(|logical| logical.due_ns() == Some(*due_ns))
        });
        due.sort_unstable();
        due.dedup();
        self.due = due.into();
    }

    /// Ends the computations that nobody asks for any more, and has others asked for what is needed.
    fn end_unasked(&mut self, now_ns: i64, effects: &mut Effects) {
        if !self.subscriptions.take_changed() {
            return;
        }
        // What others wait for is a long search where much is decided, and clients' requests make no difference to it.
        let waiting = self.subscriptions.iter().filter(|known| self.is_replica(known.node));
        let waiting: Vec<_> = waiting.map(|known| (known.node, Arc::clone(&known.query))).collect();
        if waiting != self.waiting {
            self.waiting = waiting;
            self.waiting_changed = true;
        }
        let asked: BTreeSet<StreamId> =
            self.subscriptions.iter().filter_map(Subscription::computation).collect();
        let ended = self.plans.running.extract_if(.., |stream, _| !asked.contains(stream));
        for (_, plan) in ended {
            if let Some(logical) = self.logicals.get_mut(plan.logical) {
                logical.retired = true;
                logical.slots = Vec::new();
            }
            self.feeds.retain(|feed| feed.logical as usize != plan.logical);
            self.free.push(plan.logical);
            self.counters.computations_ended += 1;
        }
        let needs = self.plans.needs(self.verifier.registry());
        let all: BTreeSet<(NodeId, Reason)> =
            needs.iter().chain(&self.static_needs).map(|need| (need.node, need.reason())).collect();
        let is_needed = |node, reason| all.contains(&(node, reason));
        self.upstreams.need_only(now_ns, is_needed, &mut self.signer, effects);
        self.ask(now_ns);
    }

    /// Has those asked of whom something is needed, and tells them on whose behalf.
    fn ask(&mut self, now_ns: i64) {
        let needs = self.plans.needs(self.verifier.registry());
        for Need { node, address, plan, streams } in self.static_needs.iter().cloned().chain(needs) {
            let via = plan.map_or_else(Vec::new, |stream| self.waiting_for(&[stream]));
            let reason = plan.map_or(Reason::Several, Reason::Stream);
            let (query, times) = (Query { via, ..streams.into() }, (1, self.upstreams.validity_ns()));
            self.upstreams.need((node, reason), address, query, times, now_ns);
        }
    }

    fn is_replica(&self, node: NodeId) -> bool {
        self.verifier.registry().by_id(node).is_some_and(|entry| entry.role == NodeRole::Replica)
    }

    /// These streams and the streams of others that wait for any of them, the nearest first.
    fn waiting_for(&self, streams: &[StreamId]) -> Vec<String> {
        let named = streams.iter().filter(|stream| self.plans.is_named(**stream));
        let mut all: Vec<String> = named.map(|stream| self.plans.label(*stream)).take(VIA_MAX).collect();
        // Nothing waits for a client: a way that one claims could only have others refused.
        let wants = |known: &&Subscription| streams.iter().any(|stream| known.wants(*stream));
        let waiting = self.subscriptions.iter().filter(|known| self.is_replica(known.node)).filter(wants);
        for name in waiting.flat_map(|known| known.via.iter()) {
            if all.len() < VIA_MAX && !all.contains(name) {
                all.push(name.clone());
            }
        }
        all
    }

    /// What waits for any of these streams, which this node decides itself: its own streams that are computed from them, and the
    /// streams of others that wait for those, the nearest first.
    pub(crate) fn waiting_for_decided(&self, decided: &[StreamId]) -> Vec<String> {
        let decided: BTreeSet<StreamId> = decided.iter().copied().collect();
        let fed = self.feeds.iter().filter(|feed| feed.node == self.own && decided.contains(&feed.stream));
        let logicals: BTreeSet<u32> = fed.map(|feed| feed.logical).collect();
        let of = |at: u32| self.logicals.get(at as usize).map(|logical| logical.stream);
        let streams: Vec<StreamId> = logicals.into_iter().filter_map(of).collect();
        self.waiting_for(&streams)
    }

    /// Whether what waits for its streams may be other than when this was asked last.
    pub(crate) fn take_waiting_changed(&mut self) -> bool {
        std::mem::take(&mut self.waiting_changed)
    }

    /// One of `count` parts of a node that sign with its key, of which no two give out the same timestamp.
    pub(crate) fn taking_turns(self, own: u8, count: usize) -> Self {
        Self { signer: self.signer.taking_turns(own, count), ..self }
    }

    /// Takes in what this node has itself decided on a stream: a reading of its own.
    pub(crate) fn take_decided(
        &mut self,
        now_ns: i64,
        stream: StreamId,
        reading: Reading,
        effects: &mut Effects,
    ) {
        self.take(now_ns, (self.own, stream), reading, effects);
    }

    /// Closes the windows that were due before `until_ns`, as if it were that time. What comes of them is sent in the next tick.
    pub(crate) fn catch_up(&mut self, until_ns: i64, effects: &mut Effects) {
        self.close_until(until_ns.saturating_sub(1), until_ns, effects);
    }

    /// Closes the windows that are due by `until_ns`, as at `now_ns`.
    fn close_until(&mut self, until_ns: i64, now_ns: i64, effects: &mut Effects) {
        for _ in 0..EVENTS_PER_TICK_MAX {
            let Some(&Reverse((due_ns, at))) = self.due.peek() else { break };
            if due_ns > until_ns {
                break;
            }
            self.due.pop();
            // A place may have been given to another stream since it was put here.
            let logical = self.logicals.get(at as usize).filter(|logical| !logical.retired);
            if logical.is_some_and(|logical| logical.due_ns() == Some(due_ns)) {
                self.close(now_ns, at as usize, effects);
            }
        }
    }

    fn schedule(&mut self, at: usize) {
        let Ok(index) = u32::try_from(at) else { return };
        if let Some(due_ns) = self.logicals.get(at).and_then(Logical::due_ns) {
            self.due.push(Reverse((due_ns, index)));
        }
    }

    /// Closes the next window of a stream.
    fn close(&mut self, now_ns: i64, at: usize, effects: &mut Effects) {
        let Some(logical) = self.logicals.get_mut(at) else { return };
        let mut readings = std::mem::take(&mut self.closing);
        logical.swap_out(&mut readings);
        if let (Some(validity), Some(due)) = (logical.validity_ns, logical.due_ns()) {
            // By when the window is due, and not by when it is closed: so every replica leaves out the same.
            readings.retain(|reading| reading.at_ns >= due.saturating_sub(validity));
        }
        self.counters.windows_closed += 1;
        self.counters.windows_empty += u64::from(readings.is_empty());
        let result = compute_above(logical.computation, logical.above, &readings);
        if result.is_none() && !readings.is_empty() {
            self.counters.results_not_finite += 1;
        }
        let opens = logical.windows.opens_ns(logical.next).unwrap_or(now_ns);
        let certainty = logical.is_of_decisions.then(|| Certainty::of(logical.computation, &readings));
        let due_ns = logical.due_ns().unwrap_or(now_ns);
        let oldest_ns = readings.iter().map(|reading| reading.at_ns).min().unwrap_or(opens);
        for value in self.behaviour.tell((logical.stream, logical.next), result).into_iter().flatten() {
            let Some(nonce) = logical.nonce else { continue };
            logical.nonce = nonce.checked_add(1);
            self.outgoing.push(Outgoing {
                stream: logical.stream,
                windows: logical.windows,
                round: logical.next,
                nonce,
                value,
                readings: u32::try_from(readings.len()).unwrap_or(u32::MAX),
                oldest_ns,
                due_ns,
                certainty,
            });
        }
        let (index, samples) = (logical.next, logical.samples);
        let before = match (result, logical.last) {
            (Some(_), Some((last, value))) if last.checked_add(1) == Some(index) => Some(value),
            _ => None,
        };
        logical.last = result.map(|value| (index, value)).or(logical.last);
        self.counters.windows_left_out += logical.advance(now_ns);
        let step = result.zip(before).map(|(value, before)| value - before);
        self.tell_monitor(now_ns, samples, &readings, step, effects);
        self.closing = readings;
        self.schedule(at);
    }

    fn tell_monitor(
        &mut self,
        now_ns: i64,
        samples: SampleSlots,
        readings: &[Reading],
        step: Option<f64>,
        effects: &mut Effects,
    ) {
        let (offset, signer) = (self.sample_offset, &mut self.signer);
        if let (Some(_), Some(mean), 2..) = (samples.residuals, mean(readings), readings.len()) {
            let m = readings.len() as f64;
            let scale = (m / (m - 1.0)).sqrt();
            for reading in readings {
                let residual = (reading.value - mean) * scale + offset;
                self.sampler.push(now_ns, samples.residuals, residual, signer, effects);
            }
        }
        if let Some(step) = step {
            self.sampler.push(now_ns, samples.steps, step + offset, signer, effects);
        }
    }
}

/// The longest way that a request says it has come.
const VIA_MAX: usize = 16;

/// Which upstreams are asked as they are, and what is asked of replicas for each stream that is computed from theirs: a request
/// tells on whose behalf it is made, so that a circle is found.
fn divide(config: &ReplicaConfig, registry: &Registry) -> (Vec<Upstream>, Vec<Need>) {
    let (mut plain, mut needs) = (Vec::new(), Vec::new());
    for upstream in &config.upstreams {
        let is_replica = registry.by_id(upstream.node).is_some_and(|node| node.role == NodeRole::Replica);
        let of_node = |stream: &ReplicaStream| -> Vec<StreamId> {
            let sources = stream.sources.iter().filter(|source| source.node == upstream.node);
            sources.map(|source| source.stream).filter(|stream| upstream.query.contains(*stream)).collect()
        };
        let named = config.streams.iter().filter(|stream| config.names.contains_key(&stream.stream));
        let waiting: Vec<_> = named.map(|stream| (stream.stream, of_node(stream))).collect();
        if !is_replica || waiting.iter().all(|(_, streams)| streams.is_empty()) {
            plain.push(upstream.clone());
            continue;
        }
        needs.extend(waiting.into_iter().filter(|(_, streams)| !streams.is_empty()).map(
            |(stream, streams)| Need {
                node: upstream.node,
                address: upstream.address,
                plan: Some(stream),
                streams: crate::StreamQuery::of(streams),
            },
        ));
    }
    (plain, needs)
}

/// All feeds in order; each source of a stream once.
fn feeds(streams: &[ReplicaStream]) -> Result<Vec<Feed>, ConfigError> {
    let mut feeds = Vec::new();
    for (logical, stream) in (0_u32..).zip(streams) {
        let sources = (0_u32..).zip(&stream.sources);
        feeds.extend(sources.map(|(source, from)| Feed {
            node: from.node,
            stream: from.stream,
            logical,
            source,
        }));
    }
    feeds.sort_unstable();
    let twice = feeds.windows(2).find_map(|pair| match pair {
        [a, b] if (a.node, a.stream, a.logical) == (b.node, b.stream, b.logical) => Some(*a),
        _ => None,
    });
    if let Some(Feed { node, stream, .. }) = twice {
        return Err(ConfigError::Twice { node, stream });
    }
    let mut numbers: Vec<StreamId> = streams.iter().map(|stream| stream.stream).collect();
    numbers.sort_unstable();
    match numbers.windows(2).find(|pair| pair.first() == pair.last()).and_then(<[_]>::first) {
        Some(stream) => Err(ConfigError::NameTwice { key: "streams", name: stream.to_string() }),
        None => Ok(feeds),
    }
}

fn logical(
    stream: &ReplicaStream,
    ahead: u32,
    now_ns: i64,
    sampler: &mut Sampler,
) -> Result<Logical, ConfigError> {
    let slots = stream.slots(ahead)?;
    // Where the deadline of the window that the clock is in has passed, a replica that was here before has sent its result,
    // and a second one, of nothing, would convict it.
    let current = stream.windows.index_of(now_ns).unwrap_or(i64::MAX);
    let due_ns = stream.windows.after_opening_ns(current, stream.deadline_ns);
    let next = current.saturating_add(i64::from(due_ns.is_some_and(|due_ns| due_ns <= now_ns)));
    let samples = SampleSlots {
        latency: sampler.slot(SampleKind::Latency, stream.latency.as_deref())?,
        residuals: sampler.slot(SampleKind::Output, stream.residuals.as_deref())?,
        steps: sampler.slot(SampleKind::Output, stream.steps.as_deref())?,
    };
    Ok(Logical {
        stream: stream.stream,
        windows: stream.windows,
        deadline_ns: stream.deadline_ns,
        computation: stream.computation,
        above: 0.5,
        validity_ns: None,
        retired: false,
        is_of_decisions: false,
        per_source_max: stream.readings_per_source_max,
        ahead,
        samples,
        next,
        nonce: Some(u64::try_from(now_ns).unwrap_or(0)),
        last: None,
        slots: vec![Vec::new(); slots],
    })
}

impl Role for Replica {
    fn handle(&mut self, now_ns: i64, from: SocketAddr, bytes: &[u8], effects: &mut Effects) -> bool {
        let Ok(accepted) = self.verifier.check(now_ns, bytes) else { return false };
        self.accept(now_ns, from, &accepted, effects);
        true
    }

    fn tick(&mut self, now_ns: i64, effects: &mut Effects) {
        self.close_until(now_ns, now_ns, effects);
        let bytes_max = self.frame_bytes_max;
        let sent = publish(
            now_ns,
            &mut self.outgoing,
            bytes_max,
            &mut self.subscriptions,
            &mut self.signer,
            effects,
        );
        self.counters.records_sent += sent;
        self.outgoing.clear();
        self.subscriptions.expire(now_ns);
        self.end_unasked(now_ns, effects);
        self.sampler.tick(now_ns, &mut self.signer, effects);
        self.upstreams.tick(now_ns, &mut self.signer, effects);
    }

    fn next_deadline(&self) -> Option<i64> {
        let due = self.due.peek().map(|Reverse((due_ns, _))| *due_ns);
        // A computation of which no window is due ends all the same.
        let expiry = self.subscriptions.next_expiry_ns().filter(|_| !self.plans.running.is_empty());
        let waits = [due, expiry, self.sampler.next_deadline(), self.upstreams.next_deadline()];
        waits.into_iter().flatten().min()
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut list = Vec::new();
        self.counters.list(&mut list);
        self.subscriptions.counters.list(&mut list);
        self.upstreams.list(&mut list);
        self.sampler.list(&mut list);
        list.push(("encode_failed", self.signer.failed));
        list.extend(self.verifier.counters().iter());
        list
    }
}
