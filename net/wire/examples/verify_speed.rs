//! Processor time of one verification: eight lanes, and one at a time.
//!
//! `cargo run --release -p centauri-wire --example verify_speed [SIGNATURES]`: 200-byte messages, as many keys as signatures,
//! medians of nine runs in turn.

use centauri_wire::*;
use ed25519_dalek::{Signer as _, SigningKey};
use std::hint::black_box;

fn main() {
    let count: u32 =
        std::env::args().nth(1).map_or(1_024, |count| count.parse().expect("a number of signatures"));
    let signers: Vec<SigningKey> = (0..count)
        .map(|i| {
            let mut seed = [7; 32];
            seed[..4].copy_from_slice(&i.to_le_bytes());
            SigningKey::from_bytes(&seed)
        })
        .collect();
    let messages: Vec<[u8; 200]> = (0..count).map(|i| [i.to_le_bytes()[0]; 200]).collect();
    let signatures: Vec<[u8; 64]> =
        signers.iter().zip(&messages).map(|(s, m)| s.sign(m).to_bytes()).collect();
    let entry = |(i, signer): (usize, &SigningKey)| NodeEntry {
        id: NodeId(i as u32),
        name: format!("n{i}"),
        role: Role::Replica,
        key: PublicKey::register(signer.verifying_key().as_bytes()).expect("a good key"),
    };
    let registry = Registry::new(signers.iter().enumerate().map(entry).collect()).expect("different keys");
    let claims: Vec<Claim<'_>> = (0..signers.len())
        .map(|i| Claim { node_index: i, message: &messages[i], signature: &signatures[i] })
        .collect();

    let verifiers = [VerifierChoice::Auto, VerifierChoice::Strict].map(|c| BatchVerifier::new(&registry, c));
    if let Some(reason) = verifiers[0].fallback() {
        println!("no lanes: {reason}");
    }
    let mut times = [Vec::new(), Vec::new()];
    let mut verdicts = Vec::new();
    for _ in 0..9 {
        for (verifier, times) in verifiers.iter().zip(&mut times) {
            let start = thread_time_us();
            verifier.verify(black_box(&claims), &mut verdicts);
            times.push((thread_time_us() - start) / f64::from(count));
            assert!(verdicts.iter().all(|&v| v == SignatureVerdict::Good));
        }
    }
    for (verifier, times) in verifiers.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        println!("{}: {median:.2} µs a signature, {:.0} a second", verifier.kind().name(), 1e6 / median);
    }
}

/// Processor time of this thread, from `/proc/thread-self/schedstat`.
fn thread_time_us() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    nanoseconds.expect("Linux with scheduler statistics") / 1e3
}
