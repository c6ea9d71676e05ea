//! `centauri verify-proof`: checks a proof that a node signed two values for one round.

use crate::serve::read_registry;
use anyhow::{Context, anyhow};
use centauri_wire::{Equivocation, EquivocationProof};
use std::path::PathBuf;

/// Check a proof that a node signed two different values for one round, offline.
///
/// A proof holds both signed frames. Whoever has the node's public key can check it, at any time; it does not matter who shows it.
/// `centauri serve` writes proofs into the folder that its configuration names as `proofs`. Exit codes: 0 the proof holds, 2 it does
/// not, or a file cannot be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  centauri verify-proof --registry registry.toml proofs/replica-3-1-1764176520.proof")]
pub(super) struct Arguments {
    /// The registry file with the nodes' public keys.
    #[arg(long, value_name = "FILE.toml")]
    registry: PathBuf,
    /// Print the finding as JSON.
    #[arg(long)]
    json: bool,
    /// The proof.
    #[arg(value_name = "FILE.proof")]
    proof: PathBuf,
}

/// No proof is longer: two frames of the largest kind.
const PROOF_BYTES_MAX: u64 = 2 * 65_536 + 64;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let registry = read_registry(&arguments.registry)?;
    let name = || arguments.proof.display().to_string();
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&arguments.proof).with_context(name)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, PROOF_BYTES_MAX), &mut bytes)
        .with_context(name)?;
    let proven =
        EquivocationProof::parse(&bytes).and_then(|proof| proof.verify(&registry)).with_context(name)?;
    let Equivocation { node, stream, round, values: [first, second], timestamps_ns } = proven;
    let entry = registry.by_id(node).ok_or_else(|| anyhow!("node {node} is not in the registry"))?;
    if arguments.json {
        let found = serde_json::json!({
            "node": entry.name, "id": node.0, "role": entry.role, "stream": stream.0, "round": round,
            "values": [first, second], "timestamps_ns": timestamps_ns,
        });
        println!("{found}");
    } else {
        println!(
            "proven: {} (node {node}) signed {first} and {second} for round {round} of stream {stream}",
            entry.name
        );
    }
    Ok(())
}
