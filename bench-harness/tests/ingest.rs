//! `centauri-bench ingest`: the traffic is what it is said to be, and the command measures all its works.

use centauri_bench::ingest::fleet::{PERIOD_NS, Senders};
use centauri_bench::ingest::receive::check;
use centauri_bench::ingest::traffic::{Mix, Traffic};
use centauri_bench::ingest::work::NAMES;
use centauri_bench::result::{Ingest, Line};
use centauri_roles::{Effects, Role as _};
use centauri_wire::VerifierChoice;
use std::collections::BTreeMap;
use std::process::Command;

#[test]
fn a_client_that_is_given_the_traffic_counts_what_was_promised() {
    let senders = Senders::new(3, 2, 7).unwrap();
    for mix in [Mix::CLEAN, Mix { forged: 0.5, hostile: 0.0 }, Mix { forged: 0.1, hostile: 0.9 }] {
        let traffic = Traffic::new(&senders, 8, mix, 7).unwrap();
        let mut client = senders.client(VerifierChoice::Auto).unwrap();
        let mut effects = Effects::new();
        let from = ([127, 0, 0, 1], 9).into();
        let mut frames = traffic.frames();
        let (mut round, mut sent) = (0, 0);
        for &boundary in &traffic.rounds {
            while sent < boundary {
                client.handle(round * PERIOD_NS + 1, from, frames.next().unwrap(), &mut effects);
                sent += 1;
            }
            round += 1;
            client.tick(round * PERIOD_NS, &mut effects);
        }
        assert!(frames.next().is_none());
        check(&client.counters(), &traffic.expected).unwrap();
        assert_eq!(effects.decisions().count(), 8 * 6);
        let mut expected = traffic.expected.clone();
        *expected.entry("frames_accepted").or_default() += 1;
        let error = check(&client.counters(), &expected).unwrap_err().to_string();
        assert!(error.starts_with("frames_accepted: found "), "{error}");
    }
}

fn lines(arguments: &[&str]) -> Vec<Ingest> {
    let output = Command::new(env!("CARGO_BIN_EXE_centauri-bench"))
        .args(["ingest", "--quick", "--json"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter_map(|line: Line| match line {
            Line::Ingest(ingest) => Some(*ingest),
            _ => None,
        })
        .collect()
}

#[test]
fn every_work_is_measured_and_what_verifies_changes_no_decision() {
    let all = lines(&["--driver", "epoll"]);
    for name in NAMES {
        assert!(all.iter().any(|row| row.work == name), "{name}");
    }
    assert!(all.iter().all(|row| row.messages_per_cpu_s > 0.0 && row.lost == 0));
    let rows: BTreeMap<&str, &Ingest> = all.iter().map(|row| (row.work.as_str(), row)).collect();
    assert_eq!(rows["strict"].verifier, "strict");
    assert_eq!((rows["message"].bytes, rows["packed"].records), (276, Some(37)));
    // Where two verify the same rounds the command itself fails if they decide differently.
    let few = lines(&["--driver", "epoll", "--work", "message", "--work", "strict", "--samples", "2"]);
    assert_eq!(few.len(), 2);
    assert_eq!(few[0].digest.as_ref().map(String::len), Some(16));
    assert_eq!(few[1].against.as_deref(), Some("message"));
}

#[test]
fn a_seed_gives_the_same_decisions_whatever_receives() {
    let digest = |driver: &str| lines(&["--work", "message", "--driver", driver])[0].digest.clone();
    assert_eq!(digest("epoll"), digest("auto"));
}

#[test]
fn a_short_soak_adds_up_on_each_driver() {
    for driver in ["epoll", "auto"] {
        let output = Command::new(env!("CARGO_BIN_EXE_centauri-bench"))
            .args(["ingest", "--soak", "--quick", "--json", "--driver", driver, "--seed", "3"])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{driver}: {errors}");
        let outcome: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(outcome["decided"], 60 * 8 * 5);
        let counters = &outcome["counters"];
        for name in
            ["records_late", "rejected_replayed", "rejected_forged", "rejected_stale", "closed_stalled"]
        {
            assert!(counters[name].as_u64() > Some(0), "{driver}: {name}: {counters}");
        }
        assert!(errors.contains("seed 3"), "{errors}");
    }
}
