//! What outlives the process: decisions, state, and how far timestamps have been accepted.
//!
//! A journal is one file ([redb](https://www.redb.org), crash-safe) that a thread of its own writes. Threads that decide never wait
//! for it: they put decisions into a [`BlockBuilder`] of their own and hand whole blocks to a [`JournalHandle`], and what finds no
//! room there is dropped and counted. The file's tables and the bytes of a block are in docs/JOURNAL.md.
//!
//! - [`OpenedJournal::open`] reads what an earlier server left: state by kind, each stream's newest round, the reservation.
//! - [`OpenedJournal::begin`] stores the next reservation of timestamps ([`Reservation`](centauri_roles::Reservation)) and says from
//!   where the server goes on.
//! - [`JournalFile`] reads the journal of a server that does not run.
#![forbid(unsafe_code)]

mod block;
mod bytes;
mod contain;
mod error;
mod file;
mod gap;
mod handle;
pub mod limits;
mod place;
mod running;
mod state;
mod store;
mod streams;
mod tables;
mod writer;

pub use block::{Block, BlockBuilder, BlockError, BlockReader, Entry};
pub use error::JournalError;
pub use file::{JournalFile, JournalInfo, StateSummary};
pub use gap::{Gap, GapRun};
pub use handle::{JournalCounters, JournalHandle};
pub use place::Place;
pub use running::{Beginning, Journal, JournalSettings, OpenedJournal};
pub use store::Retention;
pub use streams::StreamEntry;
