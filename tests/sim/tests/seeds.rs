//! A thousand runs, of which none breaks an invariant.

use centauri_sim::{Sabotage, sweep};

#[test]
fn a_thousand_seeds_hold_every_invariant() {
    let swept = sweep(0, 1_000, 2, Sabotage::None, &|_| ());
    if let Some(violation) = swept.violation {
        panic!("{violation}");
    }
    assert_eq!(swept.seeds, 1_000);
    // What did not happen was not checked.
    for (name, least) in [
        ("decided", 8_000),
        ("no quorum", 50),
        ("regions checked", 5_000),
        ("rounds with a convict", 300),
        ("proofs", 50),
        ("client crashes", 100),
        ("other crashes", 200),
        ("pauses", 200),
        ("frames by hand", 5_000),
        ("outsider's", 20_000),
        ("batches of several slices", 50),
        ("writes stored", 5_000),
        ("writes failed", 1_000),
        ("orderly ends", 50),
        ("starts above the clock", 200),
        ("starts put off by the disk", 100),
        ("rounds told to be missing", 500),
        ("decided while the disk is full", 50),
        ("subscriptions restored", 30),
        ("replayed after a restart", 10_000),
        ("health: changes", 250),
        ("health: proven faulty", 120),
        ("health: better again", 5),
        ("ledgers restored", 200),
        ("requests: begun", 20_000),
        ("requests: renewed", 100_000),
        ("requests: cancelled", 400),
        ("requests: overtaken", 1_500),
        ("requests: expired", 4_000),
        ("requests: ended by a circle", 20),
        ("requests: not understood", 1_000),
        ("requests: of unknown streams", 1_500),
        ("requests: over quota", 1_500),
        ("requests: too often", 500),
        ("requests: too many", 3_000),
        ("circles refused", 200),
        ("computations shared", 50_000),
        ("other client: decided", 1_000),
        ("other client: reports", 1_000),
        ("relays: decided", 2_000),
        ("relays: passed on", 1_000),
        ("later stage: decided", 400),
        ("later stage: reports", 500),
        ("other nodes: regions checked", 3_000),
        ("decisions followed", 1_000),
        ("client: distributions", 200),
        ("client: reports", 10_000),
        ("client: reports at the deadline exactly", 15),
        ("client: repeated", 200),
        ("client: equivocating", 300),
        ("client: late", 1_000),
        ("client: early", 300),
        ("client: rounds left out", 10),
        ("client: signed frames stale", 1_000),
        ("client: signed frames from the future", 300),
        ("client: signed frames replayed", 2_000),
        ("client: signed records replayed", 1_000),
    ] {
        let found = swept.tally.get(name).copied().unwrap_or(0);
        assert!(found >= least, "{name}: found {found}, expected {least} or more");
    }
}
