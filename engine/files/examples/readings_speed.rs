//! Rows a second that are read and put together to rounds: `cargo run --release --example readings_speed [ROWS]`.

use centauri_files::{Directory, Format, ReadingRecord, ReadingWriter, Readings, Round, collect_rounds};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows: usize = std::env::args().nth(1).map_or(Ok(4_000_000), |text| text.parse())?;
    let replicas: Vec<String> = (0..7).map(|i| format!("replica-{i}")).collect();
    let directory: Directory = (0..100).map(|s| (format!("road/{s}"), replicas.clone())).collect();
    for (format, shuffled) in [(Format::Csv, false), (Format::Csv, true), (Format::JsonLines, false)] {
        let bytes = text(format, rows, shuffled, &directory)?;
        let begun = Instant::now();
        let mut sum = 0.0;
        for reading in Readings::new(format, bytes.as_slice(), "memory", &directory)? {
            sum += reading?.value.unwrap_or(0.0);
        }
        let read = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let mut rounds =
            collect_rounds(Readings::new(format, bytes.as_slice(), "memory", &directory)?, &directory)?;
        let (mut round, mut count) = (Round::default(), 0);
        while rounds.read(&mut round)? {
            count += 1;
        }
        let collected = begun.elapsed().as_secs_f64();
        let order = if shuffled { "any order" } else { "in order" };
        println!(
            "{} {order}: {:.2} M rows/s read, {:.2} M rows/s with rounds; {rows} rows, {count} rounds, sum {sum:.3}",
            format.extension(),
            rows as f64 / read / 1e6,
            rows as f64 / collected / 1e6,
        );
    }
    Ok(())
}

fn text(format: Format, rows: usize, shuffled: bool, directory: &Directory) -> std::io::Result<Vec<u8>> {
    let mut writer = ReadingWriter::new(format, Vec::new());
    let per_stream = rows.div_ceil(directory.len());
    for i in 0..rows {
        // A prime larger than any file here: every row comes once, far from its neighbours.
        let i = if shuffled { (i as u64 * 2_147_483_647 % rows as u64) as usize } else { i };
        let stream = i / per_stream;
        let names = directory.replicas(stream);
        let value = (i % 97 != 0).then_some(50.0 + (i % 1_000) as f64 / 64.0);
        let round = (i % per_stream / names.len()) as i64;
        let (stream, replica) =
            (directory.name(stream).unwrap_or_default(), &names[i % per_stream % names.len()]);
        writer.write(&ReadingRecord { stream, round, replica, value })?;
    }
    writer.finish()
}
