//! A backend against decisions of an independent implementation of the same mathematics, within the tolerances of
//! `docs/NUMERICS.md`.

use crate::Make;
use centauri_engine::*;
use centauri_files::{Directory, Format, Readings, collect_rounds, parse_model};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PROBABILITY: f64 = 1e-4;
const LOG_EVIDENCE: f64 = 1e-3;
/// Runner-ups nearer than this make another value or quorum as good.
const CLEAR: f64 = 1e-3;

fn vectors() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../integration/vectors");
    let mut models: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the vectors are part of the repository")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    models.sort();
    models
}

struct Case {
    name: String,
    set: ModelSet,
    rounds: Vec<centauri_files::Round>,
    expected: Vec<Value>,
}

impl Case {
    fn read(model: &Path) -> Self {
        let name = model.file_stem().expect("a name").to_string_lossy().into_owned();
        let read = |extension: &str| {
            let path = model.with_extension(extension);
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let set = parse_model(&read("toml"), &name).unwrap_or_else(|e| panic!("{e}"));
        let directory = Directory::new(&set);
        let csv = read("csv");
        let readings = Readings::new(Format::Csv, csv.as_bytes(), &name, &directory).expect("a header");
        let rounds = collect_rounds(readings, &directory)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .unwrap_or_else(|e| panic!("{e}"));
        let expected =
            read("expected.jsonl").lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
        Self { name, set, rounds, expected }
    }

    /// Decides every round and checks it; gives how many rounds had a clear value and quorum.
    fn check(&self, backend: Box<dyn Backend>) -> (usize, usize) {
        let fleet = Fleet::compile(&self.set).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let mut session = Session::new(fleet, backend);
        assert_eq!(self.rounds.len(), self.expected.len(), "{}: number of rounds", self.name);
        let mut clear = (0, 0);
        for (round, expected) in self.rounds.iter().zip(&self.expected) {
            let stream = StreamId(round.stream as u32);
            session
                .push(stream, round.round, &round.reports)
                .unwrap_or_else(|e| panic!("{}: {e}", self.name));
            let decisions = session.flush().unwrap_or_else(|e| panic!("{}: {e}", self.name)).clone();
            let info = session.fleet().stream(stream).expect("the stream is there");
            let model = session.fleet().model(info.model()).expect("its model is there");
            let comparison = Comparison {
                context: format!("{} round {}", self.name, round.round),
                expected,
                decision: decisions.decision(0),
                honest: decisions.honest(0),
                replicas: info.replicas(),
                step: model.support().step(),
                end: model.support().point(model.support().points() - 1),
            };
            let (value, quorum) = comparison.check();
            clear = (clear.0 + usize::from(value), clear.1 + usize::from(quorum));
        }
        clear
    }
}

struct Comparison<'a> {
    context: String,
    expected: &'a Value,
    decision: &'a Decision,
    honest: Option<&'a [f64]>,
    replicas: &'a [String],
    step: f64,
    end: f64,
}

impl Comparison<'_> {
    fn number(&self, key: &str) -> Option<f64> {
        self.expected[key].as_f64()
    }

    fn near(&self, key: &str, found: f64, slack: f64) {
        let expected = self.number(key).unwrap_or_else(|| panic!("{}: {key} expected", self.context));
        assert!((found - expected).abs() <= slack, "{}: {key}: {found}, expected {expected}", self.context);
    }

    fn check(&self) -> (bool, bool) {
        let d = self.decision;
        assert_eq!(self.expected["status"], d.status.name(), "{}", self.context);
        let clear = |key: &str| self.number(key).is_none_or(|gap| gap > CLEAR);
        let (clear_value, clear_quorum) = (clear("gap_value"), clear("gap_quorum"));
        if clear_value {
            self.near("value", d.value, self.step * 1e-6);
        }
        if clear_quorum {
            let quorum: Vec<&str> = d.quorum.positions().map(|i| self.replicas[i].as_str()).collect();
            let expected: Vec<&str> = self.expected["quorum"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            assert_eq!(quorum, expected, "{}", self.context);
            match self.number("log_evidence") {
                Some(ln) => {
                    self.near("log_evidence", d.log_evidence.expect("evidence"), LOG_EVIDENCE * ln.abs());
                }
                None => assert_eq!(d.log_evidence, None, "{}", self.context),
            }
        }
        if clear_value && clear_quorum {
            self.near("confidence", d.confidence, PROBABILITY);
            self.near("mean", d.mean, PROBABILITY * self.end.abs().max(self.step * 100.0));
            self.near("sd", d.sd, PROBABILITY * self.end.abs().max(self.step * 100.0));
            self.near("low", d.low, self.step * 1.000_001);
            self.near("high", d.high, self.step * 1.000_001);
        }
        self.check_region();
        self.check_honest();
        (clear_value, clear_quorum)
    }

    fn check_region(&self) {
        let Some(slack) = self.expected["region_slack"].as_array() else {
            assert_eq!(self.decision.region, None, "{}", self.context);
            return;
        };
        let slack: Vec<f64> = slack.iter().filter_map(Value::as_f64).collect();
        let region = self.decision.region.expect("a region");
        let within =
            |v: f64, low: f64, high: f64| v >= low - self.step * 1e-6 && v <= high + self.step * 1e-6;
        assert!(within(region.low, slack[0], slack[1]), "{}: {region:?}, {slack:?}", self.context);
        assert!(within(region.high, slack[2], slack[3]), "{}: {region:?}, {slack:?}", self.context);
    }

    fn check_honest(&self) {
        let Some(expected) = self.expected["honest"].as_object() else {
            assert_eq!(self.honest, None, "{}", self.context);
            return;
        };
        let found: BTreeMap<&str, f64> = self
            .replicas
            .iter()
            .map(String::as_str)
            .zip(self.honest.expect("honest").iter().copied())
            .collect();
        assert_eq!(found.len(), expected.len());
        for (replica, p) in expected {
            let (found, p) = (found[replica.as_str()], p.as_f64().expect("a number"));
            assert!(
                (found - p).abs() <= PROBABILITY,
                "{}: honest {replica}: {found}, expected {p}",
                self.context
            );
        }
    }
}

/// Every case of the independent implementation.
///
/// # Panics
/// Where the backend decides otherwise than it by more than the tolerances of `docs/NUMERICS.md`.
pub fn oracle_vectors(make: Make<'_>) {
    let models = vectors();
    assert!(models.len() >= 50, "found {} cases", models.len());
    let (mut rounds, mut clear) = (0, (0, 0));
    for model in &models {
        let case = Case::read(model);
        let (values, quorums) = case.check(make());
        rounds += case.rounds.len();
        clear = (clear.0 + values, clear.1 + quorums);
    }
    println!(
        "{} cases, {rounds} rounds, {} values and {} quorums with a clear winner",
        models.len(),
        clear.0,
        clear.1
    );
    assert!(clear.0 * 10 > rounds * 7, "too few rounds have a clear winner to be a test");
}
