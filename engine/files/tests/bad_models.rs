//! Every way to write a bad model that we thought of, with the one line it is answered with.

use centauri_engine::Fleet;
use centauri_files::{locate, parse_distribution, parse_model};

const GOOD: &str = r#"version = 1

[distributions]
tails = { family = "binomial", trials = 2, p = 0.5 }
hop = { family = "exponential", mean = 0.020 }

[[streams]]
name = "coin"
replicas = ["top", "middle", "bottom"]
faults = 1
objective = "posterior"
credible = 0.95
silence = 0.1
support = { min = 0, step = 1, points = 3 }
prior = "tails"

[streams.output]
computation = "count"
messages = [0.0, 0.01]
arrival = "hop"
deadline = 0.05

[streams.link]
arrival = "hop"
deadline = 0.06

[streams.replica.middle.link]
on_time = 0.97
"#;

/// What stands for what in `GOOD`, and the error after `model.toml:`.
const BAD: &[(&str, &str, &str)] = &[
    ("version = 1", "", "1: version: found none, expected 1"),
    (
        "[streams.output]",
        "[streams.groups]\nrack = [\"top\", \"midle\"]\n[streams.output]",
        "18: streams[0] \"coin\": groups.rack[1]: found \"midle\", expected one of top, middle, bottom; did you mean \"middle\"?",
    ),
    (
        "[streams.output]",
        "[streams.groups]\nrack = [\"top\"]\nzone = [\"middle\", \"top\"]\n[streams.output]",
        "19: streams[0] \"coin\": groups.zone[1]: found \"top\", which is in the group \"rack\" too, expected it in one",
    ),
    (
        "[streams.output]",
        "[streams.groups]\nrack = [\"top\", \"top\"]\n[streams.output]",
        "18: streams[0] \"coin\": groups.rack[1]: found \"top\" twice, expected each replica once",
    ),
    (
        "[streams.output]",
        "[streams.groups]\nrack = []\n[streams.output]",
        "18: streams[0] \"coin\": groups.rack: found no replica, expected at least one",
    ),
    (
        "[streams.output]",
        "[streams.groups]\nrack = \"top\"\n[streams.output]",
        "18: streams[0] \"coin\": groups.rack: found \"top\", expected a list of the replicas of the group",
    ),
    (
        "[streams.output]",
        "[streams.groups]\nrack = [1]\n[streams.output]",
        "18: streams[0] \"coin\": groups.rack[0]: found 1, expected a replica's name",
    ),
    (
        "[streams.output]",
        "[streams.groups]\n\"\" = [\"top\"]\n[streams.output]",
        "18: streams[0] \"coin\": groups.\"\": found an empty name, expected at least one character",
    ),
    (
        "silence = 0.1",
        "silence = 0.1\ngroups = [\"top\"]",
        "14: streams[0] \"coin\": groups: found a list, expected a table of fault groups by name",
    ),
    (
        "faults = 1",
        "faults = 2\ngroups = { rack = [\"top\", \"bottom\"] }",
        "10: streams[0] \"coin\": faults: found 2, expected a whole number below the number of fault groups, 2",
    ),
    ("version = 1", "version = 2", "1: version: found 2, expected 1"),
    ("version = 1", "version = \"1\"", "1: version: found \"1\", expected 1"),
    (
        "version = 1",
        "version = 1\nstream = []",
        "2: stream: unknown key, expected one of version, distributions, streams; did you mean \"streams\"?",
    ),
    ("[[streams]]", "[streams]", "7: streams: found a table, expected a list of streams ([[streams]])"),
    (
        "\"tails\"\n",
        "\"tails\"\n[[streams]]\nname = \"coin\"\n",
        "7: streams[0] \"coin\": output: found none, expected a table with the computation",
    ),
    (
        "tails = {",
        "uniform = {",
        "4: distributions.uniform: found the name of the flat prior, expected another name",
    ),
    ("tails = {", "\"\" = {", "4: distributions.\"\": found an empty name, expected at least one character"),
    (
        "trials = 2",
        "trials = 2.5",
        "4: distributions.tails.trials: found 2.5, expected a whole number of trials, 0 to 2^53",
    ),
    (
        "trials = 2",
        "trials = -1",
        "4: distributions.tails.trials: found -1, expected a whole number of trials, 0 to 2^53",
    ),
    ("p = 0.5", "p = 1.5", "4: distributions.tails.p: found 1.5, expected a probability in [0, 1]"),
    (
        "p = 0.5",
        "q = 0.5",
        "4: distributions.tails.q: unknown key, expected one of family, trials, p, offset; did you mean \"p\"?",
    ),
    (
        "\"binomial\"",
        "\"binominal\"",
        "4: distributions.tails.family: found \"binominal\", expected one of normal, lognormal, exponential, gamma, weibull, uniform, laplace, logistic, student_t, poisson, binomial, geometric, negative_binomial, empirical, mixture; did you mean \"binomial\"?",
    ),
    ("mean = 0.020", "mean = 0", "5: distributions.hop.mean: found 0.0, expected a finite number above 0"),
    ("mean = 0.020", "mean = nan", "5: distributions.hop.mean: found nan, expected a finite number"),
    ("mean = 0.020", "mean = 1e999", "5: distributions.hop.mean: found 1e999, expected a finite number"),
    ("mean = 0.020", "mean = true", "5: distributions.hop.mean: found true, expected a finite number"),
    (", mean = 0.020", "", "5: distributions.hop.mean: found none, expected a number"),
    (
        "family = \"exponential\", ",
        "",
        "5: distributions.hop.family: found none, expected the name of a family",
    ),
    ("name = \"coin\"\n", "", "7: streams[0].name: found none, expected the stream's name"),
    (
        "name = \"coin\"",
        "name = \"\"",
        "8: streams[0].name: found an empty name, expected at least one character",
    ),
    (
        "name = \"coin\"",
        "name = \"a\\nb\"",
        "8: streams[0].name: found \"a\\nb\", expected a name without control characters",
    ),
    (
        "\"bottom\"]",
        "\"top\"]",
        "9: streams[0] \"coin\": replicas[2]: found \"top\" twice, expected different names",
    ),
    (
        "[\"top\", \"middle\", \"bottom\"]",
        "[]",
        "9: streams[0] \"coin\": replicas: found 0 replicas, expected 1 to 128",
    ),
    ("\"bottom\"]", "7]", "9: streams[0] \"coin\": replicas[2]: found 7, expected a name"),
    (
        "faults = 1",
        "faults = 3",
        "10: streams[0] \"coin\": faults: found 3, expected a whole number below the number of replicas, 3",
    ),
    (
        "faults = 1",
        "faults = -1",
        "10: streams[0] \"coin\": faults: found -1, expected a whole number below the number of replicas, 3",
    ),
    (
        "faults = 1",
        "fautls = 1",
        "10: streams[0] \"coin\": fautls: unknown key, expected one of name, replicas, faults, groups, objective, credible, silence, support, prior, output, link, replica; did you mean \"faults\"?",
    ),
    (
        "\"posterior\"",
        "\"prior\"",
        "11: streams[0] \"coin\": objective: found \"prior\", expected one of posterior, joint, evidence, marginal, coalition",
    ),
    (
        "credible = 0.95",
        "credible = 95",
        "12: streams[0] \"coin\": credible: found 95, expected a number between 0 and 1",
    ),
    (
        "silence = 0.1",
        "silence = 0",
        "13: streams[0] \"coin\": silence: found 0, expected a number between 0 and 1",
    ),
    ("step = 1", "step = -1", "14: streams[0] \"coin\": support.step: found -1, expected a number above 0"),
    (
        "min = 0",
        "min = 1e300",
        "14: streams[0] \"coin\": support.step: found 1, expected a step that float64 can resolve between",
    ),
    (
        "points = 3",
        "points = 0",
        "14: streams[0] \"coin\": support.points: found 0, expected a whole number, 1 to 4096",
    ),
    (
        "points = 3",
        "points = 3.0",
        "14: streams[0] \"coin\": support.points: found 3.0, expected a whole number, 1 to 4096",
    ),
    (
        "support = { min = 0, step = 1, points = 3 }\n",
        "",
        "7: streams[0] \"coin\": support: found none, expected a grid such as",
    ),
    (
        "prior = \"tails\"",
        "prior = \"tials\"",
        "15: streams[0] \"coin\": prior: found \"tials\", expected the name of a published distribution (one of hop, tails; did you mean \"tails\"?)",
    ),
    (
        "prior = \"tails\"",
        "prior = 3",
        "15: streams[0] \"coin\": prior: found 3, expected \"uniform\", a distribution or { from = \"previous\", … }",
    ),
    (
        "prior = \"tails\"",
        "prior = { from = \"next\", step = \"hop\" }",
        "15: streams[0] \"coin\": prior.from: found \"next\", expected \"previous\"",
    ),
    (
        "prior = \"tails\"",
        "prior = { from = \"previous\" }",
        "15: streams[0] \"coin\": prior.step: found none, expected the distribution of the move to the next round",
    ),
    (
        "prior = \"tails\"",
        "prior = { from = \"previous\", step = \"hop\", leak = 2 }",
        "15: streams[0] \"coin\": prior.leak: found 2, expected a probability, 0 to 1",
    ),
    (
        "prior = \"tails\"",
        "prior = { family = \"empirical\", edges = [0, 2, 1], counts = [1, 1] }",
        "15: streams[0] \"coin\": prior.edges[2]: found 1.0, expected a finite number above the edge before it",
    ),
    (
        "prior = \"tails\"",
        "prior = { family = \"empirical\", edges = [0, 1], counts = [1, 1] }",
        "15: streams[0] \"coin\": prior.edges: found 2 entries, expected 3 (one more than counts)",
    ),
    (
        "prior = \"tails\"",
        "prior = { family = \"mixture\", weights = [1, -1], components = [\n { family = \"poisson\", mean = 1 },\n { family = \"poisson\", mean = 2 }] }",
        "15: streams[0] \"coin\": prior.weights[1]: found -1.0, expected a finite number, 0 or more",
    ),
    (
        "prior = \"tails\"",
        "prior = { family = \"mixture\", weights = [1, 1], components = [\n { family = \"poisson\", mean = 1 },\n { family = \"poisson\", mean = -2 }] }",
        "17: streams[0] \"coin\": prior.components[1].mean: found -2.0, expected a finite number, 0 or more",
    ),
    (
        "prior = \"tails\"",
        "prior = { family = \"mixture\", weights = [0], components = [{ family = \"poisson\", mean = 1 }] }",
        "15: streams[0] \"coin\": prior: mixture: the sum of weights is 0, expected a finite number above 0",
    ),
    (
        "\"count\"",
        "\"median\"",
        "18: streams[0] \"coin\": output.computation: found \"median\", expected one of identity, count, sum, mean, last, min, max; did you mean \"mean\"?",
    ),
    (
        "[0.0, 0.01]",
        "[0.0, \"x\"]",
        "19: streams[0] \"coin\": output.messages[1]: found \"x\", expected a finite number",
    ),
    (
        "[0.0, 0.01]",
        "{ count = 0, period = 1.0 }",
        "19: streams[0] \"coin\": output.messages.count: found 0, expected a whole number of messages, 1 to 10000",
    ),
    (
        "[0.0, 0.01]",
        "{ count = 20000, period = 1.0 }",
        "19: streams[0] \"coin\": output.messages.count: found 20000, expected a whole number of messages, 1 to 10000",
    ),
    (
        "[0.0, 0.01]",
        "{ count = 20, period = -1.0 }",
        "19: streams[0] \"coin\": output.messages.period: found -1.0, expected seconds, 0 or more",
    ),
    (
        "[0.0, 0.01]",
        "7",
        "19: streams[0] \"coin\": output.messages: found 7, expected a list of offsets in seconds or",
    ),
    (
        "deadline = 0.05\n",
        "",
        "17: streams[0] \"coin\": output.deadline: found none, expected the replica's deadline, as arrival is given",
    ),
    (
        "deadline = 0.05\n",
        "deadline = 1979-05-27\n",
        "21: streams[0] \"coin\": output.deadline: found the date 1979-05-27, expected a finite number",
    ),
    (
        "deadline = 0.06\n",
        "",
        "23: streams[0] \"coin\": link.deadline: found none, expected seconds after the replica sent",
    ),
    (
        "deadline = 0.06\n",
        "deadline = 0.06\non_time = 0.5\n",
        "24: streams[0] \"coin\": link.arrival: found beside on_time, expected arrival and deadline or on_time, not both",
    ),
    (
        "on_time = 0.97",
        "on_time = 1.1",
        "28: streams[0] \"coin\": replica.middle.link.on_time: found 1.1, expected a probability, 0 to 1",
    ),
    (
        "replica.middle.link",
        "replica.midle.link",
        "27: streams[0] \"coin\": replica.midle: unknown replica, expected one of top, middle, bottom; did you mean \"middle\"?",
    ),
    (
        "replica.middle.link",
        "replica.middle.support",
        "27: streams[0] \"coin\": replica.middle.support: unknown key, expected one of link, noise",
    ),
    ("faults = 1", "faults = 1\nfaults = 1", "11: duplicate key"),
    ("faults = 1", "faults = ", "10: "),
    ("[\"top\",", "[\"top\" \"x\",", "9: "),
];

