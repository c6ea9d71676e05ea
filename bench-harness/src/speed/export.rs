//! A work's tables, rounds and decisions as NumPy files, for programs in other languages.
//!
//! In the work's folder, little-endian, row by row; T tables (equal ones are written once), R rows, M models, S streams, n
//! replicas:
//!
//! | file | type, shape | what it is |
//! |---|---|---|
//! | `header.json` | | the work, the seed, `first_bin`: the bin of row 0; the last row is a missing message |
//! | `ln_likelihood.npy` | f8, T × R × points | ln P(observation given x): the row is the observation |
//! | `table_of.npy` | i4, M × n | the table of each replica of each model |
//! | `ln_prior.npy` | f8, M × points | ln P(x) |
//! | `ln_faulty.npy` | f8, M × 2 | ln u of a missing message, and of a value |
//! | `credible.npy` | f8, M | level of the credible interval |
//! | `model.npy` | i4, S | each stream's model |
//! | `row.npy` | i4, S × n | what was observed: a row of the replica's table |
//! | `decided.npy` | i4, S | our decision: 1 where a quorum was possible |
//! | `numbers.npy` | f8, S × 7 | value, confidence, mean, sd, low, high, log evidence (−∞: none) |
//! | `quorum.npy` | i4, S × n | 1 where the replica is in the quorum |
//! | `honest.npy` | f8, S × n | P(honest) |

use super::work::Work;
use anyhow::{Context as _, bail};
use centauri_engine::{
    Backend as _, Batch, CompiledModel, Decisions, Fleet, ModelId, Observation, ScalarBackend,
};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;

/// Writes a work into a folder of its name under `folder`.
///
/// # Errors
/// A work without models, or files that cannot be written.
pub fn write(work: &Work, seed: u64, folder: &Path) -> anyhow::Result<()> {
    let (fleet, batch) = (work.fleet()?, work.batch(work.streams, seed)?);
    let folder = folder.join(&work.name);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let rows = Rows::of(&batch, work.points);
    let tables = Tables::of(&fleet, &rows, work)?;
    let file = |name: &str, text: Vec<u8>| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    };
    let header = json!({ "work": work.record(), "seed": seed, "first_bin": rows.first });
    file("header.json", serde_json::to_vec_pretty(&header)?)?;
    let (m, n, p) = (fleet.models(), work.n, work.points);
    let shape = [tables.cells.len() / (rows.count() * p), rows.count(), p];
    file("ln_likelihood.npy", npy_f8(&shape, &tables.cells))?;
    file("table_of.npy", npy_i4(&[m, n], &tables.table_of))?;
    let models = || (0..m).filter_map(|i| fleet.model(ModelId(i as u32)));
    file(
        "ln_prior.npy",
        npy_f8(&[m, p], &models().flat_map(|model| model.ln_prior().to_vec()).collect::<Vec<_>>()),
    )?;
    let faulty =
        |model: &CompiledModel| [Observation::Missing, Observation::Bin(0)].map(|o| model.ln_faulty(o));
    file("ln_faulty.npy", npy_f8(&[m, 2], &models().flat_map(faulty).collect::<Vec<_>>()))?;
    file("credible.npy", npy_f8(&[m], &models().map(CompiledModel::credible).collect::<Vec<_>>()))?;
    file("model.npy", npy_i4(&[batch.len()], &batch.iter().map(|e| e.model.0 as i32).collect::<Vec<_>>()))?;
    let observed: Vec<i32> =
        batch.iter().flat_map(|e| e.observations.to_vec()).map(|o| rows.index(o)).collect();
    file("row.npy", npy_i4(&[batch.len(), n], &observed))?;
    write_decisions(&fleet, &batch, n, file)
}

