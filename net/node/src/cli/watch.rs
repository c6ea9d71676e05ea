//! `centauri watch`: follows in the terminal what a server decides.

mod connect;
mod events;

use crate::http::{DecisionRow, figure};
use anyhow::Context;
use connect::{Failed, Server};
use events::{Event, Events};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Where a token is looked for that the command line does not give.
const TOKEN_VARIABLE: &str = "CENTAURI_TOKEN";
/// Servers say something every 15 seconds unless they are told otherwise; one that is silent for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// How long to wait before the first try after a failure; twice as long before each further one.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// And at most.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);

/// Follow the decisions of an engine server, over HTTP or HTTPS: a line for each.
///
/// A lost connection is made again. What was decided meanwhile, and what this end was too slow for, is not shown; how many of
/// the latter is said on standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  centauri watch --url http://localhost:7780
  CENTAURI_TOKEN=… centauri watch --url https://engine.example:7780 --stream 'road/*' --json")]
pub(super) struct Arguments {
    /// The server: its address, and where it is not at the root of it a path.
    #[arg(long, value_name = "URL")]
    url: String,
    /// Only streams with names like this, `*` stands for any text; may be given several times.
    #[arg(long, value_name = "PATTERN")]
    stream: Vec<String>,
    /// The token. Other users of the machine can see it here: rather give a file, or set CENTAURI_TOKEN.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
    /// A file with the token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificates of authorities (PEM) to believe, instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print each decision as one line of JSON.
    #[arg(long)]
    json: bool,
    /// End after so many decisions.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

impl Arguments {
    fn token(&self) -> anyhow::Result<Option<String>> {
        if let Some(file) = &self.token_file {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            return Ok(Some(text.trim().to_owned()));
        }
        Ok(self.token.clone().or_else(|| std::env::var(TOKEN_VARIABLE).ok()))
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let server = Server::new(&arguments.url, &arguments.stream, arguments.token()?, arguments.ca.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let mut shown = Shown { json: arguments.json, left: arguments.count };
    match runtime.context("no runtime")?.block_on(follow(&server, &mut shown)) {
        // Whoever read the output has seen enough.
        Err(End::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(End::Output(error)) => Err(error).context("standard output"),
        Err(End::Refused(error)) => Err(error),
        Err(End::Enough) => Ok(()),
        Ok(never) => match never {},
    }
}

/// Why following ends.
enum End {
    Enough,
    Output(std::io::Error),
    Refused(anyhow::Error),
}

/// Connects again and again.
async fn follow(server: &Server, shown: &mut Shown) -> Result<std::convert::Infallible, End> {
    if shown.left == Some(0) {
        return Err(End::Enough);
    }
    let mut wait = AGAIN_AFTER;
    loop {
        let lost = match server.connect().await {
            Ok(body) => {
                eprintln!("following {}", server.name());
                wait = AGAIN_AFTER;
                shown.all(body).await?
            }
            Err(Failed::Now(error)) => error,
            Err(Failed::ForGood(error)) => return Err(End::Refused(error)),
        };
        eprintln!("{}: {lost:#}; trying again in {} s", server.name(), wait.as_secs_f64());
        tokio::time::sleep(wait).await;
        wait = (2 * wait).min(AGAIN_AFTER_MAX);
    }
}

/// What is shown, and how.
struct Shown {
    json: bool,
    /// Decisions until it is enough.
    left: Option<u64>,
}

impl Shown {
    /// Shows what comes until the connection is lost, and says how.
    async fn all(&mut self, mut body: Incoming) -> Result<anyhow::Error, End> {
        let mut events = Events::default();
        loop {
            let frame = match tokio::time::timeout(SILENCE_MAX, body.frame()).await {
                Err(_) => return Ok(anyhow::anyhow!("nothing heard for {} s", SILENCE_MAX.as_secs())),
                Ok(None) => return Ok(anyhow::anyhow!("the server ended the connection")),
                Ok(Some(Err(error))) => {
                    return Ok(anyhow::Error::new(error).context("the connection is lost"));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Some(bytes) = frame.data_ref() else { continue };
            for event in events.take(bytes) {
                match event {
                    Ok(event) => self.one(&event)?,
                    Err(error) => return Ok(error),
                }
            }
            // Standard output may have a buffer: nobody should have to wait for the next decision to see this one.
            std::io::stdout().flush().map_err(End::Output)?;
        }
    }

    fn one(&mut self, event: &Event) -> Result<(), End> {
        match event.name.as_str() {
            "decision" => {
                self.decision(&event.data)?;
                if let Some(left) = &mut self.left {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        std::io::stdout().flush().map_err(End::Output)?;
                        return Err(End::Enough);
                    }
                }
            }
            "missed" => eprintln!("too slow: missed {}", missed(&event.data)),
            // Of a newer server.
            _ => {}
        }
        Ok(())
    }

    fn decision(&self, json: &str) -> Result<(), End> {
        if self.json {
            return writeln!(std::io::stdout(), "{json}").map_err(End::Output);
        }
        match serde_json::from_str(json) {
            Ok(row) => writeln!(std::io::stdout(), "{}", line(&row)).map_err(End::Output),
            Err(error) => {
                eprintln!("found a decision of another form: {error}");
                Ok(())
            }
        }
    }
}

fn missed(json: &str) -> u64 {
    serde_json::from_str::<serde_json::Value>(json)
        .ok()
        .and_then(|value| value["missed"].as_u64())
        .unwrap_or(0)
}

/// A decision in one line for people.
fn line(row: &DecisionRow) -> String {
    let seconds = row.decided_at.rem_euclid(86_400.0) as u32;
    let time = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let half = (row.high - row.low) / 2.0;
    let head =
        format!("{time} {} #{}  {} ± {}", clean(&row.stream), row.round, figure(row.value), figure(half));
    if row.status != "decided" {
        return format!("{head}  no quorum: this is the prior's");
    }
    let out: Vec<String> =
        row.left_out.iter().map(|out| format!("{}: {}", clean(&out.replica), clean(&out.reason))).collect();
    let out = if out.is_empty() { String::new() } else { format!("  left out: {}", out.join("; ")) };
    format!("{head}  confidence {}{out}", figure(row.confidence))
}

/// Names come from elsewhere, and a terminal obeys what is not text.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_one_line() {
        let json = r#"{"stream":"road/7\u001b[2J","round":12,"status":"decided","value":50.0,"confidence":0.9312345678,"mean":50.1,
            "sd":1.0,"low":48.0,"high":53.0,"quorum":["a"],"log_evidence":-3.0,"region_low":null,"region_high":null,"honest":{"a":1.0},
            "deadline_at":0.0,"decided_at":45296.5,"published_at":0.0,"reports":{"a":null},"equivocated":[],
            "left_out":[{"replica":"b","reason":"no message came in time"}]}"#;
        let mut row: DecisionRow = serde_json::from_str(json).unwrap();
        assert_eq!(
            line(&row),
            "12:34:56 road/7\u{fffd}[2J #12  50 ± 2.5  confidence 0.931235  left out: b: no message came in time"
        );
        row.status = "no_quorum".to_owned();
        assert!(line(&row).ends_with("50 ± 2.5  no quorum: this is the prior's"));
        assert_eq!((missed(r#"{"missed":7}"#), missed("x")), (7, 0));
    }
}
