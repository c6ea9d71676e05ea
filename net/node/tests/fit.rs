//! `centauri fit` as its users run it.

use centauri_engine::Distribution;
use centauri_files::parse_distribution;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp, StandardNormal};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

fn centauri(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centauri"));
    command.args(arguments).current_dir(folder).output().expect("the command runs")
}

fn succeed(folder: &Path, arguments: &[&str]) -> (String, String) {
    let run = centauri(folder, arguments);
    let (out, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{arguments:?}: {errors}");
    (out.into_owned(), errors.into_owned())
}

fn check_refused(folder: &Path, arguments: &[&str], expected: &[&str]) {
    let run = centauri(folder, arguments);
    let errors = String::from_utf8_lossy(&run.stderr);
    assert_eq!((run.status.code(), errors.lines().count()), (Some(2), 1), "{arguments:?}: {errors}");
    for part in expected {
        assert!(errors.contains(part), "{arguments:?}: found {errors:?}, expected {part:?} in it");
    }
}

/// Largest distance of the two CDFs over the range that matters.
fn distance(a: &Distribution, b: &Distribution) -> f64 {
    (1..1_000)
        .map(|k| b.quantile(f64::from(k) / 1_000.0))
        .map(|x| (a.cdf(x) - b.cdf(x)).abs())
        .fold(0.0, f64::max)
}

#[test]
fn a_distribution_is_found_among_lies_and_printed_as_a_model_takes_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut text = "when,sample\n".to_owned();
    for k in 0..1_000 {
        let honest: f64 = Exp::new(50.0).expect("a rate").sample(&mut rng);
        let sample = if k % 5 == 0 { 0.9 } else { honest };
        writeln!(text, "{k},{sample}").expect("a string grows");
    }
    std::fs::write(folder.path().join("samples.csv"), text).expect("a file can be written");
    let truth = Distribution::exponential(0.02).expect("legal");
    for family in ["exponential", "auto"] {
        let (out, told) =
            succeed(folder.path(), &["fit", "distribution", "--input", "samples.csv", "--family", family]);
        let found = parse_distribution(out.trim()).expect("one inline distribution");
        assert!(distance(&found, &truth) < 0.08, "{family}: {out}{told}");
        for part in ["count   1000", "family", "KS", "AIC"] {
            assert!(told.contains(part), "{told}");
        }
    }
}

#[test]
fn a_model_is_filled_in_from_history_with_a_liar_and_runs_as_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut text = "stream,round,replica,value\n".to_owned();
    let mut truth = 20.0;
    for round in 0..240 {
        let step: f64 = StandardNormal.sample(&mut rng);
        truth += 0.4 * step;
        for (replica, bias) in [("a", 0.0), ("b", 0.5), ("c", -0.5), ("d", 0.0)] {
            let noise: f64 = StandardNormal.sample(&mut rng);
            let lies = (round / 10) % 4 == usize::from(replica.as_bytes()[0] - b'a');
            let value = if lies { truth + 25.0 } else { truth + bias + 0.6 * noise };
            if rng.random_bool(0.9) {
                writeln!(text, "tank,{round},{replica},{value}").expect("a string grows");
            }
        }
    }
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("history.csv"), text).expect("a file can be written");
    let template = r#"
version = 1
[[streams]]
name = "tank"
replicas = ["a", "b", "c", "d"]
faults = 1
output = { computation = "identity" }
"#;
    std::fs::write(path("template.toml"), template).expect("a file can be written");
    let fit =
        ["fit", "model", "--template", "template.toml", "--input", "history.csv", "--output", "model.toml"];
    succeed(folder.path(), &[&fit[..], &["--calibration", "likelihood"]].concat());
    let model = std::fs::read_to_string(path("model.toml")).expect("the model");
    let set = centauri_files::parse_model(&model, "model.toml").expect("a model");
    let stream = &set.streams[0];
    assert!(stream.support.step() <= 0.3, "{model}");
    assert!(
        stream.replicas.iter().all(|replica| replica.noise.is_some() && replica.link.is_some()),
        "{model}"
    );
    assert!(matches!(stream.prior, centauri_engine::PriorSpec::Following { .. }), "{model}");

    succeed(
        folder.path(),
        &["eval", "--model", "model.toml", "--input", "history.csv", "--output", "d.jsonl"],
    );
    let decisions = std::fs::read_to_string(path("d.jsonl")).expect("decisions");
    assert_eq!(decisions.lines().count(), 240);
    check_refused(
        folder.path(),
        &["eval", "--model", "template.toml", "--input", "history.csv", "--output", "d.jsonl"],
        &["support"],
    );
}

#[test]
fn what_cannot_be_fitted_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file can be written");
    };
    write("few.csv", "sample\n1\n2\n");
    write("words.csv", "sample\n1\nx\n");
    write("other.csv", "value\n1\n");
    let many: String =
        std::iter::once("sample\n".to_owned()).chain((0..100).map(|k| format!("-{k}.5\n"))).collect();
    write("negative.csv", &many);
    let fit = |input: &'static str| vec!["fit", "distribution", "--input", input];
    check_refused(folder.path(), &fit("no.csv"), &["no.csv"]);
    check_refused(folder.path(), &fit("few.csv"), &["few.csv", "found 2 samples"]);
    check_refused(folder.path(), &fit("words.csv"), &["words.csv:3", "\"x\""]);
    check_refused(folder.path(), &fit("other.csv"), &["other.csv:1", "`sample`"]);
    check_refused(
        folder.path(),
        &[&fit("negative.csv")[..], &["--family", "exponential"]].concat(),
        &["exponential"],
    );
    check_refused(folder.path(), &[&fit("negative.csv")[..], &["--contamination", "0.7"]].concat(), &["0.7"]);
    write(
        "template.toml",
        "version = 1\n[[streams]]\nname = \"s\"\nreplicas = [\"a\"]\noutput = { computation = \"identity\" }\n",
    );
    write("history.csv", "stream,round,replica,value\ns,1,a,2\n");
    let model =
        ["fit", "model", "--template", "template.toml", "--input", "history.csv", "--output", "model.toml"];
    check_refused(folder.path(), &model, &["history.csv", "\"s\"", "found 1 rounds"]);
    assert!(!folder.path().join("model.toml").exists(), "nothing half-written");
}
