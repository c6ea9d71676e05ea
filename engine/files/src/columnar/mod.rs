//! Readings and decisions as columns: Arrow record batches and Parquet files.
//!
//! | readings | type | |
//! |---|---|---|
//! | `stream`, `replica` | utf8 | also large utf8, views, binary and dictionaries of these |
//! | `round` | int64 | also int8, int16, int32 |
//! | `value` | float64, nullable | also float32 (exactly as float64), signed integers, null |
//!
//! Columns may stand in any order and may be declared nullable; others are an error. Decisions are written with the
//! columns of [`decisions_schema`].

mod columns;
mod decisions;
mod evaluator;
mod readings;
mod schema;
mod sink;
mod source;

pub use evaluator::{BatchError, BatchEvaluator};
pub use schema::{UNPROVEN_ROWS_KEY, decisions_schema, readings_schema};
pub use source::silence_contained_panics;

pub(crate) use decisions::DecisionSink;
pub(crate) use readings::ReadingSink;
pub(crate) use source::ParquetRows;
