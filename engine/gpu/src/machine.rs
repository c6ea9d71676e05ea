//! A device at work on a batch.

use crate::counters::{Counters, Reason};
use crate::decode::Record;
use crate::device::Device;
use crate::error::GpuError;
use crate::plan::{Group, Shape};
use crate::quorums::Quorums;
use crate::ring::{Job, Params, Ring};
use crate::tables::{Loaded, Tables};
use centauri_engine::{Batch, Entry, Fleet, ModelId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most rounds of a submission: fewer than the 65,535 workgroups of a dimension, enough to fill a large card.
const ROUNDS_MAX: usize = 1 << 15;

/// What has become of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The device decides it.
    Device,
    /// Its words begin here, and it is of this shape.
    Words { begin: usize, shape: usize },
    /// The fallback decides it, without having asked the device.
    Fallback(Reason),
    /// The fallback decides it after all.
    Late,
}

/// An open device with everything on it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) device: Device,
    tables: Tables,
    quorums: Quorums,
    ring: Ring,
    groups: BTreeMap<Shape, Group>,
    /// What is in flight or has come back, by tag.
    sent: Vec<(usize, Vec<u32>)>,
    shapes: Vec<Shape>,
    words: Vec<u32>,
}

impl Machine {
    pub(crate) fn new(device: Device, in_flight: usize) -> Self {
        Self {
            tables: Tables::new(&device),
            quorums: Quorums::new(&device),
            ring: Ring::new(in_flight),
            groups: BTreeMap::new(),
            sent: Vec::new(),
            shapes: Vec::new(),
            words: Vec::new(),
            device,
        }
    }

    /// The number of models on the device.
    pub(crate) fn models(&self) -> usize {
        self.tables.len()
    }

    /// Sends every round to the device that it can decide, and says in `places` which these are.
    pub(crate) fn send(
        &mut self,
        fleet: &Fleet,
        batch: &Batch,
        places: &mut Vec<Place>,
        counters: &mut Counters,
    ) -> Result<(), GpuError> {
        places.clear();
        self.ring.abandon();
        self.sent.clear();
        self.shapes.clear();
        self.words.clear();
        for group in self.groups.values_mut() {
            group.words.clear();
            group.members.clear();
        }
        let table_bytes = self.tables.bytes;
        for (index, entry) in (0u32..).zip(batch.iter()) {
            let place = match self.add(fleet, index, &entry)? {
                Ok(shape) => {
                    if self.groups[&shape].members.len() >= ROUNDS_MAX {
                        self.flush(shape, places, counters)?;
                    }
                    Place::Device
                }
                Err(reason) => Place::Fallback(reason),
            };
            places.push(place);
        }
        counters.table_bytes += self.tables.bytes - table_bytes;
        let waiting: Vec<Shape> =
            self.groups.iter().filter(|(_, group)| !group.members.is_empty()).map(|(&s, _)| s).collect();
        waiting.into_iter().try_for_each(|shape| self.flush(shape, places, counters))
    }

    /// Puts the round into the group of its shape.
    fn add(
        &mut self,
        fleet: &Fleet,
        index: u32,
        entry: &Entry<'_>,
    ) -> Result<Result<Shape, Reason>, GpuError> {
        let Some(loaded) = self.tables.get(&self.device, fleet, entry.model)? else {
            return Ok(Err(Reason::Range));
        };
        Ok(loaded.shapes.get(&loaded.model, entry).and_then(|shape| {
            self.groups.entry(shape).or_default().push(loaded, index, entry)?;
            Ok(shape)
        }))
    }

    /// Submits the group of `shape`.
    fn flush(&mut self, shape: Shape, places: &mut [Place], counters: &mut Counters) -> Result<(), GpuError> {
        let (quorum_begin, quorums) = if shape.objective != 0 || shape.region {
            match self.quorums.list(&self.device, shape.replicas, shape.faults)? {
                Some(list) => list,
                None => return Err(GpuError::OutOfMemory("no room for the list of quorums".to_owned())),
            }
        } else {
            (0, 0)
        };
        let pipelines = shape.variants().map(|v| self.device.pipeline(v)).collect::<Result<Vec<_>, _>>()?;
        while self.ring.is_full() {
            self.collect_one(places, counters)?;
        }
        let Some(group) = self.groups.get_mut(&shape) else { return Ok(()) };
        let members = std::mem::take(&mut group.members);
        let params = Params {
            rounds: members.len() as u32,
            replicas: shape.replicas as u32,
            faults: shape.faults as u32,
            objective: shape.objective,
            in_words: shape.in_words() as u32,
            out_words: shape.out_words() as u32,
            quorums,
            quorum_begin,
            faulty_weights: shape.faulty_weights(),
        };
        let tables = [
            self.tables.cells.buffer(),
            self.tables.ln_cells.buffer(),
            self.tables.headers.buffer(),
            self.quorums.arena.buffer(),
        ];
        let tag = self.sent.len();
        let job = Job { params, rounds: &group.words, pipelines: &pipelines, tables, tag };
        self.ring.submit(&self.device, &job)?;
        counters.submissions += 1;
        counters.bytes_up += group.words.len() as u64 * 4;
        group.words.clear();
        let at = self.shapes.iter().position(|&known| known == shape).unwrap_or_else(|| {
            self.shapes.push(shape);
            self.shapes.len() - 1
        });
        self.sent.push((at, members));
        Ok(())
    }

    /// Waits for everything in flight.
    pub(crate) fn collect(&mut self, places: &mut [Place], counters: &mut Counters) -> Result<(), GpuError> {
        while self.collect_one(places, counters)? {}
        Ok(())
    }

    fn collect_one(&mut self, places: &mut [Place], counters: &mut Counters) -> Result<bool, GpuError> {
        let mut begin = self.words.len();
        let Some(tag) = self.ring.collect(&self.device, &mut self.words)? else { return Ok(false) };
        counters.bytes_down += (self.words.len() - begin) as u64 * 4;
        let (shape, members) = &self.sent[tag];
        let stride = self.shapes[*shape].out_words();
        for &member in members {
            if let Some(place) = places.get_mut(member as usize) {
                *place = Place::Words { begin, shape: *shape };
            }
            begin += stride;
        }
        Ok(true)
    }

    /// The words of a round that came back, and the quorums that they speak of.
    pub(crate) fn record(&mut self, begin: usize, shape: usize) -> (Record<'_>, &Quorums) {
        let shape = self.shapes[shape];
        (Record { shape, words: &mut self.words[begin..begin + shape.out_words()] }, &self.quorums)
    }

    /// A model of this batch.
    pub(crate) fn loaded(&self, id: ModelId) -> Option<Arc<Loaded>> {
        self.tables.recent(id).cloned()
    }
}
