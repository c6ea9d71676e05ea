//! The SIMD backend: rounds across lanes of support points, in float32 where that is sure to be enough.
//!
//! How its numbers are scaled is told in [`ratios`], its kernels in [`marginal`], [`search`], [`few`] and [`few_hull`], and what makes sure that its
//! decisions are the scalar backend's in [`decide`].

mod choose;
mod decide;
mod few;
mod few_hull;
mod lanes;
mod left;
mod level;
mod marginal;
mod pairs;
mod ratios;
mod reach;
mod region;
mod round;
mod search;
mod summary;
mod walk;

use crate::backend::{Backend, BackendError};
use crate::batch::Batch;
use crate::decision::Decisions;
use crate::fleet::{Fleet, ModelId};
use crate::scalar::fitting_model;
pub use decide::Rungs;
use decide::Worker;
use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch};
use left::Left;
pub use level::SimdLevel;
use ratios::Ratios;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Evaluates rounds in lanes of the processor's vectors, and batches on several threads.
///
/// Value, status and quorum are those of [`ScalarBackend`](crate::ScalarBackend); the other fields are within the bounds told
/// in `docs/NUMERICS.md`. They do not depend on the number of threads or on how rounds were put into batches.
///
/// ```
/// use centauri_engine::*;
/// let backend = SimdBackend::new().with_threads(1);
/// assert!(SimdLevel::present().contains(&backend.level()));
/// ```
#[derive(Debug)]
pub struct SimdBackend {
    level: SimdLevel,
    threads: usize,
    pool: Option<rayon::ThreadPool>,
    /// By model of the fleet.
    ratios: Vec<Option<Ratios>>,
    /// One for each thread: its memory stays in the cache of the core that the thread is on.
    workers: Vec<Mutex<Worker>>,
    /// What the pool's threads' stretches of the batch came to.
    parts: Vec<Mutex<Decisions>>,
}

/// What a panic left behind is as good as any: each round and each stretch takes everything in anew.
fn locked<T>(memory: &Mutex<T>) -> MutexGuard<'_, T> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fewer rounds than this are not worth a thread.
const ROUNDS_MIN: usize = 32;
/// Parts for each thread: some take longer than others, and at the end all wait for the last.
const PARTS_PER_THREAD: usize = 16;

impl SimdBackend {
    /// At the machine's best level, on as many threads as it has cores.
    #[must_use]
    pub fn new() -> Self {
        Self::with_level(SimdLevel::best())
    }

    /// At `level`, or the baseline where the machine does not have it.
    #[must_use]
    pub fn with_level(level: SimdLevel) -> Self {
        let level = if SimdLevel::present().contains(&level) { level } else { SimdLevel::Baseline };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { level, threads, pool: None, ratios: Vec::new(), workers: Vec::new(), parts: Vec::new() }
            .with_threads(threads)
    }

    /// On `threads` threads (at least one); one means the caller's own.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.pool = None;
        self.threads = 1;
        if threads > 1 {
            // Where threads cannot be had the caller's own does the work.
            self.pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads - 1)
                .thread_name(|i| format!("simd-{i}"))
                .build()
                .ok();
            self.threads = if self.pool.is_some() { threads } else { 1 };
        }
        self
    }

    /// The level in use.
    #[must_use]
    pub fn level(&self) -> SimdLevel {
        self.level
    }

    /// The number of threads in use.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// How many rounds were decided in float32, in float64 and by the scalar code since the backend was made.
    #[must_use]
    pub fn rungs(&self) -> Rungs {
        let mut rungs = Rungs::default();
        self.workers.iter().for_each(|worker| rungs.add(locked(worker).rungs));
        rungs
    }

    /// Checks every round and makes the tables that are not there yet.
    fn prepare(&mut self, fleet: &Fleet, batch: &Batch) -> Result<(), BackendError> {
        self.ratios.resize_with(fleet.models(), || None);
        let mut changed = false;
        for (round, entry) in batch.iter().enumerate() {
            fitting_model(fleet, round, &entry)?;
            let ModelId(id) = entry.model;
            let model = fleet
                .shared_model(entry.model)
                .ok_or(BackendError::UnknownModel { round, model: entry.model })?;
            let slot = &mut self.ratios[id as usize];
            if !slot.as_ref().is_some_and(|ratios| ratios.is_of(model)) {
                *slot = Some(Ratios::new(model));
                changed = true;
            }
        }
        if changed {
            for slot in &mut self.ratios {
                slot.take_if(|ratios| !ratios.is_current());
            }
        }
        Ok(())
    }
}

