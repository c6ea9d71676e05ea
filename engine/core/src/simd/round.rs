//! A round on its way into the kernels: whose reports are left, and where their rows are.

use super::lanes::{Aligned, Real, at, normal, padded, put};
use super::ratios::{Cells, InCells, Ratios, least};
use crate::batch::Entry;
use crate::compile::CompiledModel;
use crate::decision::Quorum;
use crate::observation::Observation;
use fearless_simd::prelude::*;

/// What the round's observations say, in terms of the model's tables.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Positions in the model of the replicas that did not equivocate.
    pub(super) replicas: Vec<u8>,
    rows: Vec<Row>,
    /// How many of these may still be faulty.
    pub(super) faults: usize,
    /// `Σ ln u_i`.
    pub(super) ln_faulty: f64,
    /// Logarithm of the smallest ratio and prior mass that is not 0.
    pub(super) ln_least: f64,
    /// Length of a row, in whole vectors.
    pub(super) stride: usize,
    /// Rows that are in no table, ratios.
    computed: Cells,
    /// The prior of a round that has its own.
    own_prior: Option<Cells>,
    spare_prior: Cells,
}

/// Where a replica's row is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Row {
    /// In its table, from this cell on.
    Table { table: u8, start: usize },
    /// Among the computed ones.
    Computed { table: u8, bin: i64, start: usize },
}

impl Round {
    /// Takes in a round that fits `model`. `false` where a ratio is larger than any in the tables: kernels have no room for it.
    pub(super) fn collect(&mut self, model: &CompiledModel, ratios: &Ratios, entry: &Entry<'_>) -> bool {
        let points = model.support().points();
        self.stride = padded(points);
        self.replicas.clear();
        self.rows.clear();
        self.computed.clear();
        self.ln_least = ratios.ln_least;
        let mut silent = 0;
        for (position, (&observation, &table)) in entry.observations.iter().zip(model.table_of()).enumerate()
        {
            let row = match observation {
                Observation::Equivocated => continue,
                Observation::Missing => {
                    silent += 1;
                    Row::Table { table, start: ratios.tables[usize::from(table)].missing }
                }
                Observation::Bin(bin) => match ratios.tables[usize::from(table)].row(bin) {
                    Some(start) => Row::Table { table, start },
                    None => self.compute(model, ratios, position, bin),
                },
            };
            self.replicas.push(position as u8);
            self.rows.push(row);
        }
        let spoke = self.rows.len() - silent;
        self.ln_faulty = silent as f64 * model.ln_faulty(Observation::Missing)
            + spoke as f64 * model.ln_faulty(Observation::Bin(0));
        let equivocated = entry.observations.len() - self.rows.len();
        self.faults = model.faults().saturating_sub(equivocated);
        self.take_prior(entry);
        self.computed.double.iter().all(|&ratio| ratio <= 1.0)
    }

    fn compute(&mut self, model: &CompiledModel, ratios: &Ratios, position: usize, bin: i64) -> Row {
        let (points, start) = (model.support().points(), self.computed.double.len());
        self.computed.double.resize(start + self.stride, 0.0);
        let cells = &mut self.computed.double[start..start + points];
        model.likelihood(position, Observation::Bin(bin), cells);
        let ln_unit = model.ln_faulty(Observation::Bin(bin)) + ratios.ln_unit;
        cells.iter_mut().for_each(|ln| *ln -= ln_unit);
        self.ln_least = self.ln_least.min(least(cells.iter().copied()));
        cells.iter_mut().for_each(|cell| *cell = normal(cell.exp()));
        self.computed.single.extend(self.computed.double[start..].iter().map(|&cell| normal::<f32>(cell)));
        Row::Computed { table: model.table_of()[position], bin, start }
    }

    fn take_prior(&mut self, entry: &Entry<'_>) {
        if let Some(own) = self.own_prior.take() {
            self.spare_prior = own;
        }
        if let Some(ln_prior) = entry.ln_prior {
            let mut own = std::mem::take(&mut self.spare_prior);
            own.clear();
            own.double.extend(ln_prior.iter().map(|ln| normal::<f64>(ln.exp())));
            own.double.resize(self.stride, 0.0);
            own.single.extend(own.double.iter().map(|&p| normal::<f32>(p)));
            self.ln_least = self.ln_least.min(least(ln_prior.iter().copied()));
            self.own_prior = Some(own);
        }
    }

    /// Replicas that are left.
    pub(super) fn replicas(&self) -> usize {
        self.replicas.len()
    }

    /// Size of a quorum; 0 where there can be none.
    pub(super) fn quorum_size(&self) -> usize {
        self.replicas().saturating_sub(self.faults)
    }

    /// P(x), with zeros up to whole vectors.
    pub(super) fn prior<'a, T: InCells>(&'a self, ratios: &'a Ratios) -> &'a [T] {
        T::cells(self.own_prior.as_ref().unwrap_or(&ratios.prior))
    }

    /// Whether no product of a quorum's ratios that is not 0 is too small for float64.
    pub(super) fn none_underflows(&self) -> bool {
        (self.quorum_size() + 1) as f64 * self.ln_least > f64::SAFE.ln()
    }

    /// A quorum by position in the model, from one by place among those that are left.
    pub(super) fn of_model(&self, quorum: Quorum) -> Quorum {
        match self.replicas.last() {
            Some(&last) if usize::from(last) >= self.replicas.len() => {
                let members = (0..self.replicas.len()).filter(|&i| quorum.contains(i));
                members.map(|i| usize::from(self.replicas[i])).collect()
            }
            // Nobody has gone before the last one.
            _ => quorum,
        }
    }

    /// Writes all rows one after the other into `rows`.
    pub(super) fn gather<S: Simd, T: InCells>(&self, simd: S, ratios: &Ratios, rows: &mut Aligned<T>) {
        rows.resize(self.rows.len() * self.stride);
        let out = rows.as_mut_slice();
        simd.vectorize(
            #[inline(always)]
            || self.write(simd, ratios, out),
        );
    }

    #[inline(always)]
    fn write<S: Simd, T: InCells>(&self, simd: S, ratios: &Ratios, out: &mut [T]) {
        let vectors = self.stride / T::Native::<S>::LEN;
        for (i, out) in out.chunks_exact_mut(self.stride).enumerate() {
            let row = self.row::<T>(ratios, i);
            for v in 0..vectors {
                put::<S, T>(out, v, at::<S, T>(simd, row, v));
            }
        }
    }

    /// The row of the replica left at place `i`.
    #[inline(always)]
    pub(super) fn row<'a, T: InCells>(&'a self, ratios: &'a Ratios, i: usize) -> &'a [T] {
        let (cells, start) = match self.rows[i] {
            Row::Table { table, start } => (&ratios.tables[usize::from(table)].cells, start),
            Row::Computed { start, .. } => (&self.computed, start),
        };
        &T::cells(cells)[start..start + self.stride]
    }

    /// Whether the replicas left at places `a` and `b` were observed alike, so that they can be exchanged for each other.
    pub(super) fn alike(&self, a: usize, b: usize) -> bool {
        match (self.rows[a], self.rows[b]) {
            (Row::Computed { table, bin, .. }, Row::Computed { table: other, bin: other_bin, .. }) => {
                table == other && bin == other_bin
            }
            (row, other) => row == other,
        }
    }
}
