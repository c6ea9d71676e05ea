//! Compiled models on the device: their rows in float32, and what the host needs to speak of them.

use crate::arena::Arena;
use crate::device::Device;
use crate::error::GpuError;
use crate::kernels::{POINTS_MAX, REPLICAS_MAX};
use crate::plan::Shapes;
use centauri_engine::{CompiledModel, Fleet, ModelId, Observation, Rows};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Words of a model's header before its replicas, and of each replica (`common.wgsl`).
const HEADER: usize = 4;
const REPLICA: usize = 7;
/// The code of a missing message.
const CODE_MISSING: u16 = 0xffff;
/// Stands for −∞ among logarithms on the device.
const IMPOSSIBLE: f32 = -1e30;
/// Prior masses below this share of the largest are stored as a bound.
const MASS_MIN: f64 = 7.888_609_052_210_118e-31;
/// Largest likelihood of a table over u, and its inverse, beyond which float32 has no room.
const LN_RATIO_MAX: f64 = 41.0;

/// All models that are on the device.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) cells: Arena,
    pub(crate) ln_cells: Arena,
    pub(crate) headers: Arena,
    /// By the address of the compiled model, which `Loaded` keeps alive.
    loaded: BTreeMap<usize, Arc<Loaded>>,
    /// The models of the fleet seen last, by id.
    recent: Vec<Option<(usize, Arc<Loaded>)>>,
    scratch: Vec<u32>,
    scratch_ln: Vec<u32>,
    /// Bytes uploaded so far.
    pub(crate) bytes: u64,
}

/// A model on the device.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) model: Arc<CompiledModel>,
    /// Where it lies; `None` where float32 or the device has no room for it.
    pub(crate) place: Option<Place>,
    /// For each table of the model: of a value, and of a missing message.
    sides: Vec<[Side; 2]>,
    pub(crate) shapes: Shapes,
    /// The largest log-prior; the device's is relative to it.
    pub(crate) ln_prior_top: f64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    cells: (u32, u32),
    ln_cells: (u32, u32),
    pub(crate) header: (u32, u32),
}

/// What the logarithms of a kernel's evidence leave out for one replica.
#[derive(Clone, Copy, Debug)]
struct Side {
    /// `ln u`.
    ln_faulty: f64,
    /// `ln` of the largest likelihood.
    ln_top: f64,
}

impl Side {
    fn ln_ratio(self) -> f64 {
        self.ln_top - self.ln_faulty
    }
}

impl Loaded {
    /// The 16 bits that say on the device what was observed; `None` where the tables have no row for it.
    pub(crate) fn code(&self, position: usize, observation: Observation) -> Option<u16> {
        let Observation::Bin(bin) = observation else {
            return (observation == Observation::Missing).then_some(CODE_MISSING);
        };
        let points = self.model.support().points();
        let rows = self.model.table_rows(self.model.table_index(position));
        let start = rows.start(bin, points)?;
        let code = if matches!(rows, Rows::Each { .. }) { start / points } else { start };
        u16::try_from(code).ok().filter(|&code| code != CODE_MISSING)
    }

    /// `Σ ln u`, and `Σ ln max(1, largest likelihood over u)`.
    pub(crate) fn ln_constants(&self, observations: &[Observation]) -> (f64, f64) {
        let mut sums = (0.0, 0.0);
        for (position, &observation) in observations.iter().enumerate() {
            let side = self.sides[self.model.table_index(position)]
                [usize::from(observation == Observation::Missing)];
            sums.0 += side.ln_faulty;
            sums.1 += side.ln_ratio().max(0.0);
        }
        sums
    }
}

impl Tables {
    pub(crate) fn new(device: &Device) -> Self {
        Self {
            cells: Arena::new(device),
            ln_cells: Arena::new(device),
            headers: Arena::new(device),
            loaded: BTreeMap::new(),
            recent: Vec::new(),
            scratch: Vec::new(),
            scratch_ln: Vec::new(),
            bytes: 0,
        }
    }

    /// The models that are on the device.
    pub(crate) fn len(&self) -> usize {
        self.loaded.len()
    }

    /// Model `id` of `fleet`, uploaded if it is not there yet; `None` where the fleet has none.
    pub(crate) fn get(
        &mut self,
        device: &Device,
        fleet: &Fleet,
        id: ModelId,
    ) -> Result<Option<&Arc<Loaded>>, GpuError> {
        let Some(model) = fleet.shared_model(id) else { return Ok(None) };
        let (index, address) = (id.0 as usize, Arc::as_ptr(model) as usize);
        let known =
            self.recent.get(index).and_then(Option::as_ref).is_some_and(|(known, _)| *known == address);
        if !known {
            self.recent.resize(fleet.models().max(index + 1), None);
            self.recent[index] = None;
            let loaded = match self.loaded.get(&address) {
                Some(loaded) => loaded.clone(),
                None => {
                    self.forget_unused();
                    let loaded = Arc::new(self.upload(device, model)?);
                    self.loaded.insert(address, loaded.clone());
                    loaded
                }
            };
            self.recent[index] = Some((address, loaded));
        }
        Ok(self.recent(id))
    }

    /// A model that [`Tables::get`] has just given.
    pub(crate) fn recent(&self, id: ModelId) -> Option<&Arc<Loaded>> {
        self.recent.get(id.0 as usize)?.as_ref().map(|(_, loaded)| loaded)
    }

