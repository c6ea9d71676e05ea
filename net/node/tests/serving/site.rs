//! A folder with what a server needs, a running server, and what sends it frames.

use centauri::clock::now_ns;
use centauri_wire::*;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const ENGINE: NodeId = NodeId(100);
pub(crate) const SOURCE: NodeId = NodeId(50);
pub(crate) const STREAM: StreamId = StreamId(7);
pub(crate) const OTHER_STREAM: StreamId = StreamId(8);
pub(crate) const PERIOD_NS: i64 = 500_000_000;
pub(crate) const CLOSE_AFTER_NS: i64 = 450_000_000;

pub(crate) fn key(node: NodeId) -> KeyFile {
    KeyFile::generate([node.0 as u8 + 1; 32])
}

/// A folder with everything that a server needs.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let entry = |id: NodeId, name: &str, role| NodeEntry {
            id,
            name: name.into(),
            role,
            key: key(id).public_key(),
        };
        let mut nodes = vec![entry(ENGINE, "engine", Role::Engine), entry(SOURCE, "camera", Role::Source)];
        nodes.extend((1..=4).map(|i| entry(NodeId(i), &format!("r{i}"), Role::Replica)));
        site.write("registry.toml", &Registry::new(nodes).expect("a registry").to_toml());
        site.write("engine.key", &key(ENGINE).to_text());
        site.write(
            "model.toml",
            &["road/7", "road/8"].map(stream_model).join("\n").replacen("", "version = 1\n", 1),
        );
        site.write(
            "serve.toml",
            r#"
listen = "127.0.0.1:0"
model = "model.toml"
registry = "registry.toml"
node = "engine"
key = "engine.key"
output = "decisions.jsonl"
counters = "counters.json"
freshness_s = 5

[[streams]]
name = "road/7"
id = 7
period_s = 0.5
close_after_s = 0.45

[[streams]]
name = "road/8"
id = 8
period_s = 0.5
close_after_s = 0.45
"#,
        );
        site
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file can be written");
    }

    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).expect("the file is there");
        assert!(text.contains(from), "{name} has no {from:?}");
        self.write(name, &text.replacen(from, to, 1));
    }
}

pub(crate) fn stream_model(name: &str) -> String {
    format!(
        r#"
[[streams]]
name = "{name}"
replicas = ["r1", "r2", "r3", "r4"]
faults = 1
support = {{ min = 0, step = 1, points = 101 }}
output = {{ computation = "identity", noise = {{ family = "normal", mean = 0, sd = 2 }} }}
link = {{ on_time = 0.95 }}
"#
    )
}

pub(crate) fn command(config: &Path, driver: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centauri"));
    command.args(["serve", "--driver", driver, "--config"]).arg(config).env("RUST_LOG", "info");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running server.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) address: SocketAddr,
    pub(crate) tcp: Option<SocketAddr>,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) log: std::thread::JoinHandle<String>,
}

impl Server {
    pub(crate) fn start(site: &Site, driver: &str) -> Self {
        Self::start_by(site, driver, &[])
    }

    /// Starts it by a program that takes the command and its arguments after its own.
    pub(crate) fn start_by(site: &Site, driver: &str, program: &[&str]) -> Self {
        let mut command = command(&site.path("serve.toml"), driver);
        if let [program, own @ ..] = program {
            let mut by = Command::new(program);
            by.args(own).arg(command.get_program()).args(command.get_args()).env("RUST_LOG", "info");
            by.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command = by;
        }
        Self::start_command(command)
    }

