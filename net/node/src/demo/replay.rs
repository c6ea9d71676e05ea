//! The reader's own readings, from a CSV file.

use super::schedule::{Scales, Schedule, Timed, WINDOW, means_by_window, rounds_in};
use super::{DemoError, Replay};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Most fields that are kept; rows beyond are not looked at. No replay gets that far.
const FIELDS_MAX: usize = 4 << 20;
/// Shortest window: below, a round is over before a busy machine has woken its threads.
const WINDOW_NS_MIN: f64 = 20e6;
const WINDOW_NS_MAX: f64 = 60e9;
/// Columns named in an error.
const COLUMNS_SHOWN: usize = 24;

/// What is kept of a file.
struct Table {
    /// Seconds, strictly ascending.
    times: Vec<f64>,
    /// Row by row a field for each column; not a number where no reading was made.
    fields: Vec<f64>,
    columns: usize,
}

/// Reads a file and lays its readings out in time.
///
/// A window is as long as the median step between two rows at the replay's speed, and the first row lies in the middle
/// of window 0, so that a row that is a little early or late stays in its window. What the model is told of the
/// readings (range, spread, moves) is read off the whole file beforehand, as from history.
pub(super) fn replay(options: &Replay, duration: Duration) -> Result<Schedule, DemoError> {
    let table = read(options)?;
    let whole = |problem: &str| file_error(&options.path, None, problem);
    let mut steps: Vec<f64> = table.times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let step = median(&mut steps).ok_or_else(|| whole("found fewer than 2 rows, expected at least 2"))?;
    let speed = options.speed.unwrap_or(step / WINDOW.as_secs_f64());
    let window = step / speed * 1e9;
    if !(WINDOW_NS_MIN..=WINDOW_NS_MAX).contains(&window) {
        let (least, most) = (step * 1e9 / WINDOW_NS_MAX, step * 1e9 / WINDOW_NS_MIN);
        let expected = format!("{least:.6} to {most:.6} for rows {step} s apart (windows of 20 ms to 60 s)");
        return Err(DemoError::option("speed", speed, expected));
    }
    let window_ns = window.round() as i64;
    let first = table.times.first().copied().unwrap_or(0.0);
    let at_ns = |time: f64| ((time - first) / speed * 1e9).round() + window / 2.0;
    let last = table.times.last().map_or(0.0, |&last| at_ns(last));
    let windows = (last / window).floor() as usize + 1;
    let rounds = rounds_in(duration, window_ns).min(windows);

    let readings_of = |column: usize, windows: usize| -> Vec<Timed> {
        let end = windows as f64 * window;
        let rows = table.times.iter().zip(table.fields.iter().skip(column).step_by(table.columns));
        let timed = rows.map(|(&time, &value)| (at_ns(time), value));
        let made = timed.take_while(|(at, _)| *at < end).filter(|(_, value)| !value.is_nan());
        made.map(|(at, value)| (at as i64, value)).collect()
    };
    // A file with a gap of years would have too many windows to look at one by one.
    let looked = windows.min(FIELDS_MAX);
    let all: Vec<Timed> = (0..table.columns).flat_map(|column| readings_of(column, looked)).collect();
    let means = means_by_window(&all, window_ns, looked);
    let scales = scales(&table, &means).ok_or_else(|| whole("found no reading, expected some"))?;
    let truth = means.into_iter().take(rounds).collect::<Vec<_>>();
    if truth.iter().all(Option::is_none) {
        return Err(whole("found no reading in the time that is replayed, expected some"));
    }
    let sources = options.columns.iter().enumerate();
    let sources = sources.map(|(column, name)| (name.clone(), readings_of(column, rounds))).collect();
    let messages = vec![window_ns as f64 * 0.5e-9; table.columns];
    Ok(Schedule { window_ns, sources, messages, truth, scales, speed: Some(speed) })
}

