//! Blocks come back as they went in, and no bytes whatever make the reader panic.

use centauri::journal::limits::{BLOCK_BYTES_MAX, BLOCK_FULL_BYTES, DECISION_BYTES_MAX, REPLICAS_MAX};
use centauri::journal::{BlockBuilder, BlockError, BlockReader, Entry};
use centauri_engine::{Decision, Quorum, Region, Status};
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) stream: u32,
    pub(crate) round: i64,
    pub(crate) closed_ns: i64,
    pub(crate) replicas: usize,
    pub(crate) decision: Decision,
    pub(crate) honest: Option<Vec<f64>>,
}

impl Kept {
    pub(crate) fn entry(&self) -> Entry<'_> {
        let Self { stream, round, closed_ns, replicas, ref decision, ref honest } = *self;
        Entry { stream, round, closed_ns, decision, replicas, honest: honest.as_deref() }
    }

    pub(crate) fn of(entry: &Entry<'_>) -> Self {
        let Entry { stream, round, closed_ns, decision, replicas, honest } = *entry;
        Self { stream, round, closed_ns, replicas, decision: *decision, honest: honest.map(<[f64]>::to_vec) }
    }

    /// A plain decision of four replicas.
    pub(crate) fn plain(stream: u32, round: i64, closed_ns: i64) -> Self {
        let value = round as f64;
        let decision = Decision {
            status: Status::Decided,
            value,
            point: 50,
            confidence: 0.75,
            mean: value + 0.125,
            sd: 1.5,
            low: value - 3.0,
            high: value + 3.0,
            quorum: Quorum::EMPTY.with(0).with(2).with(3),
            log_evidence: Some(-4.25),
            region: Some(Region { low: value - 1.0, high: value }),
            exhaustive: true,
        };
        Self { stream, round, closed_ns, replicas: 4, decision, honest: Some(vec![0.5, 0.25, 0.9, 1.0]) }
    }
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |x| x.is_finite()),
        -100.0..100.0_f64,
        Just(-0.0),
        Just(5e-324)
    ]
}

fn numbers_of_places() -> impl Strategy<Value = (u32, i64, i64)> {
    prop_oneof![any::<(u32, i64, i64)>(), (0..50_u32, 1_000_i64..1_010, 7_i64..9)]
}

fn kept() -> impl Strategy<Value = Kept> {
    let numbers = proptest::array::uniform9(finite());
    let flags = any::<[bool; 5]>();
    (numbers_of_places(), numbers, flags, 0..=REPLICAS_MAX, any::<u128>(), any::<usize>()).prop_flat_map(
        |(
            (stream, round, closed_ns),
            n,
            [decided, evidence, region, honest, exhaustive],
            replicas,
            bits,
            point,
        )| {
            let [value, confidence, mean, sd, low, high, log_evidence, region_low, region_high] = n;
            let quorum = (0..replicas).filter(|position| bits >> position & 1 == 1).collect();
            let decision = Decision {
                status: if decided { Status::Decided } else { Status::NoQuorum },
                value,
                point,
                confidence,
                mean,
                sd,
                low,
                high,
                quorum,
                log_evidence: evidence.then_some(log_evidence),
                region: region.then_some(Region { low: region_low, high: region_high }),
                exhaustive,
            };
            let honest = if honest {
                proptest::collection::vec(finite(), replicas).prop_map(Some).boxed()
            } else {
                Just(None).boxed()
            };
            honest.prop_map(move |honest| Kept { stream, round, closed_ns, replicas, decision, honest })
        },
    )
}

pub(crate) fn read_all(bytes: &[u8]) -> Result<Vec<Kept>, BlockError> {
    let mut reader = BlockReader::new(bytes)?;
    let mut all = Vec::new();
    while let Some(entry) = reader.next()? {
        all.push(Kept::of(&entry));
    }
    assert_eq!(reader.next(), Ok(None), "after the end nothing comes");
    Ok(all)
}

pub(crate) fn block_of(all: &[Kept]) -> Vec<u8> {
    let mut builder = BlockBuilder::new();
    for kept in all {
        assert!(builder.push(&kept.entry()), "{kept:?}");
    }
    builder.take().expect("decisions").seal()
}

