//! The server as a process: started, watched and ended.

use crate::ingest::cores;
use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A server with many streams needs a while to read them.
const START_MAX: Duration = Duration::from_secs(300);

/// So much of the server's log is kept.
const LOG_BYTES_MAX: usize = 1 << 16;

/// The server takes its output's time, so the pipe holds as much as an unprivileged process may ask for.
const PIPE_BYTES: usize = 1 << 20;

/// The server's executable: the one beside this process's own, where none is named.
///
/// # Errors
/// None is there; the error says how to build it.
pub fn executable(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()?.with_file_name(format!("centauri{}", std::env::consts::EXE_SUFFIX)),
    };
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    ensure!(
        path.is_file(),
        "{}: there is no server; build it with `cargo build{release} -p centauri`, or name one with --server",
        path.display()
    );
    Ok(path)
}

/// A running `centauri serve`; it is killed when dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    log: Receiver<String>,
    /// Where it takes datagrams.
    pub address: SocketAddr,
    /// What receives them.
    pub driver: String,
    /// From its start until it listened.
    pub started_in: Duration,
    /// Its decisions, as JSON Lines; reading never waits.
    pub output: File,
}

impl Server {
    /// Starts `executable` with the configuration at `config`, on a core of its own where one is given, and waits until it
    /// listens.
    ///
    /// # Errors
    /// It cannot be started, or ends; what it said.
    pub fn start(executable: &Path, config: &Path, core: Option<usize>) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut command = Command::new(executable);
        command.arg("serve").arg("--config").arg(config).env("RUST_LOG", "info").env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A process inherits the cores of the thread that starts it. From a thread of its own this one keeps its cores.
        let starter = std::thread::spawn(move || {
            if let Some(core) = core {
                cores::pin(core);
            }
            command.spawn()
        });
        let started = starter.join().map_err(|_| anyhow::anyhow!("the starting thread panicked"))?;
        let mut process = started.with_context(|| executable.display().to_string())?;
        let errors = process.stderr.take().context("no standard error")?;
        let output = process.stdout.take().context("no standard output")?;
        let (tell, log) = channel();
        let told = follow(errors, tell);
        let heard = (|| {
            let first = told.recv_timeout(START_MAX).ok().context("it did not begin to listen")?;
            first.context("it ended before it listened")
        })();
        let (address, driver) = match heard {
            Ok(heard) => heard,
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                let said = log.recv().unwrap_or_default();
                return Err(error.context(format!("{}: {}", executable.display(), said.trim())));
            }
        };
        let output = OwnedFd::from(output);
        // As large as the system allows; a smaller pipe works, too.
        let _ = rustix::pipe::fcntl_setpipe_size(&output, PIPE_BYTES);
        rustix::io::ioctl_fionbio(&output, true)?;
        Ok(Self { process, log, address, driver, started_in: begun.elapsed(), output: File::from(output) })
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        let number = i32::try_from(self.process.id()).ok();
        number.and_then(Pid::from_raw).context("the server has no process number")
    }

    /// Processor time of all its threads so far, user and system, in seconds.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn cpu_s(&self) -> anyhow::Result<f64> {
        let folder = format!("/proc/{}/task", self.process.id());
        let mut ns = 0;
        for task in std::fs::read_dir(&folder).with_context(|| folder.clone())? {
            let file = task?.path().join("schedstat");
            // A thread may end at any time.
            let text = std::fs::read_to_string(file).unwrap_or_default();
            ns += text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(ns as f64 * 1e-9)
    }

    /// Its memory now and the most that it had, in bytes.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let file = format!("/proc/{}/status", self.process.id());
        let text = std::fs::read_to_string(&file).with_context(|| file.clone())?;
        let of = |key: &str| kibibytes(&text, key).with_context(|| format!("{file}: no {key}"));
        Ok(Memory { resident: of("VmRSS:")?, peak: of("VmHWM:")? })
    }

    /// Asks it to end: open rounds end at their deadlines.
    ///
    /// # Errors
    /// It has ended already.
    pub fn ask_to_end(&self) -> anyhow::Result<()> {
        kill_process(self.pid()?, Signal::TERM).context("asking the server to end")
    }

    /// Waits until it has ended, and gives what it said.
    ///
    /// # Errors
    /// It does not end within `patience`, or not well.
    pub fn wait(mut self, patience: Duration) -> anyhow::Result<String> {
        let until = Instant::now() + patience;
        let status = loop {
            if let Some(status) = self.process.try_wait()? {
                break status;
            }
            ensure!(Instant::now() < until, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let log = self.log.recv().unwrap_or_default();
        well(status, &log)?;
        Ok(log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A process's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Now.
    pub resident: u64,
    /// The most so far.
    pub peak: u64,
}

fn kibibytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1_024)
}

fn well(status: ExitStatus, log: &str) -> anyhow::Result<()> {
    if !status.success() {
        bail!("the server ended with {status}: {}", log.trim());
    }
    Ok(())
}

/// Where it listens and what receives, once it says so; `None` if it ends before.
type Heard = Option<(SocketAddr, String)>;

/// Reads the log to its end on a thread of its own: tells the address when it comes, and at the end the log.
fn follow(errors: ChildStderr, tell: std::sync::mpsc::Sender<String>) -> Receiver<Heard> {
    let (tell_address, told) = channel();
    std::thread::spawn(move || {
        let (mut log, mut tell_address, mut driver) = (String::new(), Some(tell_address), String::new());
        // Whatever it says, a line has its bound.
        let mut errors = BufReader::new(errors);
        let mut line = Vec::new();
        while (&mut errors).take(1 << 12).read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line);
            if let Some(kind) = field(&text, "driver=") {
                kind.clone_into(&mut driver);
            }
            if let Some(address) = field(&text, "address=").and_then(|address| address.parse().ok())
                && let Some(tell) = tell_address.take()
            {
                let _ = tell.send(Some((address, driver.clone())));
            }
            if log.len() + text.len() <= LOG_BYTES_MAX {
                log.push_str(&text);
            }
            line.clear();
        }
        if let Some(tell) = tell_address {
            let _ = tell.send(None);
        }
        let _ = tell.send(log);
    });
    told
}

/// The value of a field of a log line.
fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_once(key)?.1.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_not_there_is_told_with_the_command_that_builds_it() {
        let error = executable(Some(Path::new("/no/such/file"))).unwrap_err().to_string();
        assert!(
            error.starts_with("/no/such/file: there is no server; build it with `cargo build"),
            "{error}"
        );
    }

    #[test]
    fn what_ends_before_it_listens_is_told_with_what_it_said() {
        let program = ["/bin/ls", "/usr/bin/ls"].map(Path::new).into_iter().find(|path| path.is_file());
        let Some(program) = program else {
            println!("skipped: no program to start in the server's place");
            return;
        };
        let error = format!("{:#}", Server::start(program, Path::new("x"), None).unwrap_err());
        assert!(error.contains("ended before it listened"), "{error}");
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t    12 kB\n";
        assert_eq!((kibibytes(status, "VmRSS:"), kibibytes(status, "VmHWM:")), (Some(12_288), Some(2 << 20)));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }
}
