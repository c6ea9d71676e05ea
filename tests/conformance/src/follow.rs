//! Priors that follow: each round's prior is the round before, so that what a backend gets wrong would add up.

use crate::Make;
use crate::random::RandomRounds;
use centauri_engine::*;

/// Rounds of a stream, one after the other.
const ROUNDS: i64 = 40;

/// `streams` random streams whose priors follow, each with its own chain by the backend and by the scalar one.
///
/// # Panics
/// Where status, value or quorum differ anywhere along a chain, or a probability by more than 1e-5.
pub fn following(make: Make<'_>, seed: u64, streams: usize) {
    let mut random = RandomRounds::new(seed);
    for number in 0..streams {
        let mut spec = random.model("s", 6);
        let scale = spec.support.step() * [0.3, 1.0, 4.0][random.number(3)];
        let leak = [0.0, 1e-6, 1e-2][random.number(3)];
        let step = Distribution::laplace(0.0, scale).expect("legal");
        let initial = match &spec.prior {
            PriorSpec::Fixed(initial) => Some(initial.clone()),
            _ => None,
        };
        spec.prior = PriorSpec::Following { step: step.into(), initial, leak };
        let set = ModelSet { streams: vec![spec.clone()], ..ModelSet::default() };
        let fleet = Fleet::compile(&set).unwrap_or_else(|e| panic!("seed {seed}, stream {number}: {e}"));
        let mut session = Session::new(fleet.clone(), make());
        let mut law = Session::new(fleet, Box::new(ScalarBackend::new()));
        let mut round = 0;
        for _ in 0..ROUNDS {
            round += 1 + random.number(3) as i64;
            let reports = random.reports(&spec);
            let context = format!("seed {seed}, stream {number}, round {round}: {reports:?}\n {spec:?}");
            for session in [&mut session, &mut law] {
                session.push(StreamId(0), round, &reports).unwrap_or_else(|e| panic!("{context}: {e}"));
                session.flush().unwrap_or_else(|e| panic!("{context}: {e}"));
            }
            let (a, b) = (session.decided().decision(0), law.decided().decision(0));
            let same = a.status == b.status && a.point == b.point && a.quorum == b.quorum;
            assert!(same, "{context}\n found    {a:?}\n expected {b:?}");
            assert!((a.confidence - b.confidence).abs() < 1e-5, "{context}\n found {a:?}\n expected {b:?}");
        }
    }
}
