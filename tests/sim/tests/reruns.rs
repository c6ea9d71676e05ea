//! The same seed, the same run.

use centauri_sim::{Plan, Sabotage, run};

#[test]
fn two_runs_of_a_seed_do_the_same() {
    let mut traces = Vec::new();
    for seed in 2_000..2_040 {
        let once =
            || run(&Plan::of_seed(seed), Sabotage::None, None).unwrap_or_else(|found| panic!("{found}"));
        let (first, second) = (once(), once());
        assert_eq!(first.trace, second.trace, "seed {seed}");
        // Debug shows every digit, and tells a NaN from none.
        assert_eq!(format!("{first:?}"), format!("{second:?}"), "seed {seed}");
        traces.push(first.trace.value());
    }
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 40, "different seeds do different things");
}

#[test]
fn telling_of_a_run_does_not_change_it() {
    let plan = Plan::of_seed(2_001);
    let mut told = Vec::new();
    let quiet = run(&plan, Sabotage::None, None).unwrap_or_else(|found| panic!("{found}"));
    let loud = run(&plan, Sabotage::None, Some(&mut told)).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(quiet, loud);
    let lines = String::from_utf8(told).expect("text").lines().count() as u64;
    assert!(lines >= quiet.steps, "{lines} lines for {} steps", quiet.steps);
}
