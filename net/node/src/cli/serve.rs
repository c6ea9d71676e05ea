//! `centauri serve`: runs the engine server.

use crate::backends::BackendChoice;
use crate::serve::{ServeConfig, serve};
use std::path::PathBuf;

/// Run the engine server: it listens for signed frames of replicas, assembles rounds of many streams, and writes a
/// decision for each at its deadline, as JSON Lines.
///
/// Late, stale, replayed, forged, unknown and malformed messages are dropped and counted by cause. SIGINT and SIGTERM end
/// it: open rounds are decided at their deadlines, the counters are written, and it leaves with 0. A second signal decides
/// them at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example configuration:
  listen   = \"0.0.0.0:7700\"
  model    = \"model.toml\"       # paths are relative to this file
  registry = \"registry.toml\"
  node     = \"engine\"           # the server's own name in the registry
  key      = \"engine.key\"       # made by `centauri keygen`
  output   = \"decisions.jsonl\"  # default: -, standard output
  # proofs = \"proofs\"           # default: none are kept; two signed values of one node for one round, each pair in a file
  # shards = 4                  # default: 1; so many threads divide senders and streams among them

  [[streams]]
  name     = \"road/7\"           # as in the model
  id       = 7                  # as in the replicas' frames
  period_s = 1.0                # a round a second; window 0 opens at epoch_s (default 0, Unix time)
  # close_after_s = 1.5         # default: the model's output deadline and link deadline together
  # spreads = true              # default: false; replicas of a later stage say how sure they are: that is added to the noise

  [[streams]]                   # one that replicas compute because they are asked
  name     = \"road/a\"
  query    = \"mean(road/a/*) over 60s by 61s\"  # names of the replicas' catalogues; no id
  period_s = 30.0               # a window every so often, counted from the Unix epoch
  # validity_s = 20             # default: all of a window counts; else only readings this young at its close

  [[upstreams]]                 # a replica that is asked for its streams of those above
  node     = \"replica-1\"
  address  = \"10.0.0.1:7702\"

  [tcp]                         # default: none; frames, each after its length (4 bytes); clients may follow on them
  listen   = \"0.0.0.0:7700\"

  [http]                        # default: none; lists, reasons, events, metrics and a page: docs/HTTP.md
  listen   = \"0.0.0.0:7780\"
  tokens   = \"tokens.toml\"      # made by `centauri token`
  tls_certificate = \"engine.pem\"  # default: no TLS
  tls_key  = \"engine-key.pem\"
  [journal]                     # default: none; decisions and distributions that outlive the process
  path     = \"centauri.journal\" # read it with `centauri journal`; after any end nothing is accepted or decided twice
  # keep_s = 604800             # a week; and keep_bytes = 1073741824, commit_ms = 100, clock_ahead_s = 1

`--print-config` shows the keys that are not in this example, with their defaults.

The log goes to standard error; RUST_LOG=debug shows more of it.")]
pub(super) struct Arguments {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE.toml")]
    config: PathBuf,
    /// How datagrams are received, instead of what the configuration says: auto, io_uring or epoll.
    #[arg(long, value_name = "DRIVER")]
    driver: Option<String>,
    /// What decides, instead of what the configuration says: see `centauri backends`.
    #[arg(long, value_name = "NAME", value_enum)]
    backend: Option<BackendChoice>,
    #[command(flatten)]
    calibration: super::backends::CalibrationFile,
    /// Print the configuration in force, every key with its value, as TOML that --config takes, and do not serve.
    #[arg(long)]
    print_config: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut config = ServeConfig::read(&arguments.config)?;
    if let Some(driver) = &arguments.driver {
        config.driver.clone_from(driver);
    }
    if arguments.calibration.file.is_some() {
        config.calibration.clone_from(&arguments.calibration.file);
    }
    config.backend = arguments.backend.unwrap_or(config.backend);
    if arguments.print_config {
        return super::print(&config.to_toml()?);
    }
    serve(config, &*super::signals::counted()?)
}
