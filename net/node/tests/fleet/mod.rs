//! A folder of configurations, and the processes that run by them.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// So long things may take on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(90);

/// Whatever is waited for is looked at so often.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `is_so`, and fails with `what` if it never is.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(LOOK);
    }
}

/// Runs the command to its end.
pub(crate) fn centauri(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_centauri")).args(arguments).output().expect("the command runs")
}

/// An address on loopback that is free, and stays so unless the kernel hands it out again at once.
pub(crate) fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("an address")
}

/// The folder that a fleet's files are in.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    registry: String,
}

impl Site {
    /// A folder with a registry of these nodes (number, name, role), whose keys are made by `centauri keygen`.
    pub(crate) fn new(nodes: &[(u32, &str, &str)]) -> Self {
        let mut site =
            Self { folder: tempfile::tempdir().expect("a temporary folder"), registry: String::new() };
        for (id, name, role) in nodes {
            let key = site.text_path(&format!("{name}.key"));
            let made = centauri(&["keygen", "--output", &key]);
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let key = String::from_utf8(made.stdout).expect("text");
            site.registry += &format!(
                "[[node]]\nid = {id}\nname = \"{name}\"\nrole = \"{role}\"\nkey = {:?}\n",
                key.trim()
            );
        }
        site.write("registry.toml", &site.registry);
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text_path(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file can be written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the file is there")
    }

    /// Writes `name.toml`: what every node's configuration begins with, and then `rest`.
    pub(crate) fn configure(&self, name: &str, listen: SocketAddr, rest: &str) {
        let text = format!(
            "listen = \"{listen}\"\ndriver = \"epoll\"\nregistry = \"registry.toml\"\nnode = \"{name}\"\nkey = \"{name}.key\"\n\
             counters = \"{name}.json\"\n{rest}"
        );
        self.write(&format!("{name}.toml"), &text);
    }

    /// Starts `centauri node` or `centauri serve` by `name.toml`, and waits until it listens.
    pub(crate) fn start(&self, command: &str, name: &str) -> Process {
        let mut process = self.begin(command, name);
        process.wait_until_it_listens();
        process
    }

    /// As [`Site::start`], and does not wait: its address is not known.
    pub(crate) fn begin(&self, command: &str, name: &str) -> Process {
        Process::begin(command, name, &self.text_path(&format!("{name}.toml")))
    }

    /// What `name` counted.
    pub(crate) fn counters(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(&format!("{name}.json"))).expect("JSON")
    }
}

/// A process that runs.
pub(crate) struct Process {
    name: String,
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    input: Option<ChildStdin>,
    log: Arc<Mutex<String>>,
}

impl Process {
    fn begin(command: &str, name: &str, config: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_centauri"))
            .args([command, "--config", config])
            .env("RUST_LOG", "info")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the process starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (errors, to) = (BufReader::new(child.stderr.take().expect("a pipe")), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let mut log = to.lock().expect("the log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self {
            name: name.to_owned(),
            input: child.stdin.take(),
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
        }
    }

    fn wait_until_it_listens(&mut self) {
        let address = |log: &str| -> Option<SocketAddr> {
            log.split_once("address=").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok())
        };
        self.wait_for("it listens", |log| address(log).is_some());
        self.address = address(&self.log()).expect("an address");
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// Waits until the log says so.
    pub(crate) fn wait_for(&mut self, what: &str, is_said: impl Fn(&str) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_said(&self.log()) {
            let ended = self.child.try_wait().expect("the process can be asked");
            assert!(ended.is_none(), "{} ended before {what}: {}", self.name, self.log());
            assert!(Instant::now() < until, "{}: waited in vain until {what}: {}", self.name, self.log());
            std::thread::sleep(LOOK);
        }
    }

    /// Writes a line to its standard input.
    pub(crate) fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("it reads");
    }

    /// Ends its standard input.
    pub(crate) fn hush(&mut self) {
        self.input = None;
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the process can be asked").is_none()
    }

    /// Ends it by SIGTERM; it has to leave with 0.
    pub(crate) fn stop(mut self) {
        let sent = Command::new("kill").args(["-15", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        let mut status = None;
        let child = &mut self.child;
        wait_until("the process ends", || {
            status = child.try_wait().expect("the process can be asked");
            status.is_some()
        });
        let code = status.and_then(|status| status.code());
        assert_eq!(code, Some(0), "{}: {}", self.name, self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that fails leaves nothing running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
