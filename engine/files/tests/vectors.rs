//! The shared models and readings, where they are there: every model parses, compiles and round-trips, every row
//! counts, and every round that the independent oracle decided exists.

use centauri_engine::Fleet;
use centauri_files::{Directory, Readings, collect_rounds, parse_model, read_model, write_model};
use std::path::{Path, PathBuf};

fn models() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/vectors");
    let Ok(entries) = std::fs::read_dir(&directory) else {
        println!("skipped: {} is not there", directory.display());
        return Vec::new();
    };
    let mut models: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    models.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    models.sort();
    models
}

#[test]
fn models_round_trip_and_compile() {
    for path in models() {
        let set = read_model(&path).unwrap();
        assert!(!set.streams.is_empty());
        let text = write_model(&set);
        let again = parse_model(&text, "again.toml").unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(again, set, "{}\n{text}", path.display());
        assert_eq!(write_model(&again), text);
        if let Err(error) = Fleet::compile(&set) {
            panic!("{}: {error}", path.display());
        }
    }
}

#[test]
fn readings_make_the_rounds_of_the_oracle() {
    for path in models() {
        let set = read_model(&path).unwrap();
        let directory = Directory::new(&set);
        let readings = Readings::open(&path.with_extension("csv"), &directory).unwrap();
        let rounds = collect_rounds(readings, &directory).unwrap().map(Result::unwrap);
        let found: Vec<_> = rounds.map(|r| (directory.name(r.stream).unwrap().to_owned(), r.round)).collect();
        let expected = std::fs::read_to_string(path.with_extension("expected.jsonl")).unwrap();
        let expected = expected.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            (line["stream"].as_str().unwrap().to_owned(), line["round"].as_i64().unwrap())
        });
        assert_eq!(found, expected.collect::<Vec<_>>(), "{}", path.display());
    }
}