fn read(options: &Replay) -> Result<Table, DemoError> {
    let path = options.path.as_path();
    let unreadable = |cause| DemoError::Read { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(file_error(path, None, "found more than 256 MiB, expected a smaller file"));
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes.as_slice());
    let header = reader.headers().map_err(|error| csv_error(path, &error))?.clone();
    if header.is_empty() {
        return Err(file_error(path, None, "found an empty file, expected a line with names of columns"));
    }
    let place = |column: &str| {
        header.iter().position(|name| name == column).ok_or_else(|| no_column(path, &header, column))
    };
    let time = place(&options.time_column)?;
    let places = options.columns.iter().map(|column| place(column)).collect::<Result<Vec<_>, _>>()?;
    let mut table = Table { times: Vec::new(), fields: Vec::new(), columns: places.len() };
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| csv_error(path, &error))? {
        let line = record.position().map(csv::Position::line);
        let number = |place: usize| field(path, line, (&header, &record), place);
        let at = number(time)?.ok_or_else(|| {
            let problem = format!("column {:?}: found nothing, expected a time", options.time_column);
            file_error(path, line, &problem)
        })?;
        if let Some(before) = table.times.last().filter(|before| at <= **before) {
            let problem = format!(
                "column {:?}: found {at}, expected more than {before}, the time of the row before",
                options.time_column
            );
            return Err(file_error(path, line, &problem));
        }
        table.times.push(at);
        for &place in &places {
            table.fields.push(number(place)?.unwrap_or(f64::NAN));
        }
        if table.fields.len() >= FIELDS_MAX {
            break;
        }
    }
    Ok(table)
}

/// The number in a field; `None` where it is empty.
fn field(
    path: &Path,
    line: Option<u64>,
    (header, record): (&csv::StringRecord, &csv::StringRecord),
    place: usize,
) -> Result<Option<f64>, DemoError> {
    let text = record.get(place).unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let value = text.parse().ok().filter(|value: &f64| value.is_finite() && value.abs() <= 1e100);
    value.map(Some).ok_or_else(|| {
        let column = header.get(place).unwrap_or_default();
        let problem = format!("column {column:?}: found {:?}, expected a number or nothing", shortened(text));
        file_error(path, line, &problem)
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

fn no_column(path: &Path, header: &csv::StringRecord, column: &str) -> DemoError {
    let mut known: Vec<String> = header.iter().take(COLUMNS_SHOWN).map(shortened).collect();
    if header.len() > COLUMNS_SHOWN {
        known.push("…".to_owned());
    }
    let problem = format!("found no column {:?}, expected one of {}", shortened(column), known.join(", "));
    file_error(path, Some(1), &problem)
}

fn csv_error(path: &Path, error: &csv::Error) -> DemoError {
    let line = error.position().map(csv::Position::line);
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("found {len} fields, expected {expected_len} as in the line of names")
        }
        csv::ErrorKind::Utf8 { .. } => "found bytes that are no UTF-8, expected text".to_owned(),
        _ => error.to_string(),
    };
    file_error(path, line, &problem)
}

fn file_error(path: &Path, line: Option<u64>, problem: &str) -> DemoError {
    DemoError::File { path: path.to_owned(), line, problem: problem.to_owned() }
}

/// What is typical of a file; `None` without a reading.
fn scales(table: &Table, means: &[Option<f64>]) -> Option<Scales> {
    let known = || means.iter().flatten().copied();
    let low = known().reduce(f64::min)?;
    let high = known().reduce(f64::max)?;
    let mut deviations: Vec<f64> = table.fields.chunks(table.columns).filter_map(deviation).collect();
    let mut moves: Vec<f64> = means
        .windows(2)
        .filter_map(|pair| match pair {
            [Some(before), Some(after)] => Some((after - before).abs()),
            _ => None,
        })
        .collect();
    // Where there is nothing to go by, a thousandth of the size of the values.
    let least = low.abs().max(high.abs()).max(1e-3) * 1e-3;
    let positive = |scale: Option<f64>| scale.filter(|scale| *scale > 0.0);
    let step = positive(median(&mut moves)).unwrap_or(least);
    let spread = positive(median(&mut deviations)).unwrap_or((high - low).max(least));
    let margin = ((high - low) / 4.0).max(4.0 * step).max(least);
    Some(Scales { low: low - margin, high: high + margin, spread, step, step_df: 2.5 })
}

/// Standard deviation of a row's readings; `None` for fewer than two.
fn deviation(row: &[f64]) -> Option<f64> {
    let made = || row.iter().filter(|value| !value.is_nan());
    let count = made().count() as f64;
    let mean = made().sum::<f64>() / count;
    let squares = made().map(|value| (value - mean).powi(2)).sum::<f64>();
    (count >= 2.0).then(|| (squares / (count - 1.0)).sqrt())
}

/// The middle value, or the lower of the two; `None` of none.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}