    pub(crate) fn start_command(mut command: Command) -> Self {
        let mut process = command.spawn().expect("the server starts");
        let mut errors = BufReader::new(process.stderr.take().expect("a pipe"));
        let mut seen = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(errors.read_line(&mut line).expect("the log is text") > 0, "the server ended: {seen}");
            seen.push_str(&line);
            if let Some((_, rest)) = line.split_once("address=") {
                break rest.split_whitespace().next().and_then(|a| a.parse().ok()).expect("an address");
            }
        };
        // Told before the other.
        let told =
            |key| seen.split_once(key).and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        let (tcp, http) = (told("tcp="), told(" http="));
        let log = std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                seen.push_str(&line);
                seen.push('\n');
            }
            seen
        });
        Self { process, address, tcp, http, log }
    }

    pub(crate) fn stop(mut self, signal: i32) -> String {
        let pid = i32::try_from(self.process.id()).expect("a process id");
        let sent =
            Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status().expect("kill runs");
        assert!(sent.success());
        let until = Instant::now() + Duration::from_secs(20);
        let status = loop {
            match self.process.try_wait().expect("the process can be waited for") {
                Some(status) => break status,
                None if Instant::now() > until => {
                    let _ = self.process.kill();
                    panic!("the server did not end");
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let log = self.log.join().expect("the log was read");
        assert_eq!(status.code(), Some(0), "{log}");
        log
    }
}

/// Sends frames in the name of nodes.
pub(crate) struct Sender {
    pub(crate) socket: UdpSocket,
    pub(crate) to: SocketAddr,
    pub(crate) nonce: u64,
    pub(crate) sent: u64,
}

impl Sender {
    pub(crate) fn new(to: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        Self { socket, to, nonce: now_ns() as u64, sent: 0 }
    }

    pub(crate) fn frame_of(
        &mut self,
        signer: &SigningIdentity,
        timestamp_ns: i64,
        records: &[(StreamId, i64, f64)],
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut frame = StreamFrameBuilder::begin(&mut bytes, timestamp_ns, FRAME_BYTES_DATAGRAM);
        for &(stream, round, value) in records {
            self.nonce += 1;
            let record = Record { stream, age_us: 0, nonce: self.nonce, round, value, readings: 5 };
            frame.push(&record).expect("room for a record");
        }
        frame.finish(signer).expect("a frame");
        bytes
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.to).expect("loopback takes a datagram");
        self.sent += 1;
    }

    pub(crate) fn report(&mut self, node: u32, round: i64, value: f64) -> Vec<u8> {
        let bytes =
            self.frame_of(&key(NodeId(node)).identity(NodeId(node)), now_ns(), &[(STREAM, round, value)]);
        self.send(&bytes);
        bytes
    }
}

/// Waits until a window has just opened, and gives its number.
pub(crate) fn fresh_round() -> i64 {
    let open_for = now_ns().rem_euclid(PERIOD_NS);
    let left = Duration::from_nanos((PERIOD_NS - open_for).unsigned_abs());
    std::thread::sleep(left + Duration::from_millis(5));
    now_ns().div_euclid(PERIOD_NS)
}

pub(crate) fn after_close(round: i64) {
    let left = round * PERIOD_NS + CLOSE_AFTER_NS - now_ns();
    std::thread::sleep(Duration::from_nanos(left.max(0).unsigned_abs()) + Duration::from_millis(20));
}

pub(crate) struct Outcome {
    pub(crate) decisions: Vec<Value>,
    pub(crate) counters: Value,
}

impl Outcome {
    pub(crate) fn read(site: &Site) -> Self {
        let read = |name: &str| std::fs::read_to_string(site.path(name)).expect("the server wrote it");
        let lines = read("decisions.jsonl");
        Self {
            decisions: lines.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect(),
            counters: serde_json::from_str(&read("counters.json")).expect("JSON"),
        }
    }

    pub(crate) fn decision(&self, stream: &str, round: i64) -> &Value {
        let mut found = self.decisions.iter().filter(|d| d["stream"] == stream && d["round"] == round);
        let decision = found.next().unwrap_or_else(|| panic!("no decision on {stream} round {round}"));
        assert!(found.next().is_none(), "two decisions on {stream} round {round}");
        decision
    }

    pub(crate) fn check_count(&self, name: &str, expected: u64) {
        assert_eq!(self.counters[name], expected, "{name}: {}", self.counters);
    }
}

pub(crate) fn quorum(decision: &Value) -> Vec<&str> {
    decision["quorum"].as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}
