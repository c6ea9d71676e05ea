//! A fingerprint of everything that the nodes did.

use centauri_roles::{Decided, Effect, Effects};

/// Fowler, Noll and Vo's hash (FNV-1a, 64 bits) over all effects in order: two runs that do the same have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace(u64);

impl Default for Trace {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Trace {
    /// The fingerprint so far.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }

    /// Takes in bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Takes in a number.
    pub fn number(&mut self, number: i64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Takes in what a node did at a time.
    pub fn step(&mut self, at_ns: i64, node: u32, effects: &Effects) {
        self.number(at_ns);
        self.number(i64::from(node));
        for effect in effects.iter() {
            match effect {
                Effect::Send { to, bytes } => {
                    self.bytes(to.to_string().as_bytes());
                    self.bytes(bytes);
                }
                Effect::Decided(decided) => self.decided(&decided),
                Effect::Published { name, distribution } => {
                    self.bytes(format!("{name} {distribution:?}").as_bytes());
                }
                Effect::Followed(followed) => self.bytes(format!("{followed:?}").as_bytes()),
                Effect::Proof { node, proof } => {
                    self.number(i64::from(node.0));
                    self.bytes(proof.first);
                    self.bytes(proof.second);
                }
                Effect::Note(note) => self.bytes(format!("{note:?}").as_bytes()),
            }
        }
    }

    fn decided(&mut self, decided: &Decided<'_>) {
        // `Debug` writes floats with all their digits, so that nothing is lost.
        let Decided { stream, round, deadline_ns, closed_ns, decision, honest, reports } = decided;
        for number in [i64::from(stream.0), *round, *deadline_ns, *closed_ns] {
            self.number(number);
        }
        self.bytes(format!("{decision:?} {honest:?} {reports:?}").as_bytes());
    }
}
