//! estimator.
