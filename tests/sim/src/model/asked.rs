//! What a node has asked others for: an answer to anything else is to nothing.

use std::collections::BTreeMap;

use crate::frame::{ReadAnswer, ReadRequest};

/// Requests without an answer, by who was asked and the request's number.
#[derive(Debug, Default)]
pub(crate) struct AskedOf {
    open: BTreeMap<(u32, u64), u32>,
    /// Answers to nothing that was asked, and refusals.
    pub(crate) stray: u64,
    pub(crate) refused: u64,
}

impl AskedOf {
    /// A request was sent.
    pub(crate) fn sent(&mut self, to: u32, request: &ReadRequest) {
        let key = (to, request.number);
        if request.start.is_some() {
            *self.open.entry(key).or_default() += 1;
        } else {
            self.open.remove(&key);
        }
    }

    /// An answer was accepted.
    pub(crate) fn answered(&mut self, from: u32, answer: &ReadAnswer) {
        match self.open.get_mut(&(from, answer.number)).filter(|open| **open > 0) {
            Some(open) => {
                *open -= 1;
                self.refused += u64::from(answer.outcome > 1);
            }
            None => self.stray += 1,
        }
    }
}
