//! The backend: rounds to the device, what it leaves open to another backend, decisions in order.

use crate::adapters::{AdapterChoice, AdapterSummary};
use crate::counters::{Counters, Reason};
use crate::device::Device;
use crate::error::GpuError;
use crate::kernels::Variant;
use crate::machine::{Machine, Place};
use centauri_engine::{Backend, BackendError, Batch, Decisions, Entry, Fleet};
use std::fmt;

/// Batches that are decided without the device after it first failed; doubled each time it fails again.
const PAUSE_MIN: u32 = 1;
/// Most batches between two attempts to come back.
const PAUSE_MAX: u32 = 1_024;

/// How to open a [`GpuBackend`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuOptions {
    /// Which adapter.
    pub adapter: AdapterChoice,
    /// Whether the processor posing as a graphics card will do. It is right, and slow.
    pub software: bool,
    /// Whether subgroup operations are used where the adapter has them.
    pub subgroups: bool,
    /// Most submissions in flight at a time, at least 2 for transfers and computing to overlap.
    pub in_flight: usize,
}

impl Default for GpuOptions {
    fn default() -> Self {
        Self { adapter: AdapterChoice::Best, software: false, subgroups: true, in_flight: 3 }
    }
}

/// Whether the device is at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpuStatus {
    /// Batches go to the device.
    Running,
    /// The device failed; batches go to the fallback until the next attempt to open it.
    Resting {
        /// What happened.
        error: GpuError,
        /// Batches until the next attempt.
        batches: u32,
    },
}

/// What an observer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpuEvent {
    /// The device failed. The batch and the next ones are decided by the fallback.
    Failed(GpuError),
    /// The device was opened again.
    Restored,
}

/// Decides rounds on a graphics card, in float32, and hands on to another backend what float32 cannot settle.
///
/// Status, value and quorum are those of [`centauri_engine::ScalarBackend`], always: each decision comes back with whether
/// it stands beyond the kernels' error, and where not the fallback decides. Probabilities, moments and log-evidence carry float32's
/// error (below 1e-4, and 1e-3 relative). A device that fails is an event, not an error: the fallback decides, and
/// the device is opened again later.
///
/// ```no_run
/// use centauri_engine::ScalarBackend;
/// use centauri_gpu::{GpuBackend, GpuOptions};
///
/// let options = GpuOptions { software: true, ..GpuOptions::default() };
/// let backend = GpuBackend::open(options, Box::new(ScalarBackend::new()))?;
/// println!("{}", backend.adapter().name);
/// # Ok::<(), centauri_gpu::GpuError>(())
/// ```
pub struct GpuBackend {
    options: GpuOptions,
    adapter: AdapterSummary,
    state: State,
    fallback: Box<dyn Backend>,
    observer: Option<Observer>,
    counters: Counters,
    /// Batches until the next attempt after the next failure.
    pause: u32,
    places: Vec<Place>,
    /// What the fallback decided before and after the device's answer.
    early: Aside,
    late: Aside,
    honest: Vec<f64>,
}

type Observer = Box<dyn Fn(&GpuEvent) + Send>;

enum State {
    Open(Box<Machine>),
    Resting { error: GpuError, batches: u32 },
}

/// Rounds that the fallback decides.
#[derive(Debug, Default)]
struct Aside {
    batch: Batch,
    decisions: Decisions,
}

impl Aside {
    fn decide(&mut self, fleet: &Fleet, fallback: &mut dyn Backend) -> Result<(), BackendError> {
        self.decisions.clear();
        if self.batch.is_empty() {
            return Ok(());
        }
        fallback.evaluate(fleet, &self.batch, &mut self.decisions)
    }

    fn copy(&self, i: usize, decisions: &mut Decisions) {
        let honest = self.decisions.honest(i).unwrap_or_default();
        decisions.push(*self.decisions.decision(i), honest, self.decisions.ln_marginal(i));
    }
}

