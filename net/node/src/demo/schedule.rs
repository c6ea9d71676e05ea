//! All readings of a run, and the ideal output of each window.

use super::DemoError;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::time::Duration;

/// What the readings are like, as a person who knows the instruments would say beforehand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scales {
    /// The range of a window's mean.
    pub(super) low: f64,
    pub(super) high: f64,
    /// Standard deviation of the readings of one window.
    pub(super) spread: f64,
    /// Scale of the move of a window's mean from one window to the next.
    pub(super) step: f64,
    /// Degrees of freedom of those moves: few where they are wild now and then.
    pub(super) step_df: f64,
}

/// A reading: nanoseconds after window 0 opens, and its value.
pub(super) type Timed = (i64, f64);

/// What the sources will read and when; window `i` opens `i·window_ns` after the epoch.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) window_ns: i64,
    /// A name and the readings of each source, in order of time.
    pub(super) sources: Vec<(String, Vec<Timed>)>,
    /// Offsets of a usual window's readings, in seconds after it opens.
    pub(super) messages: Vec<f64>,
    /// The mean of all readings made in each window: the ideal output. `None` where none was made.
    pub(super) truth: Vec<Option<f64>>,
    pub(super) scales: Scales,
    /// Seconds of the file that pass in a second, for a replay.
    pub(super) speed: Option<f64>,
}

impl Schedule {
    /// The ideal output of a window.
    pub(super) fn truth(&self, round: i64) -> Option<f64> {
        *self.truth.get(usize::try_from(round).ok()?)?
    }

    pub(super) fn rounds(&self) -> i64 {
        i64::try_from(self.truth.len()).unwrap_or(i64::MAX)
    }

    /// Most readings of one source in one window.
    pub(super) fn readings_per_source_max(&self) -> usize {
        let of = |readings: &Vec<Timed>| {
            let windows = readings.chunk_by(|a, b| self.window_of(a) == self.window_of(b));
            windows.map(<[Timed]>::len).max().unwrap_or(0)
        };
        self.sources.iter().map(|(_, readings)| of(readings)).max().unwrap_or(0).max(1)
    }

    fn window_of(&self, reading: &Timed) -> i64 {
        reading.0.div_euclid(self.window_ns)
    }
}

/// The mean of the readings of each of the windows `0 … rounds − 1`.
pub(super) fn means_by_window<'a>(
    readings: impl IntoIterator<Item = &'a Timed>,
    window_ns: i64,
    rounds: usize,
) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_u32); rounds];
    for (at, value) in readings {
        let window = usize::try_from(at.div_euclid(window_ns)).ok();
        if let Some((sum, count)) = window.and_then(|window| sums.get_mut(window)) {
            *sum += value;
            *count += 1;
        }
    }
    sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / f64::from(count))).collect()
}

/// The windows that fit a duration; at least one.
pub(super) fn rounds_in(duration: Duration, window_ns: i64) -> usize {
    let rounds = duration.as_nanos() / u128::from(window_ns.unsigned_abs().max(1));
    usize::try_from(rounds).unwrap_or(usize::MAX).max(1)
}

/// Length of a window of generated readings; replays without a speed have the same.
pub(super) const WINDOW: Duration = Duration::from_millis(400);

/// Generated readings: five thermometers in one room whose temperature wanders.
mod room {
    pub(super) const SENSORS: usize = 5;
    pub(super) const READINGS_PER_WINDOW: usize = 2;
    pub(super) const START: f64 = 20.0;
    /// Of what is off the start, this share is left a window later.
    pub(super) const RETURN: f64 = 0.98;
    pub(super) const WANDER: f64 = 0.03;
    /// Standard deviation of the sensors' constant errors, and of a reading's own.
    pub(super) const BIAS: f64 = 1.0;
    pub(super) const NOISE: f64 = 0.05;
    pub(super) const RANGE: f64 = 6.0;
}

/// Readings of five thermometers for so long, the same for each seed.
pub(super) fn generate(duration: Duration, seed: u64) -> Result<Schedule, DemoError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let window_ns = WINDOW.as_nanos() as i64;
    let rounds = rounds_in(duration, window_ns);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let biases: [f64; room::SENSORS] = std::array::from_fn(|_| room::BIAS * normal());
    let slots = (room::SENSORS * room::READINGS_PER_WINDOW) as i64;
    // The sensors read one after the other; the offsets are odd numbers of halves of a slot.
    let offset = |reading: usize, sensor: usize| {
        let slot = (reading * room::SENSORS + sensor) as i64;
        window_ns * (2 * slot + 1) / (2 * slots)
    };
    let mut sources: Vec<(String, Vec<Timed>)> =
        (1..=room::SENSORS).map(|number| (format!("sensor-{number}"), Vec::new())).collect();
    let mut wandered = 0.0;
    for round in 0..rounds as i64 {
        wandered = room::RETURN * wandered + room::WANDER * normal();
        for reading in 0..room::READINGS_PER_WINDOW {
            for (sensor, ((_, readings), bias)) in sources.iter_mut().zip(biases).enumerate() {
                let value = room::START + wandered + bias + room::NOISE * normal();
                readings.push((round * window_ns + offset(reading, sensor), value));
            }
        }
    }
    let all = (0..room::READINGS_PER_WINDOW).flat_map(|r| (0..room::SENSORS).map(move |s| (r, s)));
    let messages = all.map(|(reading, sensor)| offset(reading, sensor) as f64 * 1e-9).collect();
    let truth = means_by_window(sources.iter().flat_map(|(_, readings)| readings), window_ns, rounds);
    let scales = Scales {
        low: room::START - room::RANGE,
        high: room::START + room::RANGE,
        spread: room::BIAS.hypot(room::NOISE),
        step: 0.03,
        step_df: 4.0,
    };
    Ok(Schedule { window_ns, sources, messages, truth, scales, speed: None })
}

/// `count` different numbers below `of`, by chance, in ascending order.
pub(super) fn choose(count: usize, of: usize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6c69_6172);
    let mut left: Vec<usize> = (0..of).collect();
    let drawn = (0..count.min(of)).map(|_| left.swap_remove(rng.random_range(0..left.len())));
    let mut chosen: Vec<usize> = drawn.collect();
    chosen.sort_unstable();
    chosen
}
