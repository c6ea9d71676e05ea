//! The journal's list of streams: what a decision's stream number stands for.

use super::bytes::{Reader, push_text};
use super::limits::{NAME_BYTES_MAX, REPLICAS_MAX};

const VERSION: u8 = 1;

/// What a stream's decisions need to be read: its names, and when its rounds are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// The stream's name in the model.
    pub name: String,
    /// The replicas' names, in the order of the model.
    pub replicas: Vec<String>,
    /// When window 0 opens, in nanoseconds since the Unix epoch.
    pub epoch_ns: i64,
    /// The windows' length in nanoseconds.
    pub period_ns: i64,
    /// When a round is decided, in nanoseconds after its window opens.
    pub close_after_ns: i64,
}

impl StreamEntry {
    /// The bytes in the file; `None` for names too long or too many.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let names = || std::iter::once(&self.name).chain(&self.replicas);
        if self.replicas.len() > REPLICAS_MAX || names().any(|name| name.len() > NAME_BYTES_MAX) {
            return None;
        }
        let mut out = vec![VERSION, self.replicas.len() as u8];
        for number in [self.epoch_ns, self.period_ns, self.close_after_ns] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        names().all(|name| push_text(&mut out, name)).then_some(out)
    }

    /// What [`StreamEntry::encode`] wrote; `None` for other bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let (version, count) = (reader.u8()?, usize::from(reader.u8()?));
        if version != VERSION || count > REPLICAS_MAX {
            return None;
        }
        let (epoch_ns, period_ns, close_after_ns) = (reader.i64()?, reader.i64()?, reader.i64()?);
        let mut name = || reader.text().filter(|name| name.len() <= NAME_BYTES_MAX).map(str::to_owned);
        let entry = Self {
            name: name()?,
            replicas: (0..count).map(|_| name()).collect::<Option<_>>()?,
            epoch_ns,
            period_ns,
            close_after_ns,
        };
        reader.is_empty().then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_come_back_and_nothing_else_is_one(
            name in ".{0,20}", replicas in proptest::collection::vec(".{0,9}", 0..130), times: [i64; 3], cut in 0_usize..40,
        ) {
            let [epoch_ns, period_ns, close_after_ns] = times;
            let entry = StreamEntry { name, replicas, epoch_ns, period_ns, close_after_ns };
            match entry.encode() {
                None => prop_assert!(entry.replicas.len() > REPLICAS_MAX),
                Some(bytes) => {
                    prop_assert_eq!(StreamEntry::decode(&bytes), Some(entry));
                    if cut > 0 {
                        prop_assert_eq!(StreamEntry::decode(bytes.get(..bytes.len() - cut.min(bytes.len())).unwrap()), None);
                    }
                }
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut with_version = bytes.clone();
            with_version.insert(0, VERSION);
            let (_, _) = (StreamEntry::decode(&bytes), StreamEntry::decode(&with_version));
        }
    }
}
