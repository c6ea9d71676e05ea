//! The graphics card as a backend of the engine: `wgpu`, with the shaders of `shaders/`.
//!
//! Tables of compiled models stay on the device; of each round only the quantised observations go up and the decision
//! comes down. `shaders/README.md` has the kernels, their memory and their bounds.
//!
//! ```
//! use centauri_engine::*;
//! use centauri_gpu::{GpuBackend, GpuOptions};
//!
//! let options = GpuOptions { software: true, ..GpuOptions::default() };
//! let backend: Box<dyn Backend> = match GpuBackend::open(options, Box::new(ScalarBackend::new())) {
//!     Ok(gpu) => Box::new(gpu),
//!     Err(_) => Box::new(ScalarBackend::new()),
//! };
//! let spec = StreamSpec::builder("road/7", ["north", "middle", "south"])
//!     .faults(1)
//!     .support(Support::new(0.0, 1.0, 101)?)
//!     .output(OutputSpec::identity(Distribution::normal(0.0, 2.0)?))
//!     .build();
//! let set = ModelSet { streams: vec![spec], ..ModelSet::default() };
//! let mut session = Session::new(Fleet::compile(&set)?, backend);
//! let stream = session.fleet().stream_id("road/7").unwrap();
//! session.push(stream, 1, &[Report::Value(50.0), Report::Value(52.0), Report::Value(90.0)])?;
//! assert_eq!(session.flush()?.decision(0).value, 51.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod adapters;
mod arena;
mod backend;
mod counters;
mod decode;
mod device;
mod error;
mod kernels;
mod machine;
mod plan;
mod quorums;
mod ring;
mod settle;
mod tables;

pub use adapters::{AdapterChoice, AdapterKind, AdapterSummary, adapters};
pub use backend::{GpuBackend, GpuEvent, GpuOptions, GpuStatus};
pub use counters::{Counters, Reason};
pub use error::GpuError;
pub use kernels::{Kernel, Variant};
