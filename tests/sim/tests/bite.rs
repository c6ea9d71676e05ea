//! Known bugs around the client and other nodes are found, and nothing is found without them.

use centauri_sim::{Plan, Sabotage, run, sweep};

/// So many seeds have to be enough.
const SEEDS: u64 = 60;

/// The violation that the simulator finds in a client with this bug.
fn found(sabotage: Sabotage) -> centauri_sim::Violation {
    let swept = sweep(0, SEEDS, 2, sabotage, &|_| ());
    let violation = *swept.violation.unwrap_or_else(|| panic!("{sabotage}: nothing found in {SEEDS} seeds"));
    let clean = run(&Plan::of_seed(violation.seed), Sabotage::None, None);
    assert!(clean.is_ok(), "the client as it is: {clean:?}");
    let again = run(&Plan::of_seed(violation.seed), sabotage, None);
    assert_eq!(again.expect_err("the same seed finds it again"), violation);
    let told = violation.to_string();
    let command = format!("--seed {} --verbose --sabotage {sabotage}", violation.seed);
    assert!(told.contains(&command), "{told}");
    violation
}

#[test]
fn a_nonce_that_moves_before_the_signature_is_verified() {
    let rule = found(Sabotage::NonceBeforeSignature).rule;
    assert!(["a frame is accepted if it is to be", "frames_accepted"].contains(&rule), "{rule}");
}

#[test]
fn a_round_closed_late() {
    assert_eq!(
        found(Sabotage::ClosesLate(3_000_000)).rule,
        "the client asks to be called by the next deadline"
    );
}

#[test]
fn a_late_report_that_counts() {
    found(Sabotage::CountsLate);
}

#[test]
fn an_equivocator_who_is_spared() {
    found(Sabotage::SparesEquivocators);
}

#[test]
fn a_restart_that_accepts_what_was_accepted_before() {
    found(Sabotage::NoFloor);
}

#[test]
fn a_restart_that_ignores_what_is_reserved_on_the_disk() {
    let rule = found(Sabotage::ForgetsReservation).rule;
    let rules = [
        "nothing is accepted again after a restart",
        "no round is decided again after a restart",
        "no round is decided twice",
    ];
    assert!(rules.contains(&rule), "{rule}");
}

#[test]
fn a_computation_that_goes_on_after_its_request_has_expired() {
    let rule = found(Sabotage::RunsOn).rule;
    let rules =
        ["a replica asks to be called when a request expires", "what is computed is what is asked for, once"];
    assert!(rules.contains(&rule), "{rule}");
}

#[test]
fn a_start_after_its_cancellation_that_revives_it() {
    let rule = found(Sabotage::RevivesCancelled).rule;
    let rules = ["each request is answered, and as it has to be", "a frame is accepted if it is to be"];
    assert!(rules.contains(&rule), "{rule}");
}

#[test]
fn a_relay_that_forgets_its_spread() {
    assert_eq!(found(Sabotage::ForgetsSpread).rule, "a relay passes on value and certainty");
}

#[test]
fn an_answer_for_another_node_that_is_taken() {
    assert_eq!(found(Sabotage::AnswersFromAnybody).rule, "a frame is accepted if it is to be");
}

#[test]
fn nothing_is_found_in_the_client_as_it_is() {
    let swept = sweep(0, SEEDS, 2, Sabotage::None, &|_| ());
    assert!(swept.violation.is_none(), "{:?}", swept.violation);
}
