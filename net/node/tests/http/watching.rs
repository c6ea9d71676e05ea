//! `centauri watch`, and TLS.

use super::limits::make_token;
use super::*;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

fn watch(arguments: &[&str], environment: &[(&str, &str)]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centauri"));
    command.arg("watch").args(arguments).env_remove("CENTAURI_TOKEN").envs(environment.iter().copied());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs")
}

fn ended(process: Child) -> (Option<i32>, String, String) {
    let output = process.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn watching_over_tls_shows_what_the_server_writes() {
    let site = site_with("tokens = \"tokens.toml\"\ntls_certificate = \"cert.pem\"\ntls_key = \"key.pem\"");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    site.write("cert.pem", &made.cert.pem());
    site.write("key.pem", &made.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    site.write("other.pem", &other.cert.pem());
    let token = make_token(&site, "terminal");
    site.write("token", &format!("{token}\n"));
    let (server, http) = start(&site);
    let url = format!("https://localhost:{}", http.port());
    let path = |name: &str| site.path(name).display().to_string();
    let (ca, token_file) = (path("cert.pem"), path("token"));

    let json = watch(&["--url", &url, "--ca", &ca, "--json", "--count", "4"], &[("CENTAURI_TOKEN", &token)]);
    let text = watch(
        &["--url", &url, "--ca", &ca, "--token-file", &token_file, "--stream", "*/8", "--count", "2"],
        &[],
    );
    let (code, lines, errors) = ended(json);
    assert_eq!((code, lines.lines().count()), (Some(0), 4), "{lines}{errors}");
    let (code, shown, errors) = ended(text);
    assert_eq!((code, shown.lines().count()), (Some(0), 2), "{shown}{errors}");
    for line in shown.lines() {
        for part in [" road/8 #", " ± ", "confidence ", "left out: r"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
    // Whom one does not believe, and who does not believe one: no use to try again.
    let wrong_ca = path("other.pem");
    for (arguments, environment, expected) in [
        (vec!["--url", &url, "--ca", &wrong_ca], vec![], "no TLS"),
        (vec!["--url", &url, "--ca", &ca], vec![], "401 Unauthorized: found no token"),
        (
            vec!["--url", &url, "--ca", &ca, "--token", "x"],
            vec![],
            "401 Unauthorized: found a token of no client",
        ),
        (
            vec!["--url", &url, "--ca", &ca, "--stream", "rail/*"],
            vec![("CENTAURI_TOKEN", token.as_str())],
            "404 Not Found: found no stream",
        ),
        (vec!["--url", "ftp://x"], vec![], "expected http://HOST:PORT"),
        (vec!["--url", &url, "--ca", "/none"], vec![], "/none"),
    ] {
        let (code, _, errors) = ended(watch(&arguments, &environment));
        let last = errors.lines().last().unwrap_or_default();
        assert!(
            code == Some(2) && last.starts_with("centauri: ") && last.contains(expected),
            "{expected}: {errors}"
        );
    }
    // Who speaks no TLS is no harm.
    assert!(!exchange(http, b"GET / HTTP/1.1\r\n\r\n").starts_with(b"HTTP/1.1 2"));
    server.stop(15);
    let outcome = Outcome::read(&site);
    for line in lines.lines() {
        let (row, _) = divided(&serde_json::from_str(line).expect("JSON"));
        let round = row["round"].as_i64().expect("a round");
        assert_eq!(*outcome.decision(row["stream"].as_str().expect("a stream"), round), row);
    }
}

#[test]
fn watching_goes_on_when_the_server_comes_back() {
    let site = site_with("");
    let (server, http) = start(&site);
    let mut process = watch(&["--url", &format!("http://{http}"), "--json"], &[]);
    let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    let first: Value = serde_json::from_str(&next()).expect("JSON");
    server.stop(15);
    site.edit("serve.toml", "[http]\nlisten = \"127.0.0.1:0\"", &format!("[http]\nlisten = \"{http}\""));
    let (server, _) = start(&site);
    // The last of the first server may still be there.
    let first_round = first["round"].as_i64();
    let started = centauri::clock::now_ns() / PERIOD_NS;
    let later = std::iter::from_fn(|| serde_json::from_str::<Value>(&next()).ok())
        .find(|row| row["round"].as_i64() > Some(started));
    assert!(later.is_some_and(|row| row["round"].as_i64() > first_round));
    server.stop(15);
    process.kill().expect("it runs");
    let (_, _, errors) = ended(process);
    assert!(
        errors.contains("trying again in 0.5 s") && errors.matches("following http://").count() >= 2,
        "{errors}"
    );
}
