//! Verdicts on batches: those of `verify_strict`, whatever the batch, the position and the neighbours.

mod common;

use centauri_wire::*;
use common::*;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha512};

/// A key with a secret scalar that is known, so that a hostile owner can be played.
struct Owner {
    secret: Scalar,
    public: [u8; 32],
}

impl Owner {
    fn new(seed: u64) -> Self {
        let secret = Scalar::from(seed) * Scalar::from(u64::MAX) + Scalar::from(77_u64);
        Self { secret, public: EdwardsPoint::mul_base(&secret).compress().to_bytes() }
    }

    /// `R` and an `s` that fits it: sB − kA = rB.
    fn sign_with(&self, r: [u8; 32], nonce: Scalar, message: &[u8]) -> [u8; 64] {
        let digest = Sha512::new().chain_update(r).chain_update(self.public).chain_update(message).finalize();
        let s = nonce + Scalar::from_bytes_mod_order_wide(&digest.into()) * self.secret;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(s.as_bytes());
        signature
    }
}

/// One signature to be judged.
#[derive(Clone, Debug)]
struct Case {
    node_index: usize,
    message: Vec<u8>,
    signature: [u8; 64],
}

/// Keys in a registry, and cases over them.
struct Bench {
    registry: Registry,
    cases: Vec<Case>,
}

impl Bench {
    fn new(keys: &[[u8; 32]]) -> Self {
        let entry = |(index, key): (usize, &[u8; 32])| NodeEntry {
            id: NodeId(index as u32),
            name: format!("n{index}"),
            role: Role::Replica,
            key: PublicKey::register(key).expect("a good key"),
        };
        let nodes = keys.iter().enumerate().map(entry).collect();
        Self { registry: Registry::new(nodes).expect("different keys"), cases: Vec::new() }
    }

    fn expected(&self) -> Vec<SignatureVerdict> {
        let strict = |case: &Case| {
            let bytes = self.registry.nodes()[case.node_index].key.as_bytes();
            let key = VerifyingKey::from_bytes(bytes).expect("a good key");
            match key.verify_strict(&case.message, &Signature::from_bytes(&case.signature)) {
                Ok(()) => SignatureVerdict::Good,
                Err(_) => SignatureVerdict::Forged,
            }
        };
        self.cases.iter().map(strict).collect()
    }
}

fn verdicts<'a>(
    verifier: &BatchVerifier,
    cases: impl IntoIterator<Item = &'a Case>,
) -> Vec<SignatureVerdict> {
    let claim = |case: &'a Case| Claim {
        node_index: case.node_index,
        message: &case.message,
        signature: &case.signature,
    };
    let claims: Vec<_> = cases.into_iter().map(claim).collect();
    let mut verdicts = vec![SignatureVerdict::Good; 3];
    verifier.verify(&claims, &mut verdicts);
    assert_eq!(verdicts.len(), claims.len());
    verdicts
}

/// The verifiers that this machine has.
fn verifiers(registry: &Registry) -> Vec<BatchVerifier> {
    let auto = BatchVerifier::new(registry, VerifierChoice::Auto);
    match auto.fallback() {
        Some(reason) => println!("skipped: the eight-lane verifier: {reason}"),
        None => assert_eq!(auto.kind(), VerifierKind::Lanes),
    }
    assert_ne!(auto.fallback(), Some(Fallback::SelfTest));
    vec![auto, BatchVerifier::new(registry, VerifierChoice::Strict)]
}

/// Small-order points in all their encodings, canonical or not: 14.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let mut encodings: Vec<[u8; 32]> = Vec::new();
    for point in EIGHT_TORSION {
        encodings.push(point.compress().to_bytes());
    }
    let [one, minus_one, zero, prime, prime_plus_one] = [
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    .map(unhex_array);
    encodings.extend([one, minus_one, zero, prime, prime_plus_one]);
    encodings.push(unhex_array("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"));
    encodings.sort_unstable();
    encodings.dedup();
    assert_eq!(encodings.len(), 14);
    encodings
}

