//! Records of servers under a fleet's traffic out of a file.

use super::{Index, Results, parse, place};
use crate::result::Fleet;

/// What makes two records speak of the same thing: sizes, bits of the rate and of the loss, and what ran.
pub(super) type FleetKey = ([usize; 5], [u64; 2], [String; 3]);

pub(super) fn take_fleet(text: &str, results: &mut Results, index: &mut Index) -> Result<(), String> {
    let record: Fleet = parse(text)?;
    check(&record)?;
    let sizes = [record.streams, record.replicas, record.faults, record.liars, record.phases];
    let bits = [record.rate, record.loss].map(|number| (number + 0.0).to_bits());
    let ran = [record.driver.clone(), record.verifier.clone(), record.backend.clone()];
    let next = results.fleet.len();
    let at = *index.fleet.entry((sizes, bits, ran)).or_insert(next);
    results.replaced += place(&mut results.fleet, at, record);
    Ok(())
}

fn check(record: &Fleet) -> Result<(), String> {
    let Fleet { replicas, faults, due, decided, missing, .. } = record;
    if *replicas == 0 || faults >= replicas {
        return Err(format!("replicas = {replicas}, faults = {faults}: expected fewer faults than replicas"));
    }
    if decided.checked_add(*missing) != Some(*due) || record.wrong > record.sampled {
        return Err(format!("found {decided} decided and {missing} missing of {due} due, expected a sum"));
    }
    let times = [record.p50_us, record.p90_us, record.p99_us, record.p999_us, record.max_us];
    let costs = [record.cpu_us_per_decision, record.cpu_share, record.frames_per_s, record.decisions_per_s];
    match times.into_iter().flatten().chain(costs).find(|number| *number < 0.0) {
        Some(number) => Err(format!("found {number}, expected a time or rate of at least 0")),
        None => Ok(()),
    }
}
