//! The files that a server needs, in a folder.

use super::plan::Plan;
use super::truth::{NOISE_SD, SUPPORT};
use crate::fleet::seed::{self, generator};
use anyhow::Context as _;
use centauri_wire::{KeyFile, NodeEntry, NodeId, Registry, Role, SigningIdentity};
use rand::Rng as _;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What a stream's name begins with; its number follows.
pub const STREAM_PREFIX: &str = "s";

/// The server's number in the registry; the replicas' follow.
const SERVER: u32 = 1;

/// How long the server may take to end its open rounds, in seconds.
pub const DRAIN_S: f64 = 5.0;

/// A folder with everything that a server needs, and the keys of those that report to it.
#[derive(Debug)]
pub struct Site {
    folder: PathBuf,
    /// The replicas, in the order of the model.
    pub replicas: Vec<SigningIdentity>,
}

/// How the server is to run.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What receives: `auto`, `io_uring` or `epoll`.
    pub driver: String,
    /// What decides: `simd` and others.
    pub backend: String,
}

impl Site {
    /// Writes the model, the registry, the key and the configuration of a plan.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn new(folder: &Path, plan: &Plan, setting: &Setting) -> anyhow::Result<Self> {
        let mut rng = generator(seed::of(plan.seed, "keys of the fleet"));
        let mut key = || {
            let mut secret = [0; 32];
            rng.fill_bytes(&mut secret);
            KeyFile::generate(secret)
        };
        let server = key();
        let mut entries = vec![NodeEntry {
            id: NodeId(SERVER),
            name: "engine".to_owned(),
            role: Role::Engine,
            key: server.public_key(),
        }];
        let mut replicas = Vec::with_capacity(plan.replicas);
        for (id, number) in (SERVER + 1..).map(NodeId).zip(1..=plan.replicas) {
            let key = key();
            entries.push(NodeEntry {
                id,
                name: format!("r{number}"),
                role: Role::Replica,
                key: key.public_key(),
            });
            replicas.push(key.identity(id));
        }
        let site = Self { folder: folder.to_owned(), replicas };
        site.write("registry.toml", &Registry::new(entries)?.to_toml())?;
        site.write("engine.key", &server.to_text())?;
        site.write("model.toml", &model(plan))?;
        site.write("serve.toml", &configuration(plan, setting))?;
        Ok(site)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    }

    /// A file in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn name(stream: usize) -> String {
    format!("{STREAM_PREFIX}{stream:06}")
}

fn model(plan: &Plan) -> String {
    let (low, high) = SUPPORT;
    let replicas: Vec<String> = (1..=plan.replicas).map(|number| format!("\"r{number}\"")).collect();
    // What all have in common, so that the server compiles it once.
    let common = format!(
        "replicas = [{}]\nfaults = {}\nsupport = {{ min = {low:?}, step = 1, points = {} }}\n\
         output = {{ computation = \"identity\", noise = \"noise\" }}\nlink = {{ on_time = {:?} }}\n",
        replicas.join(", "),
        plan.faults,
        (high - low) as u64 + 1,
        // A link that never loses anything is sure that what is missing is a fault.
        (1.0 - plan.loss).min(0.999),
    );
    let mut text = format!(
        "version = 1\n[distributions]\nnoise = {{ family = \"normal\", mean = 0, sd = {NOISE_SD:?} }}\n"
    );
    for stream in 0..plan.streams {
        let _ = write!(text, "\n[[streams]]\nname = \"{}\"\n{common}", name(stream));
    }
    text
}

fn configuration(plan: &Plan, setting: &Setting) -> String {
    let Setting { driver, backend } = setting;
    let mut text = format!(
        "listen = \"127.0.0.1:0\"\ndriver = \"{driver}\"\nbackend = \"{backend}\"\nmodel = \"model.toml\"\n\
         registry = \"registry.toml\"\nnode = \"engine\"\nkey = \"engine.key\"\noutput = \"-\"\n\
         counters = \"counters.json\"\nfreshness_s = 5\ndrain_s = {DRAIN_S:?}\n"
    );
    let period = seconds(plan.period_ns);
    for phase in 0..plan.phases {
        let epoch = seconds(plan.epoch_ns(phase));
        for stream in plan.streams_of(phase) {
            let _ = write!(
                text,
                "\n[[streams]]\nname = \"{}\"\nid = {stream}\nperiod_s = {period}\nepoch_s = {epoch}\n\
                 close_after_s = {period}\n",
                name(stream)
            );
        }
    }
    text
}

/// Nanoseconds as seconds, all digits of them.
fn seconds(ns: i64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use centauri::serve::ServeConfig;

    #[test]
    fn a_server_reads_the_files_and_its_rounds_are_the_plans() {
        let plan = Plan {
            streams: 30,
            replicas: 4,
            faults: 1,
            liars: 0,
            period_ns: 333_333_333,
            phases: 7,
            loss: 0.01,
            seed: 2,
        };
        let folder = tempfile::tempdir().unwrap();
        let setting = Setting { driver: "epoll".to_owned(), backend: "scalar".to_owned() };
        let site = Site::new(folder.path(), &plan, &setting).unwrap();
        assert_eq!(site.replicas.len(), 4);
        let config = ServeConfig::read(&site.path("serve.toml")).unwrap();
        assert_eq!(config.streams.len(), 30);
        for (number, stream) in config.streams.iter().enumerate() {
            let id = stream.id.map(|id| id as usize);
            assert_eq!((id, stream.name.clone()), (Some(number), name(number)));
            let nanoseconds = |seconds: f64| (seconds * 1e9).round() as i64;
            let epoch = plan.epoch_ns(plan.phase_of(number));
            assert_eq!(nanoseconds(stream.epoch_s), epoch);
            assert_eq!(nanoseconds(stream.period_s), plan.period_ns);
            assert_eq!(stream.close_after_s, Some(stream.period_s));
        }
    }
}
