//! What there is on this machine, and what `auto` makes of it.

use super::cache::CalibrationCache;
use super::calibration::{Calibration, CalibrationKey, calibrate};
use super::factory::{self, Adapter};
use centauri_engine::SimdLevel;
use std::path::PathBuf;

/// What there is on this machine, and what `auto` makes of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Levels of instructions of which SIMD has a form, the best first.
    pub levels: Vec<SimdLevel>,
    /// Threads that SIMD uses.
    pub threads: usize,
    /// What Vulkan offers, the one that is used first.
    pub adapters: Vec<Adapter>,
    /// Where calibrations are kept.
    pub cache: CalibrationCache,
    /// What was measured of the first adapter, now or earlier.
    pub calibration: Option<Calibration>,
    /// Whether it was measured just now.
    pub fresh: bool,
    /// What `auto` does.
    pub verdict: Verdict,
}

/// What `auto` does.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// SIMD decides everything.
    Simd {
        /// Why.
        reason: String,
    },
    /// Batches of at least `from_rounds` rounds go to the GPU.
    Gpu {
        /// The least size.
        from_rounds: usize,
        /// The GPU.
        adapter: Adapter,
    },
}

impl Found {
    /// Looks at what there is. Where there is a GPU (not one in software), its calibration is read from `cache_file` or its
    /// usual place, and measured where there is none, or `anew`.
    #[must_use]
    pub fn look(cache_file: Option<PathBuf>, anew: bool) -> Self {
        let mut found = Self {
            levels: SimdLevel::present(),
            threads: factory::threads(),
            adapters: factory::adapters(),
            cache: CalibrationCache::new(cache_file),
            calibration: None,
            fresh: false,
            verdict: Verdict::Simd { reason: String::new() },
        };
        found.verdict = found.judge(anew);
        found
    }

    fn judge(&mut self, anew: bool) -> Verdict {
        let simd = |reason: String| Verdict::Simd { reason };
        let Some(adapter) = self.adapters.first().cloned() else {
            return simd("there is no GPU".to_owned());
        };
        if adapter.is_software {
            return simd(format!("{} is no GPU but runs in software", adapter.name));
        }
        let key = self.key(&adapter);
        let known = if anew { None } else { self.cache.find(&key) };
        let calibration = match known {
            Some(calibration) => calibration,
            None => match measure(key, &adapter) {
                Ok(calibration) => {
                    self.fresh = true;
                    if let Err(error) = self.cache.keep(&calibration) {
                        tracing::warn!(%error, "the calibration is not kept");
                    }
                    calibration
                }
                Err(error) => return simd(format!("the GPU cannot be used: {error:#}")),
            },
        };
        let from_rounds = calibration.from_rounds;
        self.calibration = Some(calibration);
        match from_rounds {
            Some(from_rounds) => Verdict::Gpu { from_rounds, adapter },
            None => simd("the GPU was slower at every size".to_owned()),
        }
    }

    fn key(&self, adapter: &Adapter) -> CalibrationKey {
        CalibrationKey {
            device: adapter.name.clone(),
            driver: adapter.driver.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            simd: SimdLevel::best().name().to_owned(),
            threads: self.threads,
        }
    }
}

fn measure(key: CalibrationKey, adapter: &Adapter) -> anyhow::Result<Calibration> {
    Ok(calibrate(key, [Box::new(factory::simd(None, None)?), factory::gpu(adapter)?])?)
}
