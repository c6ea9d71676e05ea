//! Records of speed out of a file.

use super::{Index, Results, parse, place};
use crate::result::{By, Growth, Ingest, Instructions, Speed, SpeedWork};

/// Most points of a growth curve.
const SIZES_MAX: usize = 1_000;

/// What makes two speed records speak of the same thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpeedKey {
    /// The work's name and objective.
    work: [String; 2],
    /// Streams, n, f, points.
    sizes: [usize; 4],
    region: bool,
    by: By,
}

impl SpeedKey {
    /// The key of who did what.
    #[must_use]
    pub fn new(work: &SpeedWork, by: &By) -> Self {
        Self {
            work: [work.name.clone(), work.objective.clone()],
            sizes: [work.streams, work.n, work.f, work.points],
            region: work.region,
            by: by.clone(),
        }
    }
}

pub(super) fn take_speed(text: &str, results: &mut Results, index: &mut Index) -> Result<(), String> {
    let record: Speed = parse(text)?;
    check_work(&record.work)?;
    for (name, value) in [
        ("decisions_per_cpu_s", record.decisions_per_cpu_s),
        ("decisions_per_wall_s", record.decisions_per_wall_s),
        ("decisions_per_busiest_s", record.decisions_per_busiest_s),
    ] {
        positive(name, value)?;
    }
    if record.spread < 0.0 {
        return Err(format!("spread = {}: expected a number of at least 0", record.spread));
    }
    if let Some(found) = record.agreement
        && (found.different > found.rounds || !(0.0..=1.0).contains(&found.probability_error))
    {
        return Err(format!(
            "agreement: found {} of {} rounds and a difference of {}, expected no more than all, and a share",
            found.different, found.rounds, found.probability_error
        ));
    }
    let next = results.speed.len();
    let at = *index.speed.entry(SpeedKey::new(&record.work, &record.by)).or_insert(next);
    results.replaced += place(&mut results.speed, at, record);
    Ok(())
}

pub(super) fn take_growth(text: &str, results: &mut Results, index: &mut Index) -> Result<(), String> {
    let record: Growth = parse(text)?;
    if record.times_us.len() > SIZES_MAX {
        return Err(format!("times_us: {} sizes; at most {SIZES_MAX} are taken", record.times_us.len()));
    }
    for (size, time) in &record.times_us {
        positive("times_us", *size)?;
        positive("times_us", *time)?;
    }
    let key = (record.against.clone(), record.objective.clone(), record.by.clone());
    let next = results.growth.len();
    let at = *index.growth.entry(key).or_insert(next);
    results.replaced += place(&mut results.growth, at, record);
    Ok(())
}

pub(super) fn take_instructions(text: &str, results: &mut Results, index: &mut Index) -> Result<(), String> {
    let record: Instructions = parse(text)?;
    check_work(&record.work)?;
    positive("per_decision", record.per_decision)?;
    let next = results.instructions.len();
    let at = *index.instructions.entry(SpeedKey::new(&record.work, &record.by)).or_insert(next);
    results.replaced += place(&mut results.instructions, at, record);
    Ok(())
}

pub(super) fn take_ingest(text: &str, results: &mut Results, index: &mut Index) -> Result<(), String> {
    let record: Ingest = parse(text)?;
    positive("messages_per_cpu_s", record.messages_per_cpu_s)?;
    for (name, value) in [
        ("records_per_cpu_s", record.records_per_cpu_s),
        ("decided_messages_per_cpu_s", record.decided_messages_per_cpu_s),
        ("ratio", record.ratio),
    ] {
        value.map_or(Ok(()), |value| positive(name, value))?;
    }
    if record.spread < 0.0 {
        return Err(format!("spread = {}: expected a number of at least 0", record.spread));
    }
    let driver = record.driver.clone().unwrap_or_default();
    let key = [record.work.clone(), record.verifier.clone(), driver];
    let next = results.ingest.len();
    let at = *index.ingest.entry(key).or_insert(next);
    results.replaced += place(&mut results.ingest, at, record);
    Ok(())
}

fn check_work(work: &SpeedWork) -> Result<(), String> {
    if work.n == 0 || work.f >= work.n {
        return Err(format!("n = {}, f = {}: expected n ≥ 1 and f < n", work.n, work.f));
    }
    Ok(())
}

fn positive(name: &str, value: f64) -> Result<(), String> {
    if value > 0.0 { Ok(()) } else { Err(format!("{name} = {value}: expected a number above 0")) }
}
