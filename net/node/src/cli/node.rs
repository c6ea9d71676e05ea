//! `centauri node`: runs a source, a replica, the monitor or a client.

use crate::nodes::{NodeConfig, run as run_node};
use std::path::PathBuf;

/// Run a data source, a replica, the monitor, or a client that follows decisions.
///
/// A source streams readings to whoever asks. A replica computes on windows of them, unasked or because a request asks for it, and
/// streams the results; a replica of a later stage decides first on what replicas report. The monitor learns distributions
/// from samples and publishes them. A client subscribes to an engine's decisions by signed datagrams and writes them as lines of JSON (`centauri
/// watch` follows by HTTP). The engine server that decides for clients is `centauri serve`.
///
/// SIGINT and SIGTERM end it: what was asked for is cancelled, the counters are written, and it leaves with 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example of a source (readings one a line on standard input; or a CSV file of Unix seconds and values):
  listen   = \"0.0.0.0:7701\"
  registry = \"registry.toml\"       # paths are relative to this file
  node     = \"road-a-1\"            # the node's own name in the registry
  key      = \"road-a-1.key\"        # made by `centauri keygen`
  [source]
  stream   = 5
  name     = \"road/a/1\"
  readings = \"-\"

Example of a replica (listen, registry, node, key as above):
  [replica]
  samples = { monitor = \"10.0.0.9:7709\" }
  [[replica.catalogue]]             # what it can compute from, also on request: `mean(road/a/*) over 60s`
  name = \"road/a/1\"
  node = \"road-a-1\"
  stream = 5
  address = \"10.0.0.1:7701\"
  [[replica.streams]]               # what it computes unasked
  id = 1
  name = \"road/a\"
  computation = \"mean\"
  sources = [\"road/a/*\"]
  period_s = 1.0                    # length_s for sliding windows
  deadline_s = 1.2
  latency = \"hop\"                   # samples for the monitor

A replica of a later stage has besides `[replica.decides]` with model, streams and upstreams as `centauri serve` has them, and may
name the streams it decides among the sources of its own.

Example of a monitor:
  [monitor]
  targets = [\"10.0.0.5:7700\"]
  [[monitor.distributions]]
  name = \"hop\"
  kind = \"latency\"                  # or output
  family = \"auto\"
  faults = 1

Example of a client:
  [client]
  engine  = \"engine\"
  address = \"10.0.0.5:7700\"
  streams = { \"road/a\" = 1 }        # numbers as in the engine's configuration

The log goes to standard error; RUST_LOG=debug shows more of it.")]
pub(super) struct Arguments {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE.toml")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = NodeConfig::read(&arguments.config)?;
    run_node(&config, &*super::signals::counted()?)
}
