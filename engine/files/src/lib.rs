//! The edge between files and the engine's types: models, readings and decisions.
//!
//! - A **model file** (TOML) becomes a [`centauri_engine::ModelSet`] with [`parse_model`], and one is written with
//!   [`write_model`]. What the engine alone can judge, it judges when the model is compiled; [`locate`] gives such a
//!   judgement its file and line.
//! - **Readings** (CSV, JSON Lines or Parquet) are read row by row with [`Readings`], against the names in a [`Directory`],
//!   and put together to rounds with [`collect_rounds`], on a disk where memory is short ([`Spill`]).
//! - **Decisions** are written with a [`DecisionWriter`]; [`AtomicFile`] keeps half a file from being left behind.
//! - A [`BatchEvaluator`] decides Arrow record batches, in memory.
//!
//! Every error is one line that says where, what was found and what was expected.
//!
//! ```
//! use centauri_files::{Directory, Format, Readings, collect_rounds, parse_model};
//!
//! let model = parse_model(
//!     r#"
//!     version = 1
//!     [[streams]]
//!     name = "road/7"
//!     replicas = ["north", "south"]
//!     support = { min = 0, step = 1, points = 101 }
//!     output = { computation = "identity", noise = { family = "normal", mean = 0, sd = 2 } }
//!     "#,
//!     "model.toml",
//! )?;
//! let directory = Directory::new(&model);
//! let csv = "stream,round,replica,value\nroad/7,1,south,50.5\n";
//! let readings = Readings::new(Format::Csv, csv.as_bytes(), "readings.csv", &directory)?;
//! let rounds: Vec<_> = collect_rounds(readings, &directory)?.collect::<Result<_, _>>()?;
//! assert_eq!(rounds[0].reports[1], centauri_engine::Report::Value(50.5));
//!
//! let error = parse_model("version = 2", "model.toml").unwrap_err();
//! assert_eq!(error.to_string(), "model.toml:1: version: found 2, expected 1");
//! # Ok::<(), centauri_files::FileError>(())
//! ```
#![forbid(unsafe_code)]

mod atomic;
mod columnar;
mod decisions;
mod error;
mod format;
pub mod limits;
mod model;
mod names;
mod pieces;
mod readings;
mod rows;
mod samples;

pub use atomic::AtomicFile;
pub use columnar::{
    BatchError, BatchEvaluator, UNPROVEN_ROWS_KEY, decisions_schema, readings_schema,
    silence_contained_panics,
};
pub use decisions::{DecisionRecord, DecisionWriter};
pub use error::FileError;
pub use format::Format;
pub use model::{
    Gaps, distribution_to_toml, locate, parse_distribution, parse_model, parse_template, read_model,
    read_model_text, write_model,
};
pub use pieces::{Pieces, pieces};
pub use readings::{
    Directory, Reading, ReadingRecord, ReadingWriter, Readings, Round, RoundCollector, Rounds, Spill,
    collect_rounds,
};
pub use samples::read_samples;
