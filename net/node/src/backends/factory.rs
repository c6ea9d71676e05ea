//! The backends there are, each opened by one function.

use centauri_engine::{Backend, ScalarBackend, SimdBackend, SimdLevel};
use centauri_gpu::{AdapterChoice, AdapterKind, AdapterSummary, GpuBackend, GpuEvent, GpuOptions};

/// A backend that is not to be had here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no adapter at all.
    #[error("backend gpu: found no adapter, expected one that Vulkan offers (see `centauri backends`)")]
    NoAdapter,
    /// The adapter cannot be used.
    #[error("backend gpu: {adapter}: {problem}")]
    Adapter {
        /// Its name.
        adapter: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A level of instructions that is not known, or that this machine lacks.
    #[error("level: found {found:?}, expected one that this machine has: {known}")]
    Level {
        /// What was asked for.
        found: String,
        /// What there is.
        known: String,
    },
}

/// An adapter that Vulkan offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// Its driver with its version.
    pub driver: String,
    /// `discrete`, `integrated`, `virtual`, `other` or `software`.
    pub kind: &'static str,
    /// Whether it is the processor that does as if.
    pub is_software: bool,
    /// What it can take, by name.
    pub limits: Vec<(&'static str, u64)>,
}

/// The scalar backend.
#[must_use]
pub fn scalar() -> Box<dyn Backend> {
    Box::new(ScalarBackend::new())
}

/// Threads that SIMD uses.
#[must_use]
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// SIMD at the level of a name, or at the best; on so many threads, or on all cores.
///
/// # Errors
/// A level that is not known or that this machine doesn't have.
pub fn simd(level: Option<&str>, threads: Option<usize>) -> Result<SimdBackend, OpenError> {
    let present = SimdLevel::present();
    let level = match level {
        None => SimdLevel::best(),
        Some(name) => *present.iter().find(|level| level.name() == name).ok_or_else(|| OpenError::Level {
            found: name.to_owned(),
            known: present.iter().map(|level| level.name()).collect::<Vec<_>>().join(", "),
        })?,
    };
    let backend = SimdBackend::with_level(level);
    Ok(match threads {
        Some(threads) => backend.with_threads(threads),
        None => backend,
    })
}

/// The adapters there are, the one that is used first.
#[must_use]
pub fn adapters() -> Vec<Adapter> {
    centauri_gpu::adapters().iter().map(Adapter::of).collect()
}

impl Adapter {
    fn of(summary: &AdapterSummary) -> Self {
        let (least, most) = summary.subgroups.unwrap_or_default();
        Self {
            name: summary.name.clone(),
            driver: summary.driver.clone(),
            kind: summary.kind.name(),
            is_software: summary.kind == AdapterKind::Software,
            limits: vec![
                ("bytes of a binding", summary.binding_bytes_max),
                ("bytes of workgroup memory", u64::from(summary.workgroup_bytes_max)),
                ("workgroups a dimension", u64::from(summary.workgroups_max)),
                ("smallest subgroup", u64::from(least)),
                ("largest subgroup", u64::from(most)),
            ],
        }
    }
}

/// The backend on an adapter. What the device cannot settle, and everything while it fails, SIMD decides; that is told.
///
/// # Errors
/// What the driver says.
pub fn gpu(adapter: &Adapter) -> Result<Box<dyn Backend>, OpenError> {
    let options = GpuOptions {
        adapter: AdapterChoice::Named(adapter.name.clone()),
        software: adapter.is_software,
        ..GpuOptions::default()
    };
    let mut backend = GpuBackend::open(options, Box::new(simd(None, None)?))
        .map_err(|error| OpenError::Adapter { adapter: adapter.name.clone(), problem: error.to_string() })?;
    backend.observe(|event| match event {
        GpuEvent::Failed(error) => tracing::warn!(%error, "the GPU failed; SIMD carries on"),
        GpuEvent::Restored => tracing::info!("the GPU is back"),
    });
    Ok(Box::new(backend))
}
