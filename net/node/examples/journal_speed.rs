//! What a journal costs: encoding a decision, its bytes, and the processor time of the thread that writes.
//!
//!     cargo run --release -p centauri --example journal_speed -- [DECISIONS_A_SECOND] [SECONDS] [FOLDER]

use centauri::clock::{Stopwatch, now_ns};
use centauri::journal::*;
use centauri_engine::{Decision, Quorum, Region, Status};
use std::path::Path;
use std::time::Duration;

const STREAMS: u32 = 100_000;
const REPLICAS: usize = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let per_second: u64 = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let folder = tempfile::tempdir_in(folder)?;
    encoding();
    writing(&folder.path().join("speed.journal"), per_second, seconds)
}

fn decision(round: i64, stream: u32) -> Decision {
    let value = f64::from(stream % 101);
    Decision {
        status: Status::Decided,
        value,
        point: 50,
        confidence: 0.75 + (round % 7) as f64 * 0.01,
        mean: value + 0.137,
        sd: 1.51,
        low: value - 3.0,
        high: value + 3.0,
        quorum: Quorum::EMPTY.with(0).with(2).with(3),
        log_evidence: Some(-4.25 + (round % 11) as f64),
        region: Some(Region { low: value - 1.0, high: value }),
        exhaustive: true,
    }
}

fn encoding() {
    let (count, mut bytes, mut builder) = (2_000_000_u32, 0, BlockBuilder::new());
    let decisions: Vec<Decision> = (0..1_000).map(|stream| decision(7, stream)).collect();
    let watch = Stopwatch::start();
    for (at, decision) in (0..count).zip(decisions.iter().cycle()) {
        let stream = at % STREAMS;
        let round = i64::from(at / STREAMS);
        let honest = [0.5, 0.25, 0.9, 1.0];
        builder.push(&Entry {
            stream,
            round,
            closed_ns: round,
            decision,
            replicas: REPLICAS,
            honest: Some(&honest),
        });
        if builder.is_full() {
            bytes += builder.take().map_or(0, |block| block.len());
        }
    }
    bytes += builder.take().map_or(0, |block| block.len());
    let ns = watch.elapsed().as_secs_f64() * 1e9 / f64::from(count);
    println!(
        "encoding: {ns:.0} ns and {:.1} bytes a decision of {REPLICAS} replicas",
        bytes as f64 / f64::from(count)
    );
}

fn streams() -> Vec<StreamEntry> {
    let replicas: Vec<String> = (0..REPLICAS).map(|i| format!("replica-{i}")).collect();
    let entry = |number| StreamEntry {
        name: format!("stream/{number}"),
        replicas: replicas.clone(),
        epoch_ns: 0,
        period_ns: 1_000_000_000,
        close_after_ns: 1_000_000_000,
    };
    (0..STREAMS).map(entry).collect()
}

fn writing(path: &Path, per_second: u64, seconds: u64) -> Result<(), Box<dyn std::error::Error>> {
    let watch = Stopwatch::start();
    let opened = OpenedJournal::open(Place::file(path), streams())?;
    let (journal, beginning) = opened.begin(JournalSettings::default(), now_ns())?;
    println!("opening a new journal of {STREAMS} streams: {:.2} s", watch.elapsed().as_secs_f64());
    let (handle, mut builder) = (journal.handle().clone(), BlockBuilder::new());
    let (watch, before) = (Stopwatch::start(), writer_seconds());
    let (mut sent, mut handing) = (0_u64, Duration::ZERO);
    while watch.elapsed() < Duration::from_secs(seconds) {
        let due = (watch.elapsed().as_secs_f64() * per_second as f64) as u64;
        let closed_ns = now_ns();
        for at in sent..due {
            let (stream, round) = ((at % u64::from(STREAMS)) as u32, (at / u64::from(STREAMS)) as i64);
            let (decision, honest) = (decision(round, stream), [0.5, 0.25, 0.9, 1.0]);
            let stream = beginning.numbers.get(stream as usize).copied().unwrap_or_default();
            builder.push(&Entry {
                stream,
                round,
                closed_ns,
                decision: &decision,
                replicas: REPLICAS,
                honest: Some(&honest),
            });
            if builder.is_full() {
                let watch = Stopwatch::start();
                builder.take().map(|block| handle.store(block));
                handing += watch.elapsed();
            }
        }
        sent = due;
        std::thread::sleep(Duration::from_millis(1));
    }
    let (took, cpu) = (watch.elapsed().as_secs_f64(), writer_seconds() - before);
    let blocks = sent as f64 * 112.0 / limits::BLOCK_FULL_BYTES as f64;
    println!("handing over: {:.0} ns a block", handing.as_secs_f64() * 1e9 / blocks);
    println!("writer: {:.1} % of a core at {:.0} decisions a second", 100.0 * cpu / took, sent as f64 / took);
    let counters = journal.close(None);
    println!("{counters:?}");
    println!("file: {} MiB", std::fs::metadata(path)?.len() >> 20);
    let watch = Stopwatch::start();
    let (journal, _) =
        OpenedJournal::open(Place::file(path), streams())?.begin(JournalSettings::default(), now_ns())?;
    println!("opening it again: {:.2} s", watch.elapsed().as_secs_f64());
    drop(journal);
    Ok(())
}

/// Processor time of the thread that writes, from Linux: ticks of 10 ms.
fn writer_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("stat")).ok()?;
        let (name, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        name.ends_with("(journal").then_some((ticks(11)? + ticks(12)?) * 0.01)
    };
    tasks.filter_map(of).sum()
}
