//! What the demonstration is told.

use super::DemoError;
use crate::backends::BackendChoice;
use std::path::PathBuf;
use std::time::Duration;

/// How the lying replicas lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lie {
    /// The truth and a constant.
    #[default]
    Offset,
    /// The same value in every round.
    Stuck,
    /// Anything in the range of the values.
    Random,
    /// Nothing at all.
    Silent,
    /// The truth, and another value for the same round.
    Equivocate,
    /// A value that all liars have agreed on.
    Collude,
}

impl Lie {
    /// What a reader is told of it.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Offset => "adds a constant to its results",
            Self::Stuck => "tells the same value in every round",
            Self::Random => "tells values at random",
            Self::Silent => "tells nothing",
            Self::Equivocate => "tells two different values for a round",
            Self::Collude => "tells what the liars have agreed on",
        }
    }
}

/// A file of readings to replay: a column with times in seconds, and a column for each source.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The file (CSV with a header).
    pub path: PathBuf,
    /// The column with the time of a row, in seconds.
    pub time_column: String,
    /// The columns that are sources.
    pub columns: Vec<String>,
    /// Seconds of the file that pass in a second; `None` makes windows as long as those of generated readings.
    pub speed: Option<f64>,
}

/// What the demonstration is told. The default is what `centauri demo` does without options, but for the seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How long rounds go on.
    pub duration: Duration,
    /// Replicas of the set.
    pub replicas: usize,
    /// How many of them lie.
    pub liars: usize,
    /// The faults that the model assumes; `None` for the number of liars, at least 1.
    pub faults: Option<usize>,
    /// How the liars lie.
    pub lie: Lie,
    /// Size of the lie in standard deviations of a reading.
    pub lie_size: f64,
    /// Share of the datagrams that sources and replicas lose.
    pub loss: f64,
    /// Mean delay of the others.
    pub delay: Duration,
    /// Seed of the readings, of the network's faults and of who lies.
    pub seed: u64,
    /// The readings to replay; `None` for generated ones.
    pub replay: Option<Replay>,
    /// What decides.
    pub backend: BackendChoice,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(20),
            replicas: 5,
            liars: 1,
            faults: None,
            lie: Lie::Offset,
            lie_size: 1.0,
            loss: 0.05,
            delay: Duration::from_millis(25),
            seed: 0,
            replay: None,
            backend: BackendChoice::Auto,
        }
    }
}

/// Fewest and most replicas of the set: with three, one liar can be borne.
const REPLICAS: std::ops::RangeInclusive<usize> = 3..=32;
const DURATION_MAX: Duration = Duration::from_secs(3_600);
const DELAY_MAX: Duration = Duration::from_secs(2);
const LOSS_MAX: f64 = 0.9;
const LIE_SIZE_MAX: f64 = 1e6;
/// Most columns that are replayed.
const COLUMNS_MAX: usize = 64;

impl Options {
    /// The faults that the model assumes.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.faults.unwrap_or(self.liars.max(1))
    }

    /// Checks every option on its own and against the others.
    ///
    /// # Errors
    /// The first option that is out of its range.
    pub fn check(&self) -> Result<(), DemoError> {
        let Self { replicas, liars, .. } = *self;
        if self.duration.is_zero() || self.duration > DURATION_MAX {
            let found = self.duration.as_secs_f64();
            return Err(DemoError::option("duration", found, "more than 0 and at most 3600 seconds"));
        }
        if !REPLICAS.contains(&replicas) {
            return Err(DemoError::option("replicas", replicas, "3 to 32"));
        }
        let most = (replicas - 1) / 2;
        let of = format!("at most {most} of {replicas} replicas, less than half");
        if liars > most {
            return Err(DemoError::option("liars", liars, of));
        }
        if !(liars.max(1)..=most).contains(&self.faults()) {
            let expected = format!("at least the number of liars, {liars}, at least 1, and {of}");
            return Err(DemoError::option("faults", self.faults(), expected));
        }
        if !(0.0..=LOSS_MAX).contains(&self.loss) {
            return Err(DemoError::option("loss", self.loss, "a share from 0 to 0.9"));
        }
        if self.delay > DELAY_MAX {
            return Err(DemoError::option("delay", format!("{:?}", self.delay), "at most 2s"));
        }
        if !(self.lie_size.is_finite() && self.lie_size.abs() <= LIE_SIZE_MAX) {
            return Err(DemoError::option("lie-size", self.lie_size, "a number from -1e6 to 1e6"));
        }
        self.replay.as_ref().map_or(Ok(()), Replay::check)
    }
}

impl Replay {
    fn check(&self) -> Result<(), DemoError> {
        let columns = &self.columns;
        if columns.is_empty() || columns.len() > COLUMNS_MAX {
            return Err(DemoError::option("columns", columns.len(), "1 to 64 names of columns"));
        }
        for (at, column) in columns.iter().enumerate() {
            if *column == self.time_column || columns.iter().take(at).any(|before| before == column) {
                let expected = "each column once, and the time's column not among them";
                return Err(DemoError::option("columns", format!("{column:?} twice"), expected));
            }
        }
        match self.speed {
            Some(speed) if !(speed.is_finite() && speed > 0.0) => {
                Err(DemoError::option("speed", speed, "a number above 0"))
            }
            _ => Ok(()),
        }
    }
}
