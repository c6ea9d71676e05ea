//! A growing buffer on the device, of which stretches are handed out and taken back.

use crate::device::Device;
use crate::error::GpuError;
use std::collections::BTreeMap;
use wgpu::{Buffer, BufferUsages};

/// Words at first.
const WORDS_MIN: u32 = 1 << 14;

/// Stretches of 32-bit words in one buffer.
#[derive(Debug)]
pub(crate) struct Arena {
    buffer: Buffer,
    words: u32,
    /// Free stretches, by their beginning.
    free: BTreeMap<u32, u32>,
}

impl Arena {
    pub(crate) fn new(device: &Device) -> Self {
        Self { buffer: buffer(device, WORDS_MIN), words: WORDS_MIN, free: BTreeMap::from([(0, WORDS_MIN)]) }
    }

    pub(crate) fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Finds room for `words`; `None` where the largest binding has none.
    pub(crate) fn take(&mut self, device: &Device, words: u32) -> Result<Option<u32>, GpuError> {
        loop {
            let fits = self.free.iter().find(|(_, length)| **length >= words);
            if let Some((&begin, &length)) = fits {
                self.free.remove(&begin);
                if length > words {
                    self.free.insert(begin + words, length - words);
                }
                return Ok(Some(begin));
            }
            if !self.grow(device, words)? {
                return Ok(None);
            }
        }
    }

    /// Takes a stretch back, and joins it with free ones beside it.
    pub(crate) fn give_back(&mut self, begin: u32, words: u32) {
        let (mut begin, mut words) = (begin, words);
        if let Some((&left, &length)) = self.free.range(..begin).next_back()
            && left + length == begin
        {
            self.free.remove(&left);
            (begin, words) = (left, length + words);
        }
        if let Some(length) = self.free.remove(&(begin + words)) {
            words += length;
        }
        self.free.insert(begin, words);
    }

    pub(crate) fn write(&self, device: &Device, begin: u32, content: &[u32]) {
        device.queue.write_buffer(&self.buffer, u64::from(begin) * 4, bytemuck::cast_slice(content));
    }

    /// Doubles the buffer until `more` words fit behind the present ones.
    fn grow(&mut self, device: &Device, more: u32) -> Result<bool, GpuError> {
        let most = device.limits.max_storage_buffer_binding_size.min(device.limits.max_buffer_size) / 4;
        let wanted = u64::from(self.words) + u64::from(more);
        if wanted > most {
            return Ok(false);
        }
        let words = wanted.next_power_of_two().min(most) as u32;
        let larger = buffer(device, words);
        let mut encoder = device.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.buffer, 0, &larger, 0, u64::from(self.words) * 4);
        device.queue.submit([encoder.finish()]);
        device.check()?;
        self.buffer = larger;
        let before = self.words;
        self.words = words;
        self.give_back(before, words - before);
        Ok(true)
    }
}

fn buffer(device: &Device, words: u32) -> Buffer {
    device.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(words) * 4,
        usage: BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}