/// Every hostile signature that the owner of a good key can make, and good ones.
fn hostile_bench() -> Bench {
    let owners: Vec<Owner> = (1..6).map(Owner::new).collect();
    let mut bench = Bench::new(&owners.iter().map(|o| o.public).collect::<Vec<_>>());
    let nonce = Scalar::from(0x1234_5678_9abc_u64);
    let r = EdwardsPoint::mul_base(&nonce);
    for (node_index, owner) in owners.iter().enumerate() {
        let message = vec![node_index as u8; 40 * node_index];
        let mut push = |signature| bench.cases.push(Case { node_index, message: message.clone(), signature });
        push(owner.sign_with(r.compress().to_bytes(), nonce, &message));
        for torsion in &EIGHT_TORSION {
            push(owner.sign_with((r + torsion).compress().to_bytes(), nonce, &message));
            push(owner.sign_with(torsion.compress().to_bytes(), Scalar::ZERO, &message));
        }
        for encoding in small_order_encodings() {
            push(owner.sign_with(encoding, Scalar::ZERO, &message));
            push(owner.sign_with(encoding, nonce, &message));
        }
        let mut unreduced = owner.sign_with(r.compress().to_bytes(), nonce, &message);
        unreduced[63] |= 0x10;
        push(unreduced);
        push([0xff; 64]);
        push([0; 64]);
        // y with no x on the curve.
        let mut off = owner.sign_with(r.compress().to_bytes(), nonce, &message);
        off[..32].copy_from_slice(&[2; 32]);
        assert!(CompressedEdwardsY([2; 32]).decompress().is_none());
        push(off);
    }
    bench
}

#[test]
fn small_order_keys_cannot_be_registered_in_any_encoding() {
    // So none of the 196 pairs of a small-order key with a small-order R comes to a verifier: the R do, on good keys.
    for encoding in small_order_encodings() {
        assert!(PublicKey::register(&encoding).is_err());
    }
}

#[test]
fn hostile_signatures_get_their_verdict_in_every_position_and_every_size_of_batch() {
    let bench = hostile_bench();
    let expected = bench.expected();
    let good = expected.iter().filter(|&&v| v == SignatureVerdict::Good).count();
    assert!(good >= 10, "each owner's honest signature, and the one with the identity as torsion: {good}");
    for verifier in verifiers(&bench.registry) {
        for size in (1..=17).chain([64, bench.cases.len()]) {
            let mut found = Vec::new();
            for chunk in bench.cases.chunks(size) {
                found.extend(verdicts(&verifier, chunk));
            }
            assert_eq!(found, expected, "{} in batches of {size}", verifier.kind().name());
        }
        for shift in 0..8 {
            let turned = bench.cases.iter().cycle().skip(shift).take(bench.cases.len());
            let mut found = verdicts(&verifier, turned);
            found.rotate_right(shift);
            assert_eq!(found, expected, "{} turned by {shift}", verifier.kind().name());
        }
    }
}

#[test]
fn published_hostile_cases_get_the_verdict_of_verify_strict_in_every_lane() {
    let path = format!("{}/../../../shared/data/ed25519-speccheck/cases.json", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: the ed25519-speccheck cases are not there");
        return;
    };
    let cases: Vec<std::collections::BTreeMap<String, String>> = serde_json::from_str(&text).expect("JSON");
    let mut keys: Vec<[u8; 32]> = cases.iter().map(|case| unhex_array(&case["pub_key"])).collect();
    keys.retain(|key| PublicKey::register(key).is_ok());
    keys.sort_unstable();
    keys.dedup();
    let mut bench = Bench::new(&keys);
    for case in &cases {
        let key: [u8; 32] = unhex_array(&case["pub_key"]);
        if let Some(node_index) = keys.iter().position(|k| *k == key) {
            let (message, signature) = (unhex(&case["message"]), unhex_array(&case["signature"]));
            bench.cases.push(Case { node_index, message, signature });
        }
    }
    println!("{} of {} cases are on keys that may be registered", bench.cases.len(), cases.len());
    assert!(!bench.cases.is_empty());
    let expected = bench.expected();
    for verifier in verifiers(&bench.registry) {
        for (case, expected) in bench.cases.iter().zip(&expected) {
            for lane in 0..8 {
                let mut batch: Vec<&Case> = bench.cases.iter().cycle().take(8).collect();
                batch[lane] = case;
                assert_eq!(verdicts(&verifier, batch)[lane], *expected);
            }
        }
    }
}

#[test]
fn unknown_nodes_and_long_messages_are_judged_beside_the_others() {
    let signing = SigningKey::from_bytes(&[9; 32]);
    let mut bench = Bench::new(&[*signing.verifying_key().as_bytes()]);
    for length in [0, 2_047, 2_048, 2_049, 5_000, 10] {
        let message = vec![7; length];
        let signature = signing.sign(&message).to_bytes();
        bench.cases.push(Case { node_index: 0, message, signature });
    }
    let mut cases = bench.cases.clone();
    cases.insert(2, Case { node_index: 1, ..bench.cases[0].clone() });
    for verifier in verifiers(&bench.registry) {
        let mut found = verdicts(&verifier, &cases);
        assert_eq!(found.remove(2), SignatureVerdict::Forged, "nobody's signature");
        assert_eq!(found, [SignatureVerdict::Good; 6]);
        let nobody: Vec<Case> = cases.iter().map(|c| Case { node_index: 5, ..c.clone() }).collect();
        assert_eq!(verdicts(&verifier, &nobody), [SignatureVerdict::Forged; 7]);
        assert_eq!(verdicts(&verifier, &[]), []);
    }
}