    /// Takes models off the device that nobody else holds any more.
    fn forget_unused(&mut self) {
        for slot in &mut self.recent {
            slot.take_if(|(_, loaded)| Arc::strong_count(&loaded.model) == 1);
        }
        let unused = |loaded: &Arc<Loaded>| Arc::strong_count(&loaded.model) == 1;
        let gone: Vec<usize> = self.loaded.iter().filter(|(_, l)| unused(l)).map(|(&a, _)| a).collect();
        for address in gone {
            if let Some(place) = self.loaded.remove(&address).and_then(|loaded| loaded.place) {
                self.cells.give_back(place.cells.0, place.cells.1);
                self.ln_cells.give_back(place.ln_cells.0, place.ln_cells.1);
                self.headers.give_back(place.header.0, place.header.1);
            }
        }
    }

    fn upload(&mut self, device: &Device, model: &Arc<CompiledModel>) -> Result<Loaded, GpuError> {
        let sides: Vec<[Side; 2]> = (0..model.table_count()).map(|table| sides(model, table)).collect();
        let ln_prior_top = model.ln_prior().iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut loaded =
            Loaded { model: model.clone(), place: None, sides, shapes: Shapes::of(model), ln_prior_top };
        let fits = |side: &Side| side.ln_top == f64::NEG_INFINITY || side.ln_ratio().abs() <= LN_RATIO_MAX;
        let small = model.replicas() <= REPLICAS_MAX && model.support().points() <= POINTS_MAX;
        if !small || !loaded.sides.iter().flatten().all(fits) {
            return Ok(loaded);
        }
        let starts = self.fill(&loaded);
        let words = self.scratch.len() as u32;
        let header_words = (HEADER + REPLICA * model.replicas()) as u32;
        let Some(cells) = self.cells.take(device, words)? else { return Ok(loaded) };
        let Some(ln_cells) = self.ln_cells.take(device, words)? else {
            self.cells.give_back(cells, words);
            return Ok(loaded);
        };
        let header = self.headers.take(device, header_words)?;
        // Both have the same history, so that one offset serves for both.
        let Some(header) = header.filter(|_| cells == ln_cells) else {
            self.cells.give_back(cells, words);
            self.ln_cells.give_back(ln_cells, words);
            return Ok(loaded);
        };
        self.cells.write(device, cells, &self.scratch);
        self.ln_cells.write(device, ln_cells, &self.scratch_ln);
        self.headers.write(device, header, &header_of(&loaded, cells, &starts));
        self.bytes += u64::from(2 * words + header_words) * 4;
        loaded.place = Some(Place {
            cells: (cells, words),
            ln_cells: (ln_cells, words),
            header: (header, header_words),
        });
        Ok(loaded)
    }

    /// Prepares the cells of prior and tables; gives where each table begins.
    fn fill(&mut self, loaded: &Loaded) -> Vec<u32> {
        let (cells, ln_cells) = (&mut self.scratch, &mut self.scratch_ln);
        cells.clear();
        ln_cells.clear();
        let top = loaded.ln_prior_top;
        for &ln in loaded.model.ln_prior() {
            let mass = (ln - top).exp();
            let held = if mass > 0.0 && mass < MASS_MIN { -MASS_MIN } else { mass };
            cells.push((held as f32).to_bits());
            ln_cells.push(log2(ln - top).to_bits());
        }
        let mut starts = Vec::new();
        for table in 0..loaded.model.table_count() {
            starts.push(cells.len() as u32);
            let top = loaded.sides[table][0].ln_top;
            for &ln in loaded.model.table_rows(table).cells() {
                let share = (ln - top).exp();
                let held = if share < f64::from(f32::MIN_POSITIVE) { 0.0 } else { share as f32 };
                cells.push(held.to_bits());
                ln_cells.push(log2(ln - top).to_bits());
            }
        }
        starts
    }
}

fn log2(ln: f64) -> f32 {
    // A table of −∞ alone has no largest: its differences are not numbers.
    if ln.is_finite() { (ln * std::f64::consts::LOG2_E) as f32 } else { IMPOSSIBLE }
}

fn sides(model: &CompiledModel, table: usize) -> [Side; 2] {
    let rows = model.table_rows(table);
    let ln_top = rows.cells().iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [
        Side { ln_faulty: model.ln_faulty(Observation::Bin(0)), ln_top },
        Side { ln_faulty: model.ln_faulty(Observation::Missing), ln_top: model.ln_missing(table) },
    ]
}

fn header_of(loaded: &Loaded, cells: u32, starts: &[u32]) -> Vec<u32> {
    let model = &loaded.model;
    let points = model.support().points() as u32;
    let tail = (1.0 - model.credible()) / 2.0;
    let mut header = vec![points, cells, (tail as f32).to_bits(), 0];
    for position in 0..model.replicas() {
        let table = model.table_index(position);
        let stride = if matches!(model.table_rows(table), Rows::Each { .. }) { points } else { 1 };
        header.extend([cells + starts[table], stride, table as u32]);
        for side in loaded.sides[table] {
            let ratio = side.ln_ratio();
            header.extend([
                (ratio.min(0.0).exp() as f32).to_bits(),
                ((-ratio).min(0.0).exp() as f32).to_bits(),
            ]);
        }
    }
    header
}
