//! Proximal consensus: which value is most likely, which quorum speaks for it, and how sure one may be.
//!
//! A replica set of `n` replicas computes a stream; at most `f` of them may lie. Messages are late, so even
//! honest replicas differ. From the distributions of values and latencies this crate infers, at a deadline
//! and whatever has come, the most likely output of the fault-free computation.
//!
//! The way of the data:
//!
//! 1. A [`ModelSet`] says what is known: distributions by name, and per stream its replicas, its faults and
//!    how an honest replica's output arises.
//! 2. [`Fleet::compile`] turns it into tables of log-likelihoods, shared between streams of the same model.
//! 3. A [`Batch`] of rounds (quantised observations) goes to a [`Backend`], which gives [`Decisions`].
//!    A [`Session`] does so for streams whose prior follows the previous round.
//!
//! The crate has no I/O, no clock and no randomness: equal inputs give equal decisions.
//!
//! ```
//! use centauri_engine::*;
//!
//! let spec = StreamSpec::builder("road/7", ["north", "middle", "south"])
//!     .faults(1)
//!     .support(Support::new(0.0, 1.0, 101)?)
//!     .output(OutputSpec::identity(Distribution::normal(0.0, 2.0)?))
//!     .build();
//! let set = ModelSet { streams: vec![spec], ..ModelSet::default() };
//! let mut session = Session::new(Fleet::compile(&set)?, Box::new(ScalarBackend::new()));
//!
//! let stream = session.fleet().stream_id("road/7").unwrap();
//! session.push(stream, 1, &[Report::Value(50.0), Report::Value(52.0), Report::Value(90.0)])?;
//! let decided = session.flush()?;
//! let decision = decided.decision(0);
//! assert_eq!(decision.value, 51.0);
//! assert!(!decision.quorum.contains(2), "the liar in the south is left out");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod arrivals;
mod backend;
mod batch;
mod check;
pub mod coalition;
mod compile;
mod correlation;
mod decide;
mod decision;
pub mod dist;
mod error;
mod explain;
mod fleet;
mod groups;
mod honest;
pub mod limits;
mod number;
mod observation;
mod plain;
mod prior;
mod rows;
mod scalar;
mod session;
mod simd;
mod spec;
mod support;
mod table;

pub use backend::{Backend, BackendError};
pub use batch::{Batch, Entry};
pub use check::{
    Checked, CheckedModel, Finding, FindingKind, ModelFacts, OutputFacts, PriorFacts, ReplicaKind, Spread,
    check,
};
pub use compile::CompiledModel;
pub use decision::{Decision, Decisions, Quorum, Region, Status};
pub use dist::{Distribution, DistributionError, Family};
pub use error::ModelError;
pub use explain::{Decided, ExplainError, Explainer, Explanation, ReplicaReason, Without};

pub use fleet::{Fleet, ModelId, Stream, StreamId};
pub use groups::FaultGroup;
pub use observation::{Observation, Report};
pub use rows::Rows;
pub use scalar::ScalarBackend;
pub use session::{Session, SessionError};
pub use simd::{Rungs, SimdBackend, SimdLevel};
pub use spec::{
    Computation, DistributionRef, Link, ModelSet, Objective, OutputSpec, PriorSpec, ReplicaSpec, StreamSpec,
    StreamSpecBuilder,
};
pub use support::Support;
