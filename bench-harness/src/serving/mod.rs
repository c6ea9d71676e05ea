//! `centauri-bench fleet`: `centauri serve` as its users meet it, under the traffic of a fleet.
//!
//! The real server runs as a process. Its traffic follows a schedule that does not wait for it, so that a server that falls
//! behind is not spared what comes meanwhile, and every round that is due counts, also one that never gets a decision.

pub mod drive;
pub mod frames;
pub mod lines;
pub mod plan;
pub mod process;
pub mod site;
pub mod table;
pub mod tally;
pub mod truth;

use crate::ingest::cores;
use crate::output::measured;
use crate::provenance;
use crate::result::{Fleet, Line};
use anyhow::{Context as _, ensure};
use centauri::clock::now_ns;
use drive::Driven;
use plan::Plan;
use process::Server;
use site::{DRAIN_S, Setting, Site};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `fleet`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Replicas with a key each report every stream once a round, 37 records a datagram, 10 to 60 ms before its deadline, and a running
`centauri serve` decides it. Streams are due at --phases moments, evenly over the period. Times go from the deadline to when the
decision was read from the server's output. All rounds that are due count: one without a decision is later than all others.

Without --unpinned, the server has one core and the traffic another. The server is the one beside this command, or --server.

Example:
  cargo build --release -p centauri -p centauri-bench
  target/release/centauri-bench fleet --out fleet.jsonl && target/release/centauri-bench report fleet.jsonl --html fleet.html
  target/release/centauri-bench fleet --streams 10000 --liars 1 --seconds 10")]
#[group(skip)]
pub struct Args {
    /// Streams [default: 100000, with --quick 1000].
    #[arg(long, value_name = "N")]
    pub streams: Option<usize>,
    /// Replicas of each stream; each reports all streams.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub replicas: usize,
    /// Faults that the model allows for.
    #[arg(long, value_name = "F", default_value_t = 1)]
    pub faults: usize,
    /// Rounds of a stream in a second.
    #[arg(long, value_name = "PER SECOND", default_value_t = 1.0)]
    pub rate: f64,
    /// Seconds that are measured [default: 20, with --quick 3].
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<f64>,
    /// Seconds of traffic before [default: 5, with --quick 2].
    #[arg(long, value_name = "SECONDS")]
    pub warmup: Option<f64>,
    /// Moments of a period at which rounds are due.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub phases: usize,
    /// Replicas that lie.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub liars: usize,
    /// Share of the frames that are not sent.
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    pub loss: f64,
    /// How the server receives datagrams: auto, io_uring or epoll.
    #[arg(long, value_name = "DRIVER", default_value_t = centauri_uring::DriverChoice::Auto)]
    pub driver: centauri_uring::DriverChoice,
    /// What the server decides with.
    #[arg(long, value_name = "BACKEND", default_value = "simd", value_parser = ["auto", "scalar", "simd", "gpu"])]
    pub backend: String,
    /// The server's executable, instead of the one beside this command.
    #[arg(long, value_name = "FILE")]
    pub server: Option<PathBuf>,
    /// The server's core [default: the first that may be used].
    #[arg(long, value_name = "CORE")]
    pub serve_core: Option<usize>,
    /// The traffic's core [default: the last that may be used].
    #[arg(long, value_name = "CORE")]
    pub load_core: Option<usize>,
    /// Let the system choose cores.
    #[arg(long, conflicts_with_all = ["serve_core", "load_core"])]
    pub unpinned: bool,
    /// Keep the server's files in this folder, and its log.
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// Print the results as JSON Lines.
    #[arg(long)]
    pub json: bool,
    /// A small fleet for some seconds, to see that it works.
    #[arg(long)]
    pub quick: bool,
    /// Seed of keys, values, losses and sending times.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the results go, too (JSON Lines).
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Date that the results bear, instead of today's.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<String>,
}

/// A server of so many streams is what memory is compared with.
const FEW_STREAMS: usize = 100;

/// How long that one is under traffic, in seconds: warm-up, and measured.
const FEW_SECONDS: (f64, f64) = (1.0, 1.0);

