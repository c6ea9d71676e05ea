//! A client that has others decide: it asks an engine for decisions and takes them in.

use std::net::SocketAddr;
use std::sync::Arc;

use centauri_wire::{
    DecisionRecord, Limits, MessageView, NodeId, Registry, SigningIdentity, StreamId, Verifier,
};

use crate::counters::counters;
use crate::requests::Upstreams;
use crate::signer::Signer;
use crate::{ConfigError, Effects, RequestPolicy, Role, StreamQuery, Upstream};

/// What a follower is told.
#[derive(Debug, Clone)]
pub struct FollowerConfig {
    /// The engine that decides, or a replica of a later stage.
    pub engine: NodeId,
    /// Where it listens.
    pub address: SocketAddr,
    /// The streams by their numbers there.
    pub streams: Vec<StreamId>,
    /// How it asks.
    pub request: RequestPolicy,
    /// The acceptance of frames. The bound on tracked streams is set to what the streams need.
    pub limits: Limits,
}

/// A decision as it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Followed {
    /// Who decided.
    pub engine: NodeId,
    /// When it was signed, by the engine's clock, in nanoseconds since the Unix epoch.
    pub signed_ns: i64,
    /// The decision.
    pub decision: DecisionRecord,
}

counters! {
    /// What became of decisions.
    FollowerCounters {
        decisions_followed,
        frames_unexpected,
    }
}

/// A client with limited means: it subscribes to an engine's decisions, checks that they are the engine's, and tells them as
/// [`crate::Effect::Followed`]. It trusts the engine to decide; one that does not runs a [`crate::Client`].
#[derive(Debug)]
pub struct Follower {
    verifier: Verifier,
    signer: Signer,
    upstreams: Upstreams,
    counters: FollowerCounters,
}

impl Follower {
    /// A follower at time `now_ns`.
    ///
    /// # Errors
    /// A number out of its range, an engine that the registry does not have.
    pub fn new(
        config: &FollowerConfig,
        registry: Arc<Registry>,
        identity: SigningIdentity,
        now_ns: i64,
    ) -> Result<Self, ConfigError> {
        let limits = Limits { tracked_pairs_max: config.streams.len(), ..config.limits };
        let mut verifier = Verifier::new(registry, limits).for_node(identity.id());
        for stream in &config.streams {
            verifier.track(config.engine, *stream)?;
        }
        let query = StreamQuery::of(config.streams.iter().copied());
        let upstream = Upstream { node: config.engine, address: config.address, query };
        Ok(Self {
            verifier,
            signer: Signer::new(identity),
            upstreams: Upstreams::new(config.request, &[upstream], &[], now_ns)?,
            counters: FollowerCounters::default(),
        })
    }

    /// Asks the engine anew at the next tick: the connection to it is another.
    pub fn ask_again(&mut self, now_ns: i64) {
        self.upstreams.ask_again(now_ns);
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

    /// Tells the engine that nothing more is wanted.
    pub fn stop(&mut self, now_ns: i64, effects: &mut Effects) {
        self.upstreams.cancel(now_ns, &mut self.signer, effects);
    }
}

impl Role for Follower {
    fn handle(&mut self, now_ns: i64, _from: SocketAddr, bytes: &[u8], effects: &mut Effects) -> bool {
        let Ok(accepted) = self.verifier.check(now_ns, bytes) else { return false };
        let header = accepted.header();
        match accepted.message() {
            MessageView::Decision(_) => {
                self.upstreams.heard(header.sender, effects);
                for decision in accepted.decisions() {
                    self.counters.decisions_followed += 1;
                    let (engine, signed_ns) = (header.sender, header.timestamp_ns);
                    effects.followed(Followed { engine, signed_ns, decision });
                }
            }
            MessageView::Answer(answer) => self.upstreams.answered(now_ns, header, answer, effects),
            _ => self.counters.frames_unexpected += 1,
        }
        true
    }

    fn tick(&mut self, now_ns: i64, effects: &mut Effects) {
        self.upstreams.tick(now_ns, &mut self.signer, effects);
    }

    fn next_deadline(&self) -> Option<i64> {
        self.upstreams.next_deadline()
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut list = Vec::new();
        self.counters.list(&mut list);
        self.upstreams.list(&mut list);
        list.push(("encode_failed", self.signer.failed));
        list.extend(self.verifier.counters().iter());
        list
    }
}
