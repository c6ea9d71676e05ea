//! `centauri node`: runs a source, a replica, the monitor or a client.

use crate::nodes::{NodeConfig, run as run_node};
use std::path::PathBuf;

/// Run a data source, a replica, the monitor, or a client that follows decisions.
///
/// A source streams readings to whoever asks. A replica computes on windows of them, unasked or because a request asks for it, and
/// streams the results; a replica of a later stage decides first on what replicas report. The monitor learns distributions
/// from samples and publishes them. A client subscribes to an engine's decisions, signed, by UDP or TCP, and writes them as lines of JSON (`centauri
/// watch` follows by HTTP). The engine server that decides for clients is `centauri serve`.
///
/// SIGINT and SIGTERM end it: what was asked for is cancelled, the counters are written, and it leaves with 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every configuration begins with:
  listen   = \"0.0.0.0:7701\"
  registry = \"registry.toml\"       # paths are relative to this file
  node     = \"road-a-1\"            # the node's own name in the registry
  key      = \"road-a-1.key\"        # made by `centauri keygen`
  # counters = \"counters.json\"     # default: standard error, at the end
  # journal = { path = \"road-a-1.journal\" }  # default: none; after any end nothing is accepted or given out
                                     # twice, and whom it served it serves again (`centauri journal info`)

A source goes on with:
  [source]
  stream   = 5
  name     = \"road/a/1\"            # what it can be asked for by
  readings = \"-\"                   # lines of standard input; or a CSV file

A line is a number, which counts as read when it comes, or Unix seconds, a comma and a number. A file has
lines of the second kind, after a line of names if you like; each reading is sent when its time comes.

A replica:
  [replica]
  samples = { monitor = \"10.0.0.9:7709\" }
  [[replica.catalogue]]             # what it can compute from, also when an engine asks for a
  name = \"road/a/1\"               # query such as `mean(road/a/*) over 60s` (see `centauri serve`)
  node = \"road-a-1\"               # who sends it
  stream = 5
  address = \"10.0.0.1:7701\"       # where that node listens
  [[replica.streams]]               # what it computes unasked; may be left out
  id = 1
  name = \"road/a\"
  computation = \"mean\"            # count, sum, mean, min, max, last or identity
  sources = [\"road/a/*\"]          # names of the catalogue; * stands for anything
  period_s = 1.0                    # a window opens so often; length_s for longer or shorter ones
  deadline_s = 1.2                  # the result goes out so long after its window opens
  latency = \"hop\"                 # samples for the monitor; also: residuals, steps

A replica of a later stage decides first on what other replicas report, and may name what it decides:
  [[replica.streams]]
  id = 2
  name = \"town\"
  computation = \"mean\"
  sources = [\"road/a\"]
  period_s = 1.0
  deadline_s = 3.0                  # later than the decision
  [replica.decides]                 # model, streams and upstreams as `centauri serve` has them
  model = \"model.toml\"
  [[replica.decides.streams]]
  name = \"road/a\"
  id = 1
  period_s = 1.0
  close_after_s = 2.0
  # spreads = true                  # where those replicas decide, too: what they say of their spread is added to the noise
  [[replica.decides.upstreams]]
  node = \"replica-1\"
  address = \"10.0.0.2:7702\"

A monitor:
  [monitor]
  targets = [\"10.0.0.5:7700\"]     # who is told: engines, and replicas of a later stage
  [[monitor.distributions]]
  name = \"hop\"                    # as in the model and in the replicas' samples
  kind = \"latency\"                # or output
  family = \"auto\"                 # or normal, exponential, ...
  faults = 1                        # so many of the senders may lie; 2*faults + 1 must have sent

A key that is not in these examples is shown by `--print-config`, with its default.

Example of a client:
  [client]
  engine  = \"engine\"
  address = \"10.0.0.5:7700\"
  streams = { \"road/a\" = 1 }        # numbers as in the engine's configuration
  # transport = \"tcp\"               # default: udp; address is then that of the engine's [tcp]

The log goes to standard error; RUST_LOG=debug shows more of it.")]
pub(super) struct Arguments {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE.toml")]
    config: PathBuf,
    /// Print the configuration in force, every key with its value, as TOML that --config takes, and run nothing.
    #[arg(long)]
    print_config: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = NodeConfig::read(&arguments.config)?;
    if arguments.print_config {
        return super::print(&config.to_toml()?);
    }
    run_node(&config, &*super::signals::counted()?)
}
