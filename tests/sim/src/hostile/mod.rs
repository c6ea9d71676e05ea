//! Those who do what they like: replicas with their own keys, and an outsider without one.

mod asking;
mod liar;
mod outsider;

use std::collections::VecDeque;
use std::rc::Rc;

pub(crate) use liar::by_hand;
pub(crate) use outsider::{Outsider, damaged};

/// Frames that went by, the newest of them.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    frames: VecDeque<Rc<[u8]>>,
}

/// How many are kept.
const CAPTURED_MAX: usize = 512;

impl Captured {
    pub(crate) fn push(&mut self, frame: &Rc<[u8]>) {
        if self.frames.len() == CAPTURED_MAX {
            self.frames.pop_front();
        }
        self.frames.push_back(Rc::clone(frame));
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn get(&self, at: usize) -> Option<&Rc<[u8]>> {
        self.frames.get(at)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Rc<[u8]>> {
        self.frames.iter()
    }
}