/// The server may take so long to end, beyond what its configuration allows.
const ENDING: Duration = Duration::from_secs(60);

/// Measures, writes the results and prints what they come to.
///
/// # Errors
/// A size out of its range, a server that is not there or does not go on, a file that cannot be had.
pub fn run(args: &Args) -> anyhow::Result<()> {
    measured(args.out.as_deref(), args.json, || lines(args), table::of)
}

impl Args {
    fn plan(&self) -> anyhow::Result<Plan> {
        let streams = self.streams.unwrap_or(if self.quick { 1_000 } else { 100_000 });
        let &Self { replicas, faults, liars, phases, loss, seed, .. } = self;
        // Whole microseconds, as the phases are.
        let period_ns = (1e6 / self.rate).round().clamp(0.0, 1e15) as i64 * 1_000;
        let plan = Plan { streams, replicas, faults, liars, period_ns, phases, loss, seed };
        plan.check()?;
        Ok(plan)
    }

    fn seconds(&self) -> anyhow::Result<(f64, f64)> {
        let (warmup, seconds) = if self.quick { (2.0, 3.0) } else { (5.0, 20.0) };
        let (warmup, seconds) = (self.warmup.unwrap_or(warmup), self.seconds.unwrap_or(seconds));
        ensure!((0.0..=86_400.0).contains(&warmup), "--warmup: found {warmup}, expected 0 to 86,400 seconds");
        ensure!((0.1..=86_400.0).contains(&seconds), "--seconds: found {seconds}, expected 0.1 to 86,400");
        Ok((warmup, seconds))
    }

    /// Cores of the server and of the traffic.
    fn cores(&self) -> Option<[usize; 2]> {
        let two = cores::two();
        if two.is_none() && !self.unpinned {
            eprintln!("fleet: one core for server and traffic; what the one does disturbs the other");
        }
        let chosen = |named: Option<usize>, found: Option<usize>| named.or(found);
        let server = chosen(self.serve_core, two.map(|(first, _)| first));
        let traffic = chosen(self.load_core, two.map(|(_, last)| last));
        server.zip(traffic).filter(|_| !self.unpinned).map(|(server, traffic)| [server, traffic])
    }
}

fn lines(args: &Args) -> anyhow::Result<Vec<Line>> {
    let executable = process::executable(args.server.as_deref())?;
    // Before the cores of this thread become fewer.
    let head = provenance::head(args.seed, args.date.as_deref(), args.quick);
    let (plan, seconds) = (args.plan()?, args.seconds()?);
    let setting = Setting { driver: args.driver.to_string(), backend: args.backend.clone() };
    let cores = args.cores();
    let one = |folder: &Path, plan: Plan, seconds: (f64, f64)| -> anyhow::Result<Measured> {
        let site = Site::new(folder, &plan, &setting)?;
        measure(&executable, &site, plan, seconds, cores)
    };
    let few = if plan.streams > FEW_STREAMS {
        let folder = tempfile::tempdir()?;
        // No more moments than streams.
        let few = Plan { streams: FEW_STREAMS, phases: plan.phases.min(FEW_STREAMS), ..plan };
        let few_seconds = (FEW_SECONDS.0.min(seconds.0), FEW_SECONDS.1.min(seconds.1));
        Some(one(folder.path(), few, few_seconds)?)
    } else {
        None
    };
    let measured = match &args.keep {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            let measured = one(folder, plan, seconds)?;
            std::fs::write(folder.join("serve.log"), &measured.log)?;
            measured
        }
        None => one(tempfile::tempdir()?.path(), plan, seconds)?,
    };
    let few = few.map(|few| few.driven.memory.resident);
    let fleet = record(&plan, &setting, cores, measured, few)?;
    Ok(vec![Line::Run(head), Line::Fleet(Box::new(fleet))])
}

/// What one run of a server came to.
#[derive(Debug)]
struct Measured {
    driven: Driven,
    driver: String,
    started_in: Duration,
    counters: serde_json::Value,
    log: String,
}