impl fmt::Debug for GpuBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuBackend")
            .field("adapter", &self.adapter.name)
            .field("status", &self.status())
            .field("fallback", &self.fallback)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl GpuBackend {
    /// Opens a device. `fallback` decides what the device cannot.
    ///
    /// # Errors
    /// No adapter of that kind, or one that gives no device with WebGPU's default limits.
    pub fn open(options: GpuOptions, fallback: Box<dyn Backend>) -> Result<Self, GpuError> {
        let device = open(&options)?;
        Ok(Self {
            adapter: device.adapter.clone(),
            state: State::Open(Box::new(Machine::new(device, options.in_flight))),
            options,
            fallback,
            observer: None,
            counters: Counters::default(),
            pause: PAUSE_MIN,
            places: Vec::new(),
            early: Aside::default(),
            late: Aside::default(),
            honest: Vec::new(),
        })
    }

    /// Calls `observer` when the device fails and when it is back.
    pub fn observe(&mut self, observer: impl Fn(&GpuEvent) + Send + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// The adapter that was opened.
    #[must_use]
    pub fn adapter(&self) -> &AdapterSummary {
        &self.adapter
    }

    /// Whether the kernels use subgroup operations.
    #[must_use]
    pub fn with_subgroups(&self) -> bool {
        matches!(&self.state, State::Open(machine) if machine.device.with_subgroups())
    }

    /// Whether the device is at work.
    #[must_use]
    pub fn status(&self) -> GpuStatus {
        match &self.state {
            State::Open(_) => GpuStatus::Running,
            State::Resting { error, batches } => {
                GpuStatus::Resting { error: error.clone(), batches: *batches }
            }
        }
    }

    /// What was decided where since the backend was opened.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The number of models whose tables are on the device.
    #[must_use]
    pub fn models(&self) -> usize {
        match &self.state {
            State::Open(machine) => machine.models(),
            State::Resting { .. } => 0,
        }
    }

    /// Builds the pipeline of `variant` now and not with the first round that needs it: drivers take from milliseconds to
    /// seconds for each.
    ///
    /// # Errors
    /// A device that fails, or is not there.
    pub fn build(&mut self, variant: Variant) -> Result<(), GpuError> {
        match &mut self.state {
            State::Open(machine) => machine.device.pipeline(variant).map(|_| ()),
            State::Resting { error, .. } => Err(error.clone()),
        }
    }

    /// Takes the device away, as a driver's reset would. For tests.
    #[doc(hidden)]
    pub fn destroy_device(&self) {
        if let State::Open(machine) = &self.state {
            machine.device.device.destroy();
        }
    }

    fn tell(&self, event: &GpuEvent) {
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }

    fn fail(&mut self, error: GpuError) {
        self.tell(&GpuEvent::Failed(error.clone()));
        self.state = State::Resting { error, batches: self.pause };
        self.pause = (2 * self.pause).min(PAUSE_MAX);
    }

    /// Tries to come back when the pause is over.
    fn revive(&mut self) {
        let State::Resting { batches, .. } = &mut self.state else { return };
        if *batches > 0 {
            *batches -= 1;
            return;
        }
        match open(&self.options) {
            Ok(device) => {
                self.state = State::Open(Box::new(Machine::new(device, self.options.in_flight)));
                self.tell(&GpuEvent::Restored);
            }
            Err(error) => self.fail(error),
        }
    }

    /// Decides what the device can, and by the fallback what it cannot take; leaves in `places` what became of each round.
    fn on_device(&mut self, fleet: &Fleet, batch: &Batch) -> Result<(), BackendError> {
        self.early.batch.clear();
        self.late.batch.clear();
        let State::Open(machine) = &mut self.state else {
            return self.without_device(fleet, batch);
        };
        if let Err(error) = machine.send(fleet, batch, &mut self.places, &mut self.counters) {
            self.fail(error);
            return self.without_device(fleet, batch);
        }
        // The fallback works while the device does.
        for (entry, place) in batch.iter().zip(&self.places) {
            if let Place::Fallback(reason) = place {
                self.early.batch.push(entry);
                self.counters.fell_back(*reason);
            }
        }
        self.early.decide(fleet, self.fallback.as_mut())?;
        match machine.collect(&mut self.places, &mut self.counters) {
            Ok(()) => {
                self.pause = PAUSE_MIN;
                self.certify(fleet, batch);
            }
            Err(error) => {
                self.fail(error);
                self.give_up(batch);
            }
        }
        self.late.decide(fleet, self.fallback.as_mut())
    }

    /// All rounds are the fallback's.
    fn without_device(&mut self, fleet: &Fleet, batch: &Batch) -> Result<(), BackendError> {
        self.places.clear();
        self.places.resize(batch.len(), Place::Device);
        self.give_up(batch);
        self.late.decide(fleet, self.fallback.as_mut())
    }

    /// What the device has not decided is the fallback's.
    fn give_up(&mut self, batch: &Batch) {
        for (entry, place) in batch.iter().zip(&mut self.places) {
            if !matches!(place, Place::Fallback(_)) {
                *place = Place::Late;
                self.late.batch.push(entry);
                self.counters.fell_back(Reason::Device);
            }
        }
    }

    /// Hands on to the fallback what does not stand beyond the kernels' error.
    fn certify(&mut self, fleet: &Fleet, batch: &Batch) {
        let State::Open(machine) = &mut self.state else { return };
        for (entry, place) in batch.iter().zip(&mut self.places) {
            let Place::Words { begin, shape } = *place else { continue };
            let (mut record, quorums) = machine.record(begin, shape);
            let model = fleet.model(entry.model).ok_or(Reason::Range);
            let certain = model.and_then(|model| record.certify(model, &entry, quorums));
            match certain {
                Ok(settled) => {
                    self.counters.on_device += 1;
                    self.counters.settled += u64::from(settled);
                }
                Err(reason) => {
                    *place = Place::Late;
                    self.late.batch.push(entry);
                    self.counters.fell_back(reason);
                }
            }
        }
    }

    /// Puts the decisions in order.
    fn assemble(&mut self, batch: &Batch, decisions: &mut Decisions) {
        let (mut early, mut late) = (0, 0);
        for (entry, place) in batch.iter().zip(&self.places) {
            match (*place, &mut self.state) {
                (Place::Fallback(_), _) => {
                    self.early.copy(early, decisions);
                    early += 1;
                }
                (Place::Words { begin, shape }, State::Open(machine)) => {
                    if let Some(loaded) = machine.loaded(entry.model) {
                        let (record, _) = machine.record(begin, shape);
                        record.honest(&mut self.honest);
                        decisions.push(record.decision(&loaded, &entry), &self.honest, &[]);
                    }
                }
                _ => {
                    self.late.copy(late, decisions);
                    late += 1;
                }
            }
        }
    }
}

impl Backend for GpuBackend {
    fn name(&self) -> &'static str {
        "gpu"
    }

    fn evaluate(
        &mut self,
        fleet: &Fleet,
        batch: &Batch,
        decisions: &mut Decisions,
    ) -> Result<(), BackendError> {
        decisions.clear();
        for (round, entry) in batch.iter().enumerate() {
            fits(fleet, round, &entry)?;
        }
        self.revive();
        self.on_device(fleet, batch)?;
        self.assemble(batch, decisions);
        Ok(())
    }
}

fn open(options: &GpuOptions) -> Result<Device, GpuError> {
    Device::open(&options.adapter, options.software, options.subgroups)
}

/// Whether the round has the shape that its model asks for.
fn fits(fleet: &Fleet, round: usize, entry: &Entry<'_>) -> Result<(), BackendError> {
    let model = fleet.model(entry.model).ok_or(BackendError::UnknownModel { round, model: entry.model })?;
    let shape = |what, found, expected| {
        if found == expected { Ok(()) } else { Err(BackendError::Shape { round, what, found, expected }) }
    };
    shape("observations", entry.observations.len(), model.replicas())?;
    let points = model.support().points();
    shape("prior masses", entry.ln_prior.map_or(points, <[f64]>::len), points)
}
