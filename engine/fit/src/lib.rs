//! What the monitor learns from history: distributions and models, although a part of the history may be a lie.
//!
//! [`fit_distribution`] fits one family, or picks one, to a sample of which up to a given fraction may be an
//! adversary's, anywhere.
//!
//! [`fit_model`] fills in what a model leaves out, from rounds in which up to `faults` replicas lie.
//!
//! The crate has no I/O, no clock and no randomness: equal inputs give equal fits.
#![forbid(unsafe_code)]

mod bins;
mod distribution;
mod error;
mod family;
mod minimise;
mod model;
mod objective;
mod starts;
mod uncertainty;

pub use distribution::{Alternative, CONTAMINATION_DEFAULT, FitOptions, Fitted, fit_distribution};
pub use error::FitError;
pub use family::FamilyName;
pub use model::{
    Calibration, Coverage, FittedModel, History, LEVELS, Missing, ModelFitError, ModelOptions, ReplicaReport,
    Round, StreamReport, Template, coverage, fit_model,
};
