//! Proofs of equivocation: a file each, and in the journal.

use crate::journal::JournalHandle;
use centauri_wire::{EquivocationProof, NodeId, Registry, StreamId};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most proofs that one thread writes: a node that equivocates all the time must not fill the disk.
const PROOFS_MAX: usize = 1_024;

/// The kind of state that proofs are.
const PROOFS: &str = "proof";

/// Where proofs go.
#[derive(Clone)]
pub(crate) struct Proofs {
    folder: Option<PathBuf>,
    registry: Arc<Registry>,
    written: usize,
    journal: Option<JournalHandle>,
    kept: usize,
}

impl Proofs {
    /// A folder, which is made if it is not there; without one nothing is written.
    ///
    /// # Errors
    /// What the file system reports.
    pub(crate) fn open(folder: Option<&Path>, registry: Arc<Registry>) -> std::io::Result<Self> {
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder)?;
        }
        Ok(Self { folder: folder.map(Path::to_owned), registry, written: 0, journal: None, kept: 0 })
    }

    /// Proofs that go into a journal, too, under the node's number, the stream's and the round.
    pub(crate) fn with_journal(self, journal: Option<JournalHandle>) -> Self {
        Self { journal, ..self }
    }

    fn keep(&mut self, node: NodeId, proof: &EquivocationProof<'_>, (stream, round): (StreamId, i64)) {
        if let Some(journal) = self.journal.as_ref().filter(|_| self.kept < PROOFS_MAX) {
            let key = [&node.0.to_le_bytes()[..], &stream.0.to_le_bytes(), &round.to_le_bytes()].concat();
            self.kept += usize::from(journal.put_state(PROOFS, &key, &proof.encode()));
        }
    }

    /// Writes a proof and says where; a disk that fails is said, too.
    pub(crate) fn take(&mut self, node: NodeId, proof: &EquivocationProof<'_>) {
        let name = self.registry.by_id(node).map_or_else(|| node.to_string(), |entry| entry.name.clone());
        // What is told was checked on the way in; it is checked again here as whoever is shown it will.
        let Ok(proven) = proof.verify(&self.registry) else {
            tracing::warn!(node = %name, "has signed two values for one round, but the proof does not hold");
            return;
        };
        let round = proven.round;
        self.keep(node, proof, (proven.stream, round));
        let Some(folder) = self.folder.as_ref().filter(|_| self.written < PROOFS_MAX) else {
            tracing::warn!(node = %name, round, "has signed two values for one round");
            return;
        };
        let file = folder.join(format!("{name}-{}-{round}.proof", proven.stream));
        // A proof of the same that is there already is as good.
        let written = if file.exists() { Ok(()) } else { std::fs::write(&file, proof.encode()) };
        self.written += 1;
        match written {
            Ok(()) => {
                let file = file.display();
                tracing::warn!(node = %name, round, proof = %file, "has signed two values for one round");
            }
            Err(error) => tracing::error!(%error, file = %file.display(), "a proof could not be written"),
        }
    }
}
