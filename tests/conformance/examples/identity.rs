//! Status, value and quorum of the SIMD backend against the scalar one over very many random rounds:
//!
//!     cargo run --release -p centauri-conformance --example identity -- [ROUNDS] [SEED] [LEVEL]

use centauri_conformance::{Identity, SEED, identical};
use centauri_engine::{Backend, SimdBackend, SimdLevel};
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().and_then(|a| a.parse().ok()).unwrap_or(default);
    let (rounds, seed) = (number(10_000_000), number(SEED));
    let name = arguments.next();
    let wanted = |level: &SimdLevel| name.as_deref().is_none_or(|name| name == level.name());
    let level = SimdLevel::present().into_iter().find(wanted).unwrap_or(SimdLevel::best());
    println!("identity -- {rounds} {seed} {}", level.name());
    let (begin, mut told) = (Instant::now(), 0);
    let mut progress = |done: usize| {
        if done >= told + 500_000 {
            told = done;
            println!("{done} rounds alike after {:.0} s", begin.elapsed().as_secs_f64());
        }
    };
    let run = Identity { seed, rounds: rounds as usize };
    let mut make = || Box::new(SimdBackend::with_level(level).with_threads(1)) as Box<dyn Backend>;
    identical(&mut make, &run, &mut progress);
    println!("{rounds} rounds: status, value and quorum alike");
}
