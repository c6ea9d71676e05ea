//! Writes a model and as many bytes of readings as asked for, to measure what `centauri eval` costs:
//!
//! ```text
//! cargo run --release -p centauri-files --example make_readings -- DIRECTORY BYTES SEED sorted|shuffled
//! ```
//!
//! DIRECTORY gets `model.toml` and `readings.csv`. The same arguments give the same bytes. Sorted readings are in the order
//! of the decisions; in shuffled ones no two rows of a round are neighbours. A round takes seven rows; of a hundred rows one
//! has no value and one lies.

use centauri_files::{Format, ReadingRecord, ReadingWriter};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

const REPLICAS: [&str; 7] =
    ["north-1", "north-2", "east-1", "east-2", "south-1", "south-2", "roof-above-the-stairs"];
const STREAMS: u64 = 100;
/// A row's length, roughly: known after the first rows, but needed before.
const ROW_BYTES: u64 = 46;

/// What is cheap to decide, so that reading and sorting are not hidden behind it.
fn model() -> String {
    let names: Vec<String> = REPLICAS.iter().map(|name| format!("{name:?}")).collect();
    let mut text = "version = 1\n".to_owned();
    for stream in 0..STREAMS {
        text += &format!(
            "\n[[streams]]\nname = {:?}\nreplicas = [{}]\nfaults = 1\nsupport = {{ min = 16, step = 1, points = 12 }}\n\
             output = {{ computation = \"identity\", noise = {{ family = \"normal\", mean = 0, sd = 0.7 }} }}\n",
            stream_name(stream),
            names.join(", ")
        );
    }
    text
}

fn stream_name(stream: u64) -> String {
    format!("plant/hall-{stream:02}/temp")
}

/// Sixty-four bits that depend on the seed and `index` alone (SplitMix64).
fn bits(seed: u64, index: u64) -> u64 {
    let mut z = (seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn unit(seed: u64, index: u64) -> f64 {
    (bits(seed, index) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Near 21 degrees, in hundredths as sensors report it.
fn value(seed: u64, row: u64) -> Option<f64> {
    let (round, lot) = (row / REPLICAS.len() as u64, unit(seed ^ 1, row));
    let truth = 18.0 + 6.0 * unit(seed ^ 2, round);
    let noise = (0..3).map(|k| unit(seed ^ (3 + k), row) - 0.5).sum::<f64>() * 1.4;
    let lie = if lot < 0.01 { 9.0 } else { 0.0 };
    (lot < 0.99).then(|| ((truth + noise + lie) * 100.0).round() / 100.0)
}

/// A number without a common factor with `n`, near its golden section: its multiples modulo `n` leave neighbours far apart.
fn stride(n: u64) -> u64 {
    let common = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let from = ((n as f64 * 0.618_034) as u64).max(1);
    (from..).find(|&candidate| common(n, candidate) == 1).unwrap_or(1)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, bytes, seed, order] = arguments.as_slice() else {
        return Err("expected DIRECTORY BYTES SEED sorted|shuffled".into());
    };
    let (directory, bytes, seed) = (PathBuf::from(directory), bytes.parse::<u64>()?, seed.parse::<u64>()?);
    let shuffled = match order.as_str() {
        "sorted" => false,
        "shuffled" => true,
        other => return Err(format!("found {other:?}, expected sorted or shuffled").into()),
    };
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("model.toml"), model())?;

    let rounds = (bytes / ROW_BYTES / REPLICAS.len() as u64 / STREAMS).max(1);
    let rows = rounds * STREAMS * REPLICAS.len() as u64;
    let stride = if shuffled { u128::from(stride(rows)) } else { 1 };
    let names: Vec<String> = (0..STREAMS).map(stream_name).collect();
    let out = BufWriter::with_capacity(1 << 20, File::create(directory.join("readings.csv"))?);
    let mut writer = ReadingWriter::new(Format::Csv, out);
    for i in 0..rows {
        // Below rows, so that it fits again.
        let row = (u128::from(i) * stride % u128::from(rows)) as u64;
        let (round, replica) = (row / REPLICAS.len() as u64, row % REPLICAS.len() as u64);
        writer.write(&ReadingRecord {
            stream: &names[(round / rounds) as usize],
            round: 1_700_000_000 + (round % rounds) as i64,
            replica: REPLICAS[replica as usize],
            value: value(seed, row),
        })?;
    }
    writer.finish()?.flush()?;
    println!("{rows} rows, {} rounds", rounds * STREAMS);
    Ok(())
}
