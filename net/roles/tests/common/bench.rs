//! A client of one stream, and what becomes of its noise.

use std::collections::BTreeMap;

use centauri_engine::{
    Distribution, Fleet, Link, ModelSet, OutputSpec, PriorSpec, ScalarBackend, Session, StreamSpec, Support,
};
use centauri_roles::*;
use centauri_wire::{
    DecisionFrameBuilder, DecisionRecord, FRAME_BYTES_MAX, Limits, NodeId, QuorumBits, Record, StreamId,
};

use super::{CLIENT, MONITOR, MS, REPLICAS, address, frame, identity, registry, run_until};

pub(crate) const SECOND: i64 = 1_000 * MS;

/// A client of one stream with one round a second, and what it told.
pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) now_ns: i64,
    /// How sure three replicas say that they are; without it they do not decide.
    pub(crate) sds: Option<[f64; 3]>,
    /// The standard deviation of each round's decision.
    pub(crate) widths: BTreeMap<i64, f64>,
    pub(crate) published: Vec<(i64, Distribution)>,
    pub(crate) notes: Vec<Note>,
}

impl Bench {
    pub(crate) fn new(distributions: DistributionPolicy) -> Self {
        Self::restored(distributions, Vec::new(), 0)
    }

    /// With what was published to an earlier client.
    pub(crate) fn restored(
        distributions: DistributionPolicy,
        restored: Vec<(String, Distribution, i64)>,
        now_ns: i64,
    ) -> Self {
        Self::configured(ClientConfig { distributions, restored, ..ClientConfig::default() }, now_ns)
    }

    /// With the stream added to a configuration.
    pub(crate) fn configured(config: ClientConfig, now_ns: i64) -> Self {
        let mut output = OutputSpec::identity(Distribution::normal(0.0, 1.0).unwrap());
        output.noise = Some("noise".into());
        let spec = StreamSpec::builder("room", ["a", "b", "c", "d"])
            .faults(1)
            .support(Support::new(0.0, 0.5, 101).unwrap())
            .prior(PriorSpec::Uniform)
            .output(output)
            .link(Link::OnTime(0.9))
            .build();
        let noise = Distribution::normal(0.0, 1.5).unwrap();
        let set = ModelSet { distributions: [("noise".to_owned(), noise)].into(), streams: vec![spec] };
        let stream = ClientStream {
            name: "room".into(),
            stream: StreamId(1),
            replicas: REPLICAS.to_vec(),
            timing: RoundTiming { windows: Windows::new(0, SECOND).unwrap(), close_after_ns: SECOND / 2 },
            first_round: 0,
        };
        let limits = Limits { past_ns: u64::MAX, future_ns: u64::MAX, ..Limits::default() };
        let config = ClientConfig { streams: vec![stream], limits, ..config };
        let session = Session::new(Fleet::compile(&set).unwrap(), Box::new(ScalarBackend::new()));
        let client = Client::new(&config, registry(), identity(CLIENT), session, now_ns).unwrap();
        let (widths, published, notes) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { client, now_ns, sds: None, widths, published, notes }
    }

    /// Lets time pass; three replicas report 25, 25.5 and 26 in each round.
    pub(crate) fn until(&mut self, until_ns: i64) {
        let mut effects = Effects::new();
        while self.now_ns < until_ns {
            let round = self.now_ns.div_euclid(SECOND);
            if self.now_ns.rem_euclid(SECOND) == 0 {
                let nonce = round as u64 + 1;
                for (at, (node, value)) in REPLICAS.into_iter().zip([25.0, 25.5, 26.0]).enumerate() {
                    if let Some(sds) = self.sds {
                        self.decides(node, (round, nonce), value, sds[at]);
                        continue;
                    }
                    let record = Record { stream: StreamId(1), age_us: 0, nonce, round, value, readings: 1 };
                    let bytes = frame(node, self.now_ns, &[record]);
                    self.client.handle(self.now_ns, address(node), &bytes, &mut effects);
                }
            }
            self.now_ns = ((round + 1) * SECOND).min(until_ns);
            run_until(&mut self.client, self.now_ns, &mut effects);
            self.carry_out(&effects);
            effects.clear();
        }
    }

    /// Hands over a replica's decision on a round.
    pub(crate) fn decides(&mut self, node: NodeId, (round, nonce): (i64, u64), value: f64, sd: f64) {
        let record = DecisionRecord {
            stream: StreamId(1),
            age_us: 0,
            nonce,
            round,
            decided: true,
            replicas: 1,
            reported: 1,
            value,
            confidence: 0.5,
            mean: value,
            sd,
            low: value - sd,
            high: value + sd,
            quorum: QuorumBits(1),
        };
        let (mut bytes, mut effects) = (Vec::new(), Effects::new());
        let mut builder = DecisionFrameBuilder::begin(&mut bytes, self.now_ns, FRAME_BYTES_MAX);
        builder.push(&record).unwrap();
        builder.finish(&identity(node)).unwrap();
        assert!(self.client.handle(self.now_ns, address(node), &bytes, &mut effects));
        self.carry_out(&effects);
    }

    /// Hands over what the monitor says.
    pub(crate) fn tell(&mut self, distribution: &Distribution) {
        let (mut bytes, mut effects) = (Vec::new(), Effects::new());
        let body = to_wire(distribution).unwrap();
        let message = centauri_wire::Distribution { name: "noise", body: &body };
        message.encode(self.now_ns, &identity(MONITOR), &mut bytes).unwrap();
        self.client.handle(self.now_ns, address(MONITOR), &bytes, &mut effects);
        self.carry_out(&effects);
    }

    pub(crate) fn carry_out(&mut self, effects: &Effects) {
        for effect in effects.iter() {
            match effect {
                Effect::Published { name, distribution } => {
                    let news = [(name.to_owned(), distribution.clone())].into();
                    self.client.install(self.client.fleet().published(&news).unwrap()).unwrap();
                    self.published.push((self.now_ns, distribution.clone()));
                }
                Effect::Decided(decided) => {
                    self.widths.insert(decided.round, decided.decision.sd);
                }
                Effect::Note(note @ (Note::Aged { .. } | Note::Doubted { .. })) => {
                    self.notes.push(note.clone());
                }
                _ => {}
            }
        }
    }

    pub(crate) fn in_force(&self) -> &Distribution {
        &self.client.fleet().distributions()["noise"]
    }
}

pub(crate) fn normal_of(mean: f64, sd: f64) -> Distribution {
    Distribution::normal(mean, sd).unwrap()
}
