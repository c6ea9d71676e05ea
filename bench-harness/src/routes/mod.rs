//! The paper's introduction: which of two routes is faster, with replicas whose readings are late and one that lies.
//!
//! At each moment at which the routes were measured a choice is made. Each replica reports, for each route, the newest travel
//! time that had been published to it by then: measured at least one step before. The *truly faster* route is that whose
//! travel time measured for that very moment is less, which is known only later. Each replica hears of each measurement with a
//! delay of its own, drawn from the real delays between measurement and publication. Models are made from the first half of
//! the readings, and choices from the second.

pub mod choose;
pub mod command;
pub mod data;
pub mod lie;
pub mod live;
pub mod model;

pub use choose::evaluate;

/// How choices are evaluated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Replicas.
    pub replicas: usize,
    /// Liars, and the number of faults that the estimators are told.
    pub faults: usize,
    /// How many times the second half is gone through, each time with other delays and other liars.
    pub repeats: usize,
    /// Seed of the delays and of who lies.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { replicas: 4, faults: 1, repeats: 5, seed: 1 }
    }
}
