//! Travel times of two routes with the delays of their publication.

use crate::readings::{table, time};
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// The folder that the readings come in.
pub const FOLDER: &str = "uk_journey_times";
const TIMES: &str = "travel_time_s.csv";
const ROUTES: &str = "routes.csv";

/// One moment at which the routes were measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// When, in seconds.
    pub at_s: f64,
    /// Seconds until it was published.
    pub delay_s: f64,
    /// Travel time of each route in seconds; none where a section has none.
    pub times_s: [Option<f64>; 2],
}

/// Two routes to choose from.
#[derive(Clone, Debug, PartialEq)]
pub struct Routes {
    /// The name of the choice.
    pub choice: String,
    /// The routes' names.
    pub names: [String; 2],
    /// What was measured, in ascending order of time.
    pub samples: Vec<Sample>,
}

impl Routes {
    /// The first half, from which models are made, and the second, in which choices are.
    #[must_use]
    pub fn halves(&self) -> (&[Sample], &[Sample]) {
        self.samples.split_at(self.samples.len() / 2)
    }
}

/// A route's name and its sections'.
type Named = (String, Vec<String>);

/// The folder of the readings: `path` itself, or one in it; none if there is none.
#[must_use]
pub fn within(path: &Path) -> Option<PathBuf> {
    [path.to_owned(), path.join(FOLDER)]
        .into_iter()
        .find(|f| f.join(TIMES).is_file() && f.join(ROUTES).is_file())
}

/// Reads every choice of `routes.csv` (columns `choice`, `route`, `sections`) that has two routes. A route's time is the sum of its
/// sections' in `travel_time_s.csv`, whose columns `measured_utc` and `published_utc` give the delay.
///
/// # Errors
/// What is wrong with the files.
pub fn read(folder: &Path) -> anyhow::Result<Vec<Routes>> {
    let text = std::fs::read_to_string(folder.join(ROUTES)).context(ROUTES)?;
    let mut choices: Vec<(String, Vec<Named>)> = Vec::new();
    for record in csv::Reader::from_reader(text.as_bytes()).records() {
        let record = record.context(ROUTES)?;
        let cell = |at: usize| record.get(at).unwrap_or("").to_owned();
        let route = (cell(1), cell(2).split_whitespace().map(str::to_owned).collect());
        match choices.iter_mut().find(|(choice, _)| *choice == cell(0)) {
            Some((_, routes)) => routes.push(route),
            None => choices.push((cell(0), vec![route])),
        }
    }
    let times = folder.join(TIMES);
    let two =
        choices.into_iter().filter_map(|(choice, routes)| Some((choice, <[_; 2]>::try_from(routes).ok()?)));
    two.map(|(choice, routes)| {
        let columns: Vec<String> = routes.iter().flat_map(|(_, sections)| sections.clone()).collect();
        let wide = table::read(&times, Some("measured_utc"), &columns).context(TIMES)?;
        let delays = delays(&std::fs::read_to_string(&times).context(TIMES)?).context(TIMES)?;
        anyhow::ensure!(wide.times.len() == delays.len(), "{TIMES}: found a row without times");
        let first = routes[0].1.len();
        let sum = |cells: &[Option<f64>]| cells.iter().copied().sum::<Option<f64>>();
        let samples = wide.times.iter().zip(&wide.values).zip(delays).map(|((&at_s, values), delay_s)| {
            Sample { at_s, delay_s, times_s: [sum(&values[..first]), sum(&values[first..])] }
        });
        let samples = samples.collect();
        Ok(Routes { choice, names: routes.map(|(name, _)| name), samples })
    })
    .collect()
}

/// Seconds from `measured_utc` to `published_utc` of each row.
fn delays(text: &str) -> anyhow::Result<Vec<f64>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head = reader.headers()?.clone();
    let place = |name: &str| {
        let at = head.iter().position(|known| known == name);
        at.ok_or_else(|| anyhow::anyhow!("found no column {name:?}, expected one"))
    };
    let (measured, published) = (place("measured_utc")?, place("published_utc")?);
    let mut delays = Vec::new();
    for record in reader.records() {
        let record = record?;
        let when = |at: usize| record.get(at).and_then(time::seconds);
        let delay = when(published).zip(when(measured)).map(|(p, m)| p - m);
        delays.push(delay.ok_or_else(|| anyhow::anyhow!("found {record:?}, expected two times"))?);
    }
    Ok(delays)
}
