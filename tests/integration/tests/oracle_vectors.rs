//! The scalar backend against decisions of an independent implementation of the same mathematics (`vectors/`), within the
//! tolerances of `docs/NUMERICS.md`.

use centauri_engine::ScalarBackend;

#[test]
fn every_case_of_the_independent_implementation_is_decided_alike() {
    centauri_conformance::oracle_vectors(&mut || Box::new(ScalarBackend::new()));
}
