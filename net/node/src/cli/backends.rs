//! `centauri backends`: what can compute here.

use crate::backends::{Found, Timing, Verdict};
use centauri_engine::SimdLevel;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// Say what can compute here, and which of it `--backend auto` uses.
///
/// SIMD uses the best level of instructions that the processor has, on all cores. Where Vulkan offers a GPU, it is measured
/// against SIMD once, for about a second, and the result is kept for this device, driver and version. Decisions are the same
/// on all: value, status and quorum are identical.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Backends, as --backend names them:
  auto    SIMD, and the GPU for batches from the size on from which it was measured to win
  scalar  float64, one round at a time: what the others are judged by
  simd    vector instructions, on all cores
  gpu     the first adapter that Vulkan offers, though it be a slow one; SIMD carries on where it fails")]
pub(super) struct Arguments {
    /// Write one JSON object instead of words.
    #[arg(long)]
    json: bool,
    /// Measure the GPU again, whatever was measured before.
    #[arg(long)]
    calibrate: bool,
    #[command(flatten)]
    calibration: CalibrationFile,
}

/// Where calibrations are kept.
#[derive(Debug, clap::Args)]
pub(super) struct CalibrationFile {
    /// Keep what was measured of the GPU in this file [default: CENTAURI_CALIBRATION, or centauri/calibration.json in
    /// XDG_CACHE_HOME or ~/.cache].
    #[arg(long = "calibration", value_name = "FILE.json")]
    pub(super) file: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let found = Found::look(arguments.calibration.file.clone(), arguments.calibrate);
    let text = if arguments.json { format!("{:#}\n", as_json(&found)) } else { in_words(&found) };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn in_words(found: &Found) -> String {
    let mut text = String::from("scalar  float64, one round at a time\n");
    let names: Vec<&str> = found.levels.iter().map(|level| level.name()).collect();
    let (best, names) = (SimdLevel::best().name(), names.join(", "));
    let _ = writeln!(text, "simd    {best}, {} threads (this machine has {names})", found.threads);
    for adapter in &found.adapters {
        let _ = writeln!(text, "gpu     {} ({}), {}", adapter.name, adapter.kind, adapter.driver);
        for (name, limit) in &adapter.limits {
            let _ = writeln!(text, "          {name}: {limit}");
        }
    }
    if found.adapters.is_empty() {
        text.push_str("gpu     none: Vulkan offers no adapter\n");
    }
    let _ = match &found.verdict {
        Verdict::Simd { reason } => writeln!(text, "auto    simd: {reason}"),
        Verdict::Gpu { from_rounds, .. } => {
            writeln!(text, "auto    simd, and the GPU for batches of {from_rounds} rounds and more")
        }
    };
    if let Some(calibration) = &found.calibration {
        let when = if found.fresh { "measured just now" } else { "measured earlier" };
        let file = found.cache.path().map_or_else(String::new, |path| format!(", {}", path.display()));
        let _ = writeln!(text, "\nCalibration, {when}{file}\n   rounds        simd ms         gpu ms");
        for timing in &calibration.timings {
            let Timing { rounds, simd_s, gpu_s } = timing;
            let _ = writeln!(text, "  {rounds:>7} {:>14.3} {:>14.3}", simd_s * 1e3, gpu_s * 1e3);
        }
    }
    text
}

fn as_json(found: &Found) -> Value {
    let adapters: Vec<Value> = found
        .adapters
        .iter()
        .map(|adapter| {
            let limits: serde_json::Map<String, Value> =
                adapter.limits.iter().map(|(name, limit)| ((*name).to_owned(), json!(limit))).collect();
            json!({
                "name": adapter.name,
                "driver": adapter.driver,
                "kind": adapter.kind,
                "limits": limits,
            })
        })
        .collect();
    let levels: Vec<&str> = found.levels.iter().map(|level| level.name()).collect();
    let auto = match &found.verdict {
        Verdict::Simd { reason } => json!({ "backend": "simd", "reason": reason }),
        Verdict::Gpu { from_rounds, adapter } => {
            json!({ "backend": "gpu", "from_rounds": from_rounds, "adapter": adapter.name })
        }
    };
    json!({
        "simd": { "levels": levels, "used": SimdLevel::best().name(), "threads": found.threads },
        "adapters": adapters,
        "auto": auto,
        "calibration": found.calibration,
        "calibration_file": found.cache.path(),
        "calibrated_now": found.fresh,
    })
}