fn write_decisions(
    fleet: &Fleet,
    batch: &Batch,
    n: usize,
    file: impl Fn(&str, Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut decisions = Decisions::new();
    ScalarBackend::new().evaluate(fleet, batch, &mut decisions)?;
    let (mut decided, mut numbers, mut quorum, mut honest) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for i in 0..decisions.len() {
        let d = decisions.decision(i);
        let probabilities = decisions.honest(i);
        decided.push(i32::from(probabilities.is_some()));
        let evidence = d.log_evidence.unwrap_or(f64::NEG_INFINITY);
        numbers.extend([d.value, d.confidence, d.mean, d.sd, d.low, d.high, evidence]);
        quorum.extend((0..n).map(|position| i32::from(d.quorum.contains(position))));
        match probabilities {
            Some(probabilities) => honest.extend_from_slice(probabilities),
            None => honest.extend(std::iter::repeat_n(f64::NAN, n)),
        }
    }
    let s = decisions.len();
    file("decided.npy", npy_i4(&[s], &decided))?;
    file("numbers.npy", npy_f8(&[s, 7], &numbers))?;
    file("quorum.npy", npy_i4(&[s, n], &quorum))?;
    file("honest.npy", npy_f8(&[s, n], &honest))
}

/// Which row of a table an observation has.
struct Rows {
    first: i64,
    last: i64,
}

impl Rows {
    /// As many as the batch's observations need, and those of a support at least.
    fn of(batch: &Batch, points: usize) -> Self {
        let bins = || {
            batch.iter().flat_map(|entry| entry.observations.iter()).filter_map(|o| match o {
                Observation::Bin(bin) => Some(*bin),
                _ => None,
            })
        };
        Self {
            first: bins().min().unwrap_or(0).min(0),
            last: bins().max().unwrap_or(0).max(points as i64 - 1),
        }
    }

    fn count(&self) -> usize {
        self.observations().count()
    }

    fn observations(&self) -> impl Iterator<Item = Observation> {
        (self.first..=self.last).map(Observation::Bin).chain([Observation::Missing])
    }

    fn index(&self, observation: Observation) -> i32 {
        match observation {
            Observation::Bin(bin) => (bin - self.first) as i32,
            Observation::Missing | Observation::Equivocated => (self.last + 1 - self.first) as i32,
        }
    }
}

/// Tables that differ, and which each replica has.
struct Tables {
    cells: Vec<f64>,
    table_of: Vec<i32>,
}

impl Tables {
    fn of(fleet: &Fleet, rows: &Rows, work: &Work) -> anyhow::Result<Self> {
        let length = rows.count() * work.points;
        let mut tables = Self { cells: Vec::new(), table_of: Vec::new() };
        let mut table = vec![0.0; length];
        for model in 0..fleet.models() {
            let Some(model) = fleet.model(ModelId(model as u32)) else { bail!("found no model {model}") };
            for position in 0..work.n {
                for (row, observation) in table.chunks_exact_mut(work.points).zip(rows.observations()) {
                    model.likelihood(position, observation, row);
                }
                let known = tables.cells.chunks_exact(length).position(|other| *other == *table);
                let index = known.unwrap_or(tables.cells.len() / length);
                if known.is_none() {
                    tables.cells.extend_from_slice(&table);
                }
                tables.table_of.push(index as i32);
            }
        }
        Ok(tables)
    }
}

fn npy_f8(shape: &[usize], values: &[f64]) -> Vec<u8> {
    npy("<f8", shape, values.iter().flat_map(|v| v.to_le_bytes()))
}

fn npy_i4(shape: &[usize], values: &[i32]) -> Vec<u8> {
    npy("<i4", shape, values.iter().flat_map(|v| v.to_le_bytes()))
}

/// NumPy's file format, version 1.0: magic, version, length of the header, the header padded to a multiple of 64, the data.
fn npy(kind: &str, shape: &[usize], data: impl Iterator<Item = u8>) -> Vec<u8> {
    let shape: String = shape.iter().map(|length| format!("{length}, ")).collect();
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    let padding = 63 - (10 + header.len()) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let _ = bytes.write_all(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_as_numpy_writes_it() {
        // np.save of np.array([[1, -2]], dtype="<i4"), NumPy 2.4.
        let bytes = npy_i4(&[1, 2], &[1, -2]);
        assert_eq!(bytes.len(), 128 + 8);
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert!(bytes[10..].starts_with(b"{'descr': '<i4', 'fortran_order': False, 'shape': (1, 2, ), }"));
        assert_eq!(bytes[127], b'\n');
        assert_eq!(&bytes[128..], &[1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn the_tables_give_the_evidence_that_was_decided() {
        let work = Work { streams: 40, ..Work::named("A").unwrap() };
        let (fleet, batch) = (work.fleet().unwrap(), work.batch(40, 3).unwrap());
        let rows = Rows::of(&batch, work.points);
        let tables = Tables::of(&fleet, &rows, &work).unwrap();
        let distinct = tables.cells.len() / (rows.count() * work.points);
        assert!((8..=16).contains(&distinct), "each model has one or two tables: {distinct}");
        let mut decisions = Decisions::new();
        ScalarBackend::new().evaluate(&fleet, &batch, &mut decisions).unwrap();
        for (i, entry) in batch.iter().enumerate() {
            let model = fleet.model(entry.model).unwrap();
            let decision = decisions.decision(i);
            let score = |s: usize| {
                entry.observations.iter().enumerate().fold(model.ln_prior()[s], |sum, (position, o)| {
                    let table = tables.table_of[entry.model.0 as usize * work.n + position] as usize;
                    let row = table * rows.count() + rows.index(*o) as usize;
                    let honest = tables.cells[row * work.points + s];
                    sum + if decision.quorum.contains(position) { honest } else { model.ln_faulty(*o) }
                })
            };
            let evidence = (0..work.points).map(|s| score(s).exp()).sum::<f64>().ln();
            assert!((evidence - decision.log_evidence.unwrap()).abs() < 1e-9, "{i}");
        }
    }
}
