//! Traffic as an honest and a hostile network brings it, for tests that compare ways of taking it in.

use super::*;
use centauri_engine::{Distribution, Fleet, Link, ModelSet, OutputSpec, PriorSpec, StreamSpec, Support};
use centauri_wire::{
    Distribution as Published, DistributionBody, DistributionFamily, NodeId, Record, StreamId,
};
use proptest::prelude::*;

pub(crate) const PERIOD_NS: i64 = 1_000;

/// A fleet of streams of four replicas.
pub(crate) fn fleet<'a>(names: impl IntoIterator<Item = &'a str>) -> Fleet {
    let mut output = OutputSpec::identity(Distribution::normal(0.0, 1.0).unwrap());
    output.noise = Some("noise".into());
    let spec = |name: &str| {
        StreamSpec::builder(name, ["a", "b", "c", "d"])
            .faults(1)
            .support(Support::new(0.0, 0.5, 101).unwrap())
            .prior(PriorSpec::Uniform)
            .output(output.clone())
            .link(Link::OnTime(0.9))
            .build()
    };
    let noise = Distribution::normal(0.0, 1.0).unwrap();
    let streams = names.into_iter().map(spec).collect();
    let set = ModelSet { distributions: [("noise".to_owned(), noise)].into(), streams };
    Fleet::compile(&set).unwrap()
}

/// What is done to a frame before it is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spoilt {
    Not,
    Forged,
    BadS,
    BadR,
    Cut,
    Version,
    Sender,
}

#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) node: NodeId,
    age_ns: i64,
    /// Streams, rounds after the clock's, nonces and values: few of each, so that frames collide.
    records: Vec<(u32, i64, u64, u8)>,
    spoilt: Spoilt,
}

pub(crate) fn sent(streams: impl Strategy<Value = u32> + 'static) -> impl Strategy<Value = Sent> {
    let node = prop_oneof![
        20 => (0_usize..4).prop_map(|at| REPLICAS[at]),
        1 => Just(SOURCES[0]),
        1 => Just(CLIENT),
        2 => Just(MONITOR),
    ];
    let age = prop_oneof![12 => 0_i64..900, 1 => 3_000_i64..3_003, 1 => -1_502_i64..-1_498];
    let record = (streams.boxed(), -2_i64..3, 0_u64..12, 0_u8..2);
    let records = prop_oneof![
        4 => proptest::collection::vec(record.clone(), 1..3),
        1 => proptest::collection::vec(record, 57..60),
    ];
    let spoilt = prop_oneof![
        8 => Just(Spoilt::Not),
        3 => Just(Spoilt::Forged),
        2 => Just(Spoilt::BadS),
        1 => Just(Spoilt::BadR),
        1 => Just(Spoilt::Cut),
        1 => Just(Spoilt::Version),
        1 => Just(Spoilt::Sender),
    ];
    (node, age, records, spoilt).prop_map(|(node, age_ns, records, spoilt)| Sent {
        node,
        age_ns,
        records,
        spoilt,
    })
}

impl Sent {
    pub(crate) fn bytes(&self, now_ns: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let timestamp_ns = now_ns - self.age_ns;
        if self.node == MONITOR {
            let family = DistributionFamily::Normal { mean: 0.0, sd: 2.0 };
            let body = DistributionBody { offset: 0.0, family };
            Published { name: "noise", body: &body }
                .encode(timestamp_ns, &identity(MONITOR), &mut bytes)
                .unwrap();
        } else {
            let record = |&(stream, ahead, nonce, value): &(u32, i64, u64, u8)| Record {
                stream: StreamId(stream),
                age_us: 0,
                nonce,
                round: now_ns / PERIOD_NS + ahead,
                value: 20.0 + f64::from(value),
                readings: 1,
            };
            bytes = frame(self.node, timestamp_ns, &self.records.iter().map(record).collect::<Vec<_>>());
        }
        let signature = bytes.len() - 64;
        match self.spoilt {
            Spoilt::Not => {}
            Spoilt::Forged => bytes[signature + 32] ^= 1,
            Spoilt::BadS => bytes[signature + 32..].fill(0xff),
            Spoilt::BadR => bytes[signature..signature + 32].fill(0xff),
            Spoilt::Cut => bytes.truncate(signature),
            Spoilt::Version => bytes[7] = 2,
            Spoilt::Sender => bytes[16] = 99,
        }
        bytes
    }
}