#[test]
fn the_good_model_is_good() {
    let set = parse_model(GOOD, "model.toml").unwrap();
    Fleet::compile(&set).unwrap();
}

#[test]
fn bad_models_are_told_in_one_line() {
    let mut wrong = Vec::new();
    for (good, bad, expected) in BAD {
        assert!(GOOD.contains(good), "{good}");
        let found = match parse_model(&GOOD.replacen(good, bad, 1), "model.toml") {
            Ok(_) => "no error".to_owned(),
            Err(error) => error.to_string(),
        };
        let expected = format!("model.toml:{expected}");
        let complete = expected.ends_with(": ")
            || expected.ends_with("between")
            || expected.ends_with("such as")
            || expected.ends_with("or");
        if found.contains('\n') || !(found == expected || complete && found.starts_with(&expected)) {
            wrong.push(format!("found    {found}\nexpected {expected}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn two_streams_of_one_name() {
    let second = GOOD.split_once("[[streams]]").unwrap().1;
    let error = parse_model(&format!("{GOOD}\n[[streams]]{second}"), "m.toml").unwrap_err().to_string();
    assert_eq!(error, "m.toml:30: streams[1]: name: found \"coin\", which is the name of streams[0] too");
}

#[test]
fn what_the_engine_finds_gets_its_line() {
    let cases = [
        (
            "messages = [0.0, 0.01]",
            "messages = []",
            "19: streams[0] \"coin\": output.messages: found 0 messages",
        ),
        (
            "step = 1",
            "step = 0.5",
            "14: streams[0] \"coin\": support.step: found 0.5, expected 1 for `count`",
        ),
        (
            "\"count\"",
            "\"sum\"",
            "17: streams[0] \"coin\": output.source: found none, expected a source for `sum`",
        ),
        (
            "prior = \"tails\"",
            "prior = { family = \"uniform\", low = 7, high = 8 }",
            "15: streams[0] \"coin\": prior: found a distribution without mass",
        ),
        (
            "on_time = 0.97",
            "on_time = 0.97\n[streams.replica.top]\nnoise = \"hop\"",
            "30: streams[0] \"coin\": replica.top.noise: found a noise, expected none for `count`",
        ),
    ];
    for (good, bad, expected) in cases {
        let text = GOOD.replacen(good, bad, 1);
        let set = parse_model(&text, "model.toml").unwrap();
        let error = locate(&Fleet::compile(&set).map(|_| ()).unwrap_err(), &text, "model.toml").to_string();
        assert!(error.starts_with(&format!("model.toml:{expected}")), "found {error}\nexpected {expected}");
    }
}

#[test]
fn replica_names_with_dots_are_found() {
    let text = GOOD
        .replace("\"top\"", "\"a.link\"")
        .replace("replica.middle.link", "replica.\"a.link\"")
        .replace("on_time = 0.97", "noise = \"hop\"");
    let set = parse_model(&text, "m").unwrap();
    let error = locate(&Fleet::compile(&set).map(|_| ()).unwrap_err(), &text, "m");
    assert_eq!(error.line(), Some(28), "{error}");
}

#[test]
fn inline_distributions() {
    for (text, expected) in [
        ("7", "distribution:1: expected a distribution such as"),
        (
            "{ family = \"normal\", mean = 1, sd = 0 }",
            "distribution:1: sd: found 0.0, expected a finite number above 0",
        ),
        ("{ family = \"normal\"\n, mean = 1 }", "distribution:1: sd: found none, expected a number"),
        ("{ family = ", "distribution:1: "),
        ("", "distribution:1: "),
    ] {
        let error = parse_distribution(text).unwrap_err().to_string();
        assert!(error.starts_with(expected) && !error.contains('\n'), "{text}: {error}");
    }
}

#[test]
fn numbers_of_every_kind() {
    let text = "{ family = \"normal\", mean = 0x10, sd = 1_000 }";
    assert_eq!(
        parse_distribution(text).unwrap(),
        centauri_engine::Distribution::normal(16.0, 1000.0).unwrap()
    );
    let text = "{ family = \"student_t\", df = 3, scale = +1e-3 }";
    assert_eq!(
        parse_distribution(text).unwrap(),
        centauri_engine::Distribution::student_t(3.0, 0.0, 1e-3).unwrap()
    );
}

#[test]
fn files_that_are_no_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.toml");
    let read =
        || centauri_files::read_model(&path).unwrap_err().to_string().replace(path.to_str().unwrap(), "m");
    assert!(read().starts_with("m: opening: "), "{}", read());
    std::fs::write(&path, b"version = 1\n# caf\xe9\n").unwrap();
    assert_eq!(read(), "m:2: found bytes that are not UTF-8, expected text");
}