#[test]
fn frames_are_verified_in_a_batch_as_one_by_one() {
    let records: Vec<Record> = (0..60).map(|nonce| record(1, nonce)).collect();
    let short = stream_frame(REPLICA, NOW_NS, &records[..1]);
    let long = stream_frame(SOURCE, NOW_NS, &records);
    assert!(long.len() > DIRECT_SIGNED_BYTES_MAX, "signed by its digest");
    let mut forged = long.clone();
    *forged.last_mut().expect("bytes") = 0;
    forged[100] ^= 1;
    let frames = [short, long, forged];
    let mut receiver = verifier();
    let pending: Vec<_> =
        frames.iter().map(|f| receiver.precheck(NOW_NS, f).expect("passes the cheap checks")).collect();
    let one_by_one: Vec<_> = pending.iter().map(|pending| receiver.verify(pending)).collect();
    assert_eq!(one_by_one, [SignatureVerdict::Good, SignatureVerdict::Good, SignatureVerdict::Forged]);
    for verifier in verifiers(receiver.registry()) {
        let mut verdicts = Vec::new();
        verifier.verify_pending(&pending, &mut verdicts);
        assert_eq!(verdicts, one_by_one);
    }
}

/// Signatures of which a part is spoilt in a random way; the messages' lengths differ.
fn random_bench(seed: u64, count: usize) -> Bench {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let signers: Vec<SigningKey> = (0..24)
        .map(|_| {
            let mut secret = [0; 32];
            rng.fill_bytes(&mut secret);
            SigningKey::from_bytes(&secret)
        })
        .collect();
    let mut bench = Bench::new(&signers.iter().map(|s| s.verifying_key().to_bytes()).collect::<Vec<_>>());
    for _ in 0..count {
        let node_index = rng.next_u32() as usize % signers.len();
        let mut message = vec![0; rng.next_u32() as usize % 400];
        rng.fill_bytes(&mut message);
        let mut signature = signers[node_index].sign(&message).to_bytes();
        match rng.next_u32() % 8 {
            0 => signature[rng.next_u32() as usize % 64] ^= 1 << (rng.next_u32() % 8),
            1 => rng.fill_bytes(&mut signature[..32]),
            2 => rng.fill_bytes(&mut signature[32..63]),
            3 if !message.is_empty() => {
                let at = rng.next_u32() as usize % message.len();
                message[at] ^= 1 << (rng.next_u32() % 8);
            }
            _ => {}
        }
        bench.cases.push(Case { node_index, message, signature });
    }
    bench
}

fn differential(seed: u64, count: usize) {
    println!("seed {seed}: {count} signatures");
    let bench = random_bench(seed, count);
    let expected = bench.expected();
    let found = verdicts(&verifiers(&bench.registry)[0], &bench.cases);
    let wrong = found.iter().zip(&expected).position(|(a, b)| a != b);
    if let Some(at) = wrong {
        panic!("seed {seed}: {:?}: found {:?}, expected {:?}", bench.cases[at], found[at], expected[at]);
    }
}

#[test]
fn lanes_and_verify_strict_agree_on_20_000_signatures() {
    differential(1, 20_000);
}

/// `cargo test --release -p centauri-wire --test batches -- --ignored --nocapture`; `CENTAURI_SEED` sets the seed.
#[test]
#[ignore = "a minute of processor time"]
fn lanes_and_verify_strict_agree_on_a_million_signatures() {
    let seed = std::env::var("CENTAURI_SEED").map_or(2, |seed| seed.parse().expect("a number"));
    for part in 0..20 {
        differential(seed + part, 50_000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A verdict is its claim's own: the batch may be cut and turned in any way.
    #[test]
    fn verdicts_do_not_depend_on_the_batch(
        order in Just((0..40).collect::<Vec<usize>>()).prop_shuffle(),
        cuts in prop::collection::vec(1..13_usize, 40),
        seed in 0..4_u64,
    ) {
        let bench = random_bench(seed, 40);
        let verifier = BatchVerifier::new(&bench.registry, VerifierChoice::Auto);
        let straight = verdicts(&verifier, &bench.cases);
        let mut rest = &order[..];
        let mut found = vec![None; 40];
        for cut in cuts {
            let (batch, others) = rest.split_at(cut.min(rest.len()));
            rest = others;
            let given = verdicts(&verifier, batch.iter().map(|&at| &bench.cases[at]));
            batch.iter().zip(given).for_each(|(&at, verdict)| found[at] = Some(verdict));
        }
        prop_assert_eq!(found.into_iter().collect::<Option<Vec<_>>>(), Some(straight));
    }
}
