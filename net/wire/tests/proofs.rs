//! Proofs of equivocation: what proves, and what does not.

mod common;

use centauri_wire::*;
use common::*;
use proptest::prelude::*;

fn record_of(stream: u32, nonce: u64, round: i64, value: f64) -> Record {
    Record { round, value, ..record(stream, nonce) }
}

fn verify(first: &[u8], second: &[u8]) -> Result<Equivocation, ProofError> {
    let bytes = EquivocationProof { first, second }.encode();
    EquivocationProof::parse(&bytes).expect("what was written").verify(&registry())
}

#[test]
fn two_values_for_one_round_prove_and_nothing_less_does() {
    let first = stream_frame(REPLICA, NOW_NS, &[record_of(1, 1, 6, 1.0), record_of(1, 2, 7, 20.5)]);
    let second = stream_frame(REPLICA, NOW_NS + 9, &[record_of(2, 1, 6, 2.0), record_of(1, 3, 7, 99.0)]);
    let proven = verify(&first, &second).expect("round 7 has two values");
    assert_eq!((proven.node, proven.stream, proven.round), (REPLICA, StreamId(1), 7));
    assert_eq!((proven.values, proven.timestamps_ns), ([20.5, 99.0], [NOW_NS, NOW_NS + 9]));

    // Of other rounds, of other streams, the same value again, or the same number with another sign of zero.
    for other in [record_of(1, 4, 8, 99.0), record_of(3, 4, 7, 99.0), record_of(1, 4, 7, 20.5)] {
        assert_eq!(verify(&first, &stream_frame(REPLICA, NOW_NS, &[other])), Err(ProofError::Agreement));
    }
    let zero = |value| stream_frame(REPLICA, NOW_NS, &[record_of(1, 4, 7, value)]);
    assert_eq!(verify(&zero(0.0), &zero(-0.0)), Err(ProofError::Agreement));

    let of_source = stream_frame(SOURCE, NOW_NS, &[record_of(1, 3, 7, 99.0)]);
    assert_eq!(verify(&first, &of_source), Err(ProofError::Senders(REPLICA, SOURCE)));
    let nobody = NodeId(77);
    let stranger = stream_frame(nobody, NOW_NS, &[record_of(1, 3, 7, 99.0)]);
    assert_eq!(verify(&stranger, &stranger), Err(ProofError::UnknownSender(nobody)));

    // Whoever wants to convict a node cannot change what it signed.
    for at in [100, second.len() - 1, second.len() - 40] {
        let mut forged = second.clone();
        forged[at] ^= 1;
        assert!(verify(&first, &forged).is_err(), "byte {at}");
        assert_eq!(verify(&forged, &first).is_err(), verify(&first, &forged).is_err());
    }
    let bytes = EquivocationProof { first: &first, second: &second }.encode();
    for length in 0..bytes.len() {
        assert_eq!(EquivocationProof::parse(&bytes[..length]), Err(ProofError::Form), "{length}");
    }
}

#[test]
fn a_frame_can_contradict_itself_and_decisions_contradict_too() {
    let both = stream_frame(REPLICA, NOW_NS, &[record_of(1, 1, 7, 1.0), record_of(1, 2, 7, 2.0)]);
    assert_eq!(verify(&both, &both).map(|proven| proven.values), Ok([1.0, 2.0]));
    let decided = |value| decision_frame(REPLICA, &[DecisionRecord { value, ..decision(4, 1) }]);
    assert_eq!(verify(&decided(1.0), &decided(3.0)).map(|proven| proven.values), Ok([1.0, 3.0]));
    let request = cancel_frame(CLIENT, NOW_NS);
    assert_eq!(verify(&request, &request), Err(ProofError::Agreement));
}

/// A source that restarts numbers its readings from the beginning, and two computations can share a number of 31 bits.
#[test]
fn an_honest_node_is_not_convicted_by_what_it_says_of_different_times() {
    let at = |sender, stream, age_us, value| {
        let record = Record { age_us, ..record_of(stream, 1, 7, value) };
        stream_frame(sender, NOW_NS, &[record])
    };
    let computed = 1 << 31 | 5;
    for (sender, stream) in [(SOURCE, 1), (REPLICA, computed)] {
        let (then, now) = (at(sender, stream, 5_000_000, 1.0), at(sender, stream, 0, 2.0));
        assert_eq!(verify(&then, &now), Err(ProofError::Agreement), "{sender}");
        let other = at(sender, stream, 0, 3.0);
        assert_eq!(verify(&now, &other).map(|proven| proven.values), Ok([2.0, 3.0]), "{sender}");
        // The same time told in two frames, a part of a microsecond apart.
        let later =
            stream_frame(sender, NOW_NS + 1_999, &[Record { age_us: 1, ..record_of(stream, 1, 7, 9.0) }]);
        assert!(verify(&now, &later).is_ok(), "{sender}");
    }
    // The windows of a replica's own streams do not change.
    assert!(verify(&at(REPLICA, 1, 5_000_000, 1.0), &at(REPLICA, 1, 0, 2.0)).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), magic: bool) {
        let mut bytes = bytes;
        if magic {
            bytes.splice(0..0, *b"CENTPRF\x01");
        }
        if let Ok(proof) = EquivocationProof::parse(&bytes) {
            let _ = proof.verify(&registry());
            prop_assert_eq!(proof.encode(), bytes);
        }
    }
}
