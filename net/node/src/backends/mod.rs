//! Which backend decides: chosen by name, or by measurement.
//!
//! [`open`] gives what a command line asked for. `auto` is SIMD; where there is a GPU, batches go to it from the size on
//! from which it was measured to win ([`Calibration`]). A GPU that fails is told once, and SIMD carries on.

mod auto;
mod cache;
mod calibration;
mod factory;
mod found;

pub use auto::{AutoBackend, Offload};
pub use cache::{CacheError, CalibrationCache};
pub use calibration::{Calibration, CalibrationKey, LEAST_ROUNDS, Timing, calibrate};
pub use factory::{Adapter, OpenError, adapters, gpu, scalar, simd, threads};
pub use found::{Found, Verdict};

use centauri_engine::Backend;
use std::path::PathBuf;

/// What computes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum BackendChoice {
    /// The fastest there is, by measurement.
    #[default]
    Auto,
    /// Float64, one round at a time.
    Scalar,
    /// Vector instructions, on all cores.
    Simd,
    /// A GPU through Vulkan; SIMD carries on where it fails.
    Gpu,
}

impl BackendChoice {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Scalar => "scalar",
            Self::Simd => "simd",
            Self::Gpu => "gpu",
        }
    }
}

/// What opening a backend may take into account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The file with calibrations, instead of its usual place: see [`CalibrationCache::new`].
    pub calibration: Option<PathBuf>,
    /// Most rounds that a batch will have, where that is known: too few for a GPU, and none is looked for.
    pub rounds_max: Option<usize>,
    /// How many threads decide with vector instructions, where it is not to be one for each core.
    pub threads: Option<usize>,
}

/// A backend that was asked for.
#[derive(Debug)]
pub struct Opened {
    /// The backend.
    pub backend: Box<dyn Backend>,
    /// How many rounds to put into a batch where many wait.
    pub batch_rounds: usize,
}

/// Rounds of a batch for a backend on the processor.
pub const BATCH_ROUNDS: usize = 4_096;
/// Rounds of a batch where a GPU takes part: its transfers want large ones.
pub const GPU_BATCH_ROUNDS: usize = 65_536;

/// Opens the backend of a choice. `auto` measures for about a second where it finds a GPU and no calibration of it.
///
/// # Errors
/// A backend that is not to be had here, and why.
pub fn open(choice: BackendChoice, options: &OpenOptions) -> Result<Opened, OpenError> {
    let (backend, batch_rounds): (Box<dyn Backend>, usize) = match choice {
        BackendChoice::Scalar => (scalar(), BATCH_ROUNDS),
        BackendChoice::Simd => (Box::new(simd(None, options.threads)?), BATCH_ROUNDS),
        BackendChoice::Gpu => {
            let adapter = adapters().into_iter().next().ok_or(OpenError::NoAdapter)?;
            (gpu(&adapter)?, GPU_BATCH_ROUNDS)
        }
        BackendChoice::Auto => {
            let offload = offload(options);
            let from_rounds = offload.as_ref().map(|offload| offload.from_rounds);
            let batch_rounds = from_rounds.map_or(BATCH_ROUNDS, |from| from.max(GPU_BATCH_ROUNDS));
            (Box::new(AutoBackend::new(Box::new(simd(None, options.threads)?), offload)), batch_rounds)
        }
    };
    Ok(Opened { backend, batch_rounds })
}

/// The GPU, if there is one that is worth it.
fn offload(options: &OpenOptions) -> Option<Offload> {
    if options.rounds_max.is_some_and(|rounds| rounds < LEAST_ROUNDS) {
        return None;
    }
    match Found::look(options.calibration.clone(), false).verdict {
        Verdict::Gpu { from_rounds, adapter } => match gpu(&adapter) {
            Ok(backend) => Some(Offload { backend, from_rounds }),
            Err(error) => {
                tracing::warn!(%error, "the GPU is not used");
                None
            }
        },
        Verdict::Simd { reason } => {
            tracing::debug!(reason, "SIMD decides");
            None
        }
    }
}
