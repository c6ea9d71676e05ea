//! The command: what it says and how it ends.

use std::process::{Command, Output};

fn centauri_sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_centauri-sim")).args(arguments).output().expect("the command runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn seeds_that_hold_end_well() {
    let ended = centauri_sim(&["--first-seed", "10", "--seeds", "6", "--threads", "2"]);
    let out = text(&ended.stdout);
    assert_eq!(ended.status.code(), Some(0), "{out} {}", text(&ended.stderr));
    assert!(out.starts_with("6 seeds, ") && out.contains("every invariant held"), "{out}");
}

#[test]
fn a_violation_says_where_it_is_and_the_command_that_it_gives_shows_it() {
    let ended = centauri_sim(&["--seeds", "60", "--sabotage", "closes-late"]);
    let told = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{told}");
    let command =
        told.lines().find_map(|line| line.trim().strip_prefix("replay: cargo run -p centauri-sim -- "));
    let arguments: Vec<&str> = command.expect("a command").split(' ').collect();
    let replayed = centauri_sim(&arguments);
    let head = |text: &str| text.lines().next().map(str::to_owned);
    assert_eq!((replayed.status.code(), head(&text(&replayed.stderr))), (Some(1), head(&told)));
    let steps = text(&replayed.stdout);
    assert!(steps.contains("Plan {") && steps.contains("node 41: "), "the plan and the steps are shown");
}

#[test]
fn bad_arguments_and_help() {
    assert_eq!(centauri_sim(&["--verbose"]).status.code(), Some(2));
    assert_eq!(centauri_sim(&["--sabotage", "gremlins"]).status.code(), Some(2));
    assert_eq!(centauri_sim(&["--threads", "0"]).status.code(), Some(2));
    let help = text(&centauri_sim(&["--help"]).stdout);
    assert!(
        help.contains("Examples:") && help.contains("--seed 42 --verbose") && help.contains("Exit codes:")
    );
}
