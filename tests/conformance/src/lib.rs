//! What every backend must do, whatever it runs on: the decisions of an independent implementation (the vectors of the
//! integration tests), the scalar backend's on random models and at every edge, and errors where a batch is wrong.
//!
//! A backend is given as a way to make one, since some of what is asked begins with a fresh one:
//!
//! ```
//! use centauri_conformance::errors;
//! use centauri_engine::{Backend, ScalarBackend};
//! errors(&mut || Box::new(ScalarBackend::new()) as Box<dyn Backend>);
//! ```
//!
//! Whatever is not as it must be panics and says the seed, the model and the round.
#![forbid(unsafe_code)]

mod compare;
mod edges;
mod follow;
mod identity;
mod oracle;
mod random;

pub use compare::{Tolerance, compare};
pub use edges::{edges, errors};
pub use follow::following;
pub use identity::{Identity, identical};
pub use oracle::oracle_vectors;
pub use random::{RandomRounds, random_models};

use centauri_engine::Backend;

/// Makes a backend.
pub type Make<'a> = &'a mut dyn FnMut() -> Box<dyn Backend>;

/// The seed of [`run_all`].
pub const SEED: u64 = 20_261_126;

/// Everything, in a few seconds of the scalar backend's time.
///
/// # Panics
/// Where the backend does not do what it must.
pub fn run_all(make: Make<'_>) {
    oracle_vectors(make);
    errors(make);
    edges(make);
    random_models(make, SEED, 400);
    following(make, SEED, 60);
    identical(make, &Identity { seed: SEED, rounds: 20_000 }, &mut |_| ());
}
