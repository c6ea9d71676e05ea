//! What the engine server is told of the fleet.

use super::schedule::Schedule;
use super::{DemoError, Options};
use centauri_engine::{
    Computation, Distribution, DistributionError, Family, Link, ModelSet, OutputSpec, PriorSpec, StreamSpec,
    Support,
};
use std::time::Duration;

/// The name of the one stream.
pub(super) const STREAM: &str = "mean";
/// The monitor's names for latencies from sources to replicas and from replicas to the engine, and for what one
/// reading is off its window's mean.
pub(super) const UPLINK: &str = "uplink";
pub(super) const DOWNLINK: &str = "downlink";
pub(super) const READING: &str = "reading";

/// Points of the support.
const POINTS: usize = 1_001;
/// No network is taken to be better than this: a model that is sure that nothing is lost cannot bear that something was.
const LOSS_MIN: f64 = 0.005;
/// The noise of a replica, as a share of what a missing reading does to the mean.
const NOISE_SHARE: f64 = 0.05;
/// A lost message is one that comes after eleven days.
const NEVER_SECONDS: f64 = 1e6;

/// When a round's results are sent and when it is decided, after its window opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadlines {
    pub(super) replica: Duration,
    pub(super) engine: Duration,
}

impl Deadlines {
    /// Replicas wait for two mean delays after the window's end, the engine for four more: a few per cent are late.
    pub(super) fn new(window: Duration, delay: Duration) -> Self {
        /// Room for threads to be woken.
        const WAKING: Duration = Duration::from_millis(10);
        let replica = window + delay * 2 + WAKING;
        Self { replica, engine: replica + delay * 4 + WAKING }
    }
}

/// Width of a step of the support.
pub(super) fn width(schedule: &Schedule) -> f64 {
    (schedule.scales.high - schedule.scales.low) / (POINTS - 1) as f64
}

/// The model that the engine begins with: the latencies are guesses, which the monitor corrects.
pub(super) fn model(
    schedule: &Schedule,
    options: &Options,
    replicas: &[String],
    deadlines: Deadlines,
) -> Result<ModelSet, DemoError> {
    build(schedule, options, replicas, deadlines).map_err(|problem| DemoError::part("model", problem))
}

fn build(
    schedule: &Schedule,
    options: &Options,
    replicas: &[String],
    deadlines: Deadlines,
) -> Result<ModelSet, Box<dyn std::error::Error>> {
    let scales = schedule.scales;
    let width = width(schedule);
    let mut output = OutputSpec::new(Computation::Mean);
    output.messages.clone_from(&schedule.messages);
    output.arrival = Some(UPLINK.into());
    output.deadline = Some(deadlines.replica.as_secs_f64());
    output.source = Some(READING.into());
    // Two replicas that miss the same reading agree to the last bit, though neither is complete: exact agreement is to
    // count for much, but not for everything.
    let messages = schedule.messages.len().max(2) as f64;
    let one_missing = scales.spread * (1.0 / (messages - 1.0) - 1.0 / messages).sqrt();
    output.noise = Some(Distribution::normal(0.0, NOISE_SHARE * one_missing)?.into());
    let step = Distribution::student_t(scales.step_df, 0.0, scales.step.max(width / 2.0))?;
    let link = Link::Latency {
        arrival: DOWNLINK.into(),
        deadline: (deadlines.engine - deadlines.replica).as_secs_f64(),
    };
    let spec = StreamSpec::builder(STREAM, replicas.iter().map(String::as_str))
        .faults(options.faults())
        .support(Support::new(scales.low, width, POINTS)?)
        .prior(PriorSpec::following(step))
        .output(output)
        .link(link)
        .build();
    // A guess that is off, as guesses are.
    let latency = Distribution::exponential(2.0 * options.delay.as_secs_f64() + 1e-3)?;
    let mut set = ModelSet { streams: vec![spec], ..ModelSet::default() };
    for (name, distribution) in
        [(UPLINK, latency.clone()), (DOWNLINK, latency), (READING, Distribution::normal(0.0, scales.spread)?)]
    {
        set.distributions.insert(name.to_owned(), with_loss(name, distribution, options.loss)?);
    }
    Ok(set)
}

/// What the model makes of a published distribution: the monitor sees the latencies of what arrived, so the loss, which
/// the model is told, comes on top.
pub(super) fn with_loss(
    name: &str,
    distribution: Distribution,
    loss: f64,
) -> Result<Distribution, DistributionError> {
    if name == READING {
        return Ok(distribution);
    }
    let loss = loss.max(LOSS_MIN);
    let never = Distribution::uniform(NEVER_SECONDS, 2.0 * NEVER_SECONDS)?;
    let components = vec![distribution, never];
    Distribution::new(Family::Mixture { weights: vec![1.0 - loss, loss], components }, 0.0)
}