impl Default for SimdBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for SimdBackend {
    fn name(&self) -> &'static str {
        "simd"
    }

    fn evaluate(
        &mut self,
        fleet: &Fleet,
        batch: &Batch,
        decisions: &mut Decisions,
    ) -> Result<(), BackendError> {
        decisions.clear();
        self.prepare(fleet, batch)?;
        let wanted = if self.threads > 1 { self.threads * PARTS_PER_THREAD } else { 1 };
        let parts = wanted.min(batch.len() / ROUNDS_MIN).max(1);
        self.workers.resize_with(self.threads, Mutex::default);
        if self.parts.len() < parts {
            self.parts.resize_with(parts, Mutex::default);
        }
        let job = Job { fleet, batch, ratios: &self.ratios, level: self.level.token() };
        match &self.pool {
            Some(pool) if parts > 1 => {
                let shared = Shared { job, left: Left::new(parts), parts: &self.parts[..parts] };
                let (own, others) = self.workers.split_at(1);
                pool.in_place_scope(|scope| {
                    for worker in others {
                        scope.spawn(|_| shared.run_backwards(&mut locked(worker)));
                    }
                    shared.run_forwards(&mut locked(&own[0]), decisions);
                });
                shared.parts[shared.left.first()..].iter().for_each(|part| decisions.append(&locked(part)));
            }
            _ => job.run(0..batch.len(), &mut locked(&self.workers[0]), decisions),
        }
        Ok(())
    }
}

/// A batch that several threads decide: the caller from its front on, straight into the result, while the pool's threads wake
/// up and take it from the back.
struct Shared<'a> {
    job: Job<'a>,
    left: Left,
    parts: &'a [Mutex<Decisions>],
}

impl Shared<'_> {
    fn rounds(&self, part: usize) -> Range<usize> {
        let (rounds, parts) = (self.job.batch.len(), self.parts.len());
        rounds * part / parts..rounds * (part + 1) / parts
    }

    fn run_forwards(&self, worker: &mut Worker, decisions: &mut Decisions) {
        while let Some(part) = self.left.take_first() {
            self.job.run(self.rounds(part), worker, decisions);
        }
    }

    fn run_backwards(&self, worker: &mut Worker) {
        while let Some(part) = self.left.take_last() {
            let mut decisions = locked(&self.parts[part]);
            decisions.clear();
            self.job.run(self.rounds(part), worker, &mut decisions);
        }
    }
}

/// A batch to decide.
#[derive(Clone, Copy)]
struct Job<'a> {
    fleet: &'a Fleet,
    batch: &'a Batch,
    ratios: &'a [Option<Ratios>],
    level: Level,
}

impl Job<'_> {
    fn run(self, rounds: Range<usize>, worker: &mut Worker, decisions: &mut Decisions) {
        match self.level {
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Level::Avx512(simd) => self.run_at(simd, rounds, worker, decisions),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Level::Avx2(simd) => self.run_at(simd, rounds, worker, decisions),
            // All others have but one level, or are not told apart: the fewer copies of the kernels, the better.
            _ => dispatch!(Level::baseline(), simd => self.run_at(simd, rounds, worker, decisions)),
        }
    }

    fn run_at<S: Simd>(self, simd: S, rounds: Range<usize>, worker: &mut Worker, decisions: &mut Decisions) {
        for entry in rounds.filter_map(|round| self.batch.get(round)) {
            let ratios = self.ratios.get(entry.model.0 as usize).and_then(Option::as_ref);
            if let (Some(model), Some(ratios)) = (self.fleet.model(entry.model), ratios) {
                worker.decide(simd, model, ratios, &entry, decisions);
            }
        }
    }
}