proptest! {
    #[test]
    fn decisions_come_back_bit_for_bit(all in proptest::collection::vec(kept(), 1..20)) {
        let mut builder = BlockBuilder::new();
        for kept in &all {
            prop_assert!(builder.push(&kept.entry()));
        }
        prop_assert_eq!(builder.since_ns(), Some(all[0].closed_ns));
        let block = builder.take().expect("decisions");
        prop_assert_eq!(block.count() as usize, all.len());
        prop_assert_eq!(Some(block.newest_ns()), all.iter().map(|kept| kept.closed_ns).max());
        prop_assert!(block.len() <= 40 + all.len() * DECISION_BYTES_MAX);
        let read = read_all(&block.seal()).expect("a block");
        // Debug output tells -0 from 0, where == does not.
        prop_assert_eq!(format!("{read:?}"), format!("{all:?}"));
        prop_assert_eq!((builder.take(), builder.since_ns()), (None, None));
    }

    #[test]
    fn a_changed_byte_or_length_is_found(
        all in proptest::collection::vec(kept(), 1..5), at: prop::sample::Index, change in 1..=255_u8, cut: prop::sample::Index,
    ) {
        let bytes = block_of(&all);
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= change;
        prop_assert!(read_all(&changed).is_err());
        prop_assert!(read_all(&bytes[..cut.index(bytes.len())]).is_err());
        let mut longer = bytes.clone();
        longer.push(change);
        prop_assert!(read_all(&longer).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), count in 0..9_u32) {
        let _ = read_all(&bytes);
        // With a good header and checksum the reader comes to the decisions.
        if bytes.len() >= 40 {
            bytes[..4].copy_from_slice(&[1, 0, 0, 0]);
            bytes[4..8].copy_from_slice(&count.to_le_bytes());
            if bytes.len() > 40 {
                bytes[40] &= 31;
            }
            let mut hasher = blake3::Hasher::new();
            hasher.update(&bytes[..32]);
            hasher.update(&bytes[40..]);
            bytes[32..40].copy_from_slice(&hasher.finalize().as_bytes()[..8]);
            let read = read_all(&bytes);
            prop_assert!(!matches!(read, Err(BlockError::Checksum | BlockError::Version(_) | BlockError::Length(_))));
        }
    }
}

#[test]
fn the_bytes_are_those_of_the_document() {
    let mut one = Kept::plain(3, 1_000, 7_000);
    one.decision.point = 200;
    let bytes = block_of(&[one]);
    let mut expected = vec![1, 0, 0, 0, 1, 0, 0, 0];
    for number in [7_000_i64, 7_000, 1_000] {
        expected.extend_from_slice(&number.to_le_bytes());
    }
    assert_eq!(&bytes[..32], expected);
    // Flags; the stream's difference from 0, folded; no difference in round and time; four replicas; quorum 0, 2, 3; point 200.
    assert_eq!(&bytes[40..48], [31, 6, 0, 0, 4, 0b1101, 0xc8, 1]);
    let numbers =
        [1_000.0, 0.75, 1_000.125, 1.5, 997.0, 1_003.0, -4.25, 999.0, 1_000.0, 0.5, 0.25, 0.9, 1.0_f64];
    let floats: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    assert_eq!(&bytes[48..], floats);
}

#[test]
fn what_no_decision_file_could_hold_is_refused() {
    let mut builder = BlockBuilder::new();
    let mut infinite = Kept::plain(0, 1, 1);
    infinite.decision.sd = f64::INFINITY;
    let mut not_a_number = Kept::plain(0, 1, 1);
    not_a_number.honest = Some(vec![0.5, f64::NAN, 0.5, 0.5]);
    let mut too_few = Kept::plain(0, 1, 1);
    too_few.honest = Some(vec![0.5]);
    let mut stranger = Kept::plain(0, 1, 1);
    stranger.decision.quorum = Quorum::EMPTY.with(4);
    let mut crowd = Kept::plain(0, 1, 1);
    (crowd.replicas, crowd.honest) = (129, None);
    for refused in [infinite, not_a_number, too_few, stranger, crowd] {
        assert!(!builder.push(&refused.entry()), "{refused:?}");
    }
    assert_eq!(builder.take(), None);
}

#[test]
fn a_block_is_full_before_it_is_too_long() {
    let mut builder = BlockBuilder::new();
    let mut widest = Kept::plain(u32::MAX, 0, 0);
    widest.replicas = REPLICAS_MAX;
    widest.honest = Some(vec![0.5; REPLICAS_MAX]);
    widest.decision.point = usize::MAX;
    let mut round = i64::MIN;
    while !builder.is_full() {
        (widest.round, widest.closed_ns, widest.stream) = (round, round, !widest.stream);
        assert!(builder.push(&widest.entry()));
        round = round.wrapping_add(i64::MAX);
    }
    let block = builder.take().expect("decisions");
    assert!((BLOCK_FULL_BYTES..=BLOCK_BYTES_MAX).contains(&block.len()), "{}", block.len());
    assert_eq!(read_all(&block.seal()).expect("a block").len(), 54);
}
