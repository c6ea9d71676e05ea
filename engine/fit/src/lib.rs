//! What the monitor learns from history: distributions and models, although a part of the history may be a lie.
//!
//! [`fit_distribution`] fits one family, or picks one, to a sample of which up to a given fraction may be an
//! adversary's, anywhere.
//!
//! The crate has no I/O, no clock and no randomness: equal inputs give equal fits.
#![forbid(unsafe_code)]

mod bins;
mod distribution;
mod error;
mod family;
mod minimise;
mod objective;
mod starts;
mod uncertainty;

pub use distribution::{Alternative, CONTAMINATION_DEFAULT, FitOptions, Fitted, fit_distribution};
pub use error::FitError;
pub use family::FamilyName;
