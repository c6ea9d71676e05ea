//! The harness that finds out what Centauri is worth: fleets with known truth, liars, rival estimators, measures, and
//! reports of the results.
//!
//! One seed gives one result: every cell draws its rounds from a generator of its own, so that neither the number of threads
//! nor the choice of cells changes a number.
#![forbid(unsafe_code)]

pub mod accuracy;
pub mod attack;
pub mod compare;
pub mod estimator;
pub mod fleet;
pub mod ingest;
pub mod measure;
pub mod output;
pub mod provenance;
pub mod readings;
pub mod report;
pub mod result;
pub mod routes;
pub mod serving;
pub mod speed;