fn measure(
    executable: &Path,
    site: &Site,
    plan: Plan,
    (warmup, seconds): (f64, f64),
    cores: Option<[usize; 2]>,
) -> anyhow::Result<Measured> {
    let mut server = Server::start(executable, &site.path("serve.toml"), cores.map(|[server, _]| server))?;
    if let Some([_, traffic]) = cores {
        cores::pin(traffic);
    }
    // Its first rounds are those whose windows open after its start.
    let first = now_ns() + 2 * plan.period_ns + (warmup * 1e9) as i64;
    let span = first..first + (seconds * 1e9) as i64;
    let driven = drive::drive(&mut server, plan, &site.replicas, span)?;
    server.ask_to_end()?;
    let (driver, started_in) = (server.driver.clone(), server.started_in);
    let log = end(server)?;
    let file = site.path("counters.json");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let counters = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    Ok(Measured { driven, driver, started_in, counters, log })
}

/// Reads what is still written, so that the server can end.
fn end(mut server: Server) -> anyhow::Result<String> {
    rustix::io::ioctl_fionbio(&server.output, false)?;
    std::io::copy(&mut server.output, &mut std::io::sink()).context("the server's last output")?;
    server.wait(Duration::from_secs_f64(DRAIN_S) + ENDING)
}

fn record(
    plan: &Plan,
    setting: &Setting,
    cores: Option<[usize; 2]>,
    measured: Measured,
    few_resident: Option<u64>,
) -> anyhow::Result<Fleet> {
    let Measured { driven, driver, started_in, counters, .. } = measured;
    let Driven { tally, .. } = &driven;
    let count = |name: &str| {
        let found = counters.pointer(name).and_then(serde_json::Value::as_u64);
        found.with_context(|| format!("the server's counters have no {name}"))
    };
    let us = |share: f64| tally.quantile_ns(share).map(|ns| ns as f64 / 1e3);
    let more = plan.streams.saturating_sub(FEW_STREAMS) as f64;
    let grown = few_resident.map(|few| driven.memory.resident as f64 - few as f64);
    Ok(Fleet {
        streams: plan.streams,
        replicas: plan.replicas,
        faults: plan.faults,
        liars: plan.liars,
        rate: 1e9 / plan.period_ns as f64,
        phases: plan.phases,
        loss: plan.loss,
        seconds: driven.span_s,
        driver,
        verifier: counters["verifier"].as_str().unwrap_or("unknown").to_owned(),
        backend: setting.backend.clone(),
        cores,
        load: load(),
        due: tally.due,
        decided: tally.decided,
        missing: tally.missing(),
        duplicate: tally.duplicate,
        early: tally.early,
        sampled: tally.sampled,
        wrong: tally.wrong,
        p50_us: us(0.5),
        p90_us: us(0.9),
        p99_us: us(0.99),
        p999_us: us(0.999),
        max_us: us(1.0),
        frames_per_s: driven.frames as f64 / driven.span_s,
        decisions_per_s: tally.decided as f64 / driven.span_s,
        cpu_us_per_decision: driven.cpu_s * 1e6 / (tally.decided.max(1) as f64),
        cpu_share: driven.cpu_s / driven.span_s,
        bytes_per_stream: grown.map(|grown| grown / more),
        resident_bytes: driven.memory.resident,
        peak_bytes: driven.memory.peak,
        start_s: started_in.as_secs_f64(),
        sender_late_p99_us: driven.lateness_ns(0.99) as f64 / 1e3,
        sender_late_max_us: driven.lateness_ns(1.0) as f64 / 1e3,
        frames_sent: driven.frames_all,
        frames_accepted: count("/frames_accepted")?,
        close_late_max_us: count("/close_late_max_ns")? as f64 / 1e3,
        rounds_missed: count("/rounds_missed")?,
        kernel_drops: count("/driver/kernel_drops")?,
        datagrams_shed: count("/datagrams_shed")?,
        records_late: count("/records_late")?,
        seed: plan.seed,
    })
}

/// The load average of the last minute, where the system tells it.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
