//! Submissions in flight: while the device computes one, the next is encoded and the one before is read.

use crate::device::Device;
use crate::error::GpuError;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, channel};
use wgpu::{Buffer, BufferUsages, ComputePipeline, MapMode, PollType, SubmissionIndex};

/// Parameters of a dispatch, as `common.wgsl` has them.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Params {
    pub(crate) rounds: u32,
    pub(crate) replicas: u32,
    pub(crate) faults: u32,
    pub(crate) objective: u32,
    pub(crate) in_words: u32,
    pub(crate) out_words: u32,
    pub(crate) quorums: u32,
    pub(crate) quorum_begin: u32,
    pub(crate) faulty_weights: [f32; 4],
}

/// Buffers of one submission.
#[derive(Debug)]
struct Set {
    params: Buffer,
    rounds: Buffer,
    decisions: Buffer,
    readback: Buffer,
}

#[derive(Debug)]
struct Flight {
    set: Set,
    words: usize,
    submission: SubmissionIndex,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
    tag: usize,
}

/// What goes to the device in one submission.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) params: Params,
    pub(crate) rounds: &'a [u32],
    /// Kernels in the order in which they run.
    pub(crate) pipelines: &'a [ComputePipeline],
    /// Cells, their logarithms, models and quorums.
    pub(crate) tables: [&'a Buffer; 4],
    /// Handed back with the result.
    pub(crate) tag: usize,
}

/// At most `depth` submissions, in order.
#[derive(Debug)]
pub(crate) struct Ring {
    depth: usize,
    idle: Vec<Set>,
    flights: VecDeque<Flight>,
}

impl Ring {
    pub(crate) fn new(depth: usize) -> Self {
        Self { depth: depth.max(1), idle: Vec::new(), flights: VecDeque::new() }
    }

    /// Whether another submission has to wait for the oldest one.
    pub(crate) fn is_full(&self) -> bool {
        self.flights.len() >= self.depth
    }

    /// Forgets what is in flight: an earlier batch was given up.
    pub(crate) fn abandon(&mut self) {
        self.flights.clear();
    }

    pub(crate) fn submit(&mut self, device: &Device, job: &Job<'_>) -> Result<(), GpuError> {
        let words = job.params.rounds as usize * job.params.out_words as usize;
        let set = self.set(device, job.rounds.len(), words);
        device.queue.write_buffer(&set.params, 0, bytemuck::bytes_of(&job.params));
        device.queue.write_buffer(&set.rounds, 0, bytemuck::cast_slice(job.rounds));
        let bind_group = bind(device, &set, job);
        let mut encoder = device.device.create_command_encoder(&Default::default());
        {
            let mut compute = encoder.begin_compute_pass(&Default::default());
            compute.set_bind_group(0, &bind_group, &[]);
            for pipeline in job.pipelines {
                compute.set_pipeline(pipeline);
                compute.dispatch_workgroups(job.params.rounds, 1, 1);
            }
        }
        let bytes = words as u64 * 4;
        encoder.copy_buffer_to_buffer(&set.decisions, 0, &set.readback, 0, bytes);
        let submission = device.queue.submit([encoder.finish()]);
        let (sender, mapped) = channel();
        set.readback.map_async(MapMode::Read, 0..bytes, move |result| {
            // Nobody listens any more once the flight was given up.
            let _ = sender.send(result);
        });
        self.flights.push_back(Flight { set, words, submission, mapped, tag: job.tag });
        device.check()
    }

    /// Waits for the oldest submission and appends its decisions to `words`; gives its tag. `None` if nothing is in flight.
    pub(crate) fn collect(
        &mut self,
        device: &Device,
        words: &mut Vec<u32>,
    ) -> Result<Option<usize>, GpuError> {
        let Some(flight) = self.flights.pop_front() else { return Ok(None) };
        let waited = device
            .device
            .poll(PollType::Wait { submission_index: Some(flight.submission.clone()), timeout: None });
        device.check()?;
        waited.map_err(|e| GpuError::Failed(e.to_string()))?;
        let failed = |message: String| device.check().err().unwrap_or(GpuError::Failed(message));
        match flight.mapped.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(failed(e.to_string())),
            Err(e) => return Err(failed(e.to_string())),
        }
        {
            let bytes = flight.words as u64 * 4;
            let view = flight.set.readback.get_mapped_range(0..bytes).map_err(|e| failed(e.to_string()))?;
            words.extend_from_slice(bytemuck::cast_slice(&view));
        }
        flight.set.readback.unmap();
        self.idle.push(flight.set);
        Ok(Some(flight.tag))
    }

    /// An idle set that is large enough, or a new one.
    fn set(&mut self, device: &Device, in_words: usize, out_words: usize) -> Set {
        let fits = |set: &Set| {
            set.rounds.size() >= in_words as u64 * 4 && set.decisions.size() >= out_words as u64 * 4
        };
        if let Some(at) = self.idle.iter().position(fits) {
            return self.idle.swap_remove(at);
        }
        // A set that is too small for this will be so again.
        self.idle.pop();
        let create = |words: usize, usage| {
            device.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: words.next_power_of_two() as u64 * 4,
                usage,
                mapped_at_creation: false,
            })
        };
        Set {
            params: create(size_of::<Params>() / 4, BufferUsages::UNIFORM | BufferUsages::COPY_DST),
            rounds: create(in_words, BufferUsages::STORAGE | BufferUsages::COPY_DST),
            decisions: create(out_words, BufferUsages::STORAGE | BufferUsages::COPY_SRC),
            readback: create(out_words, BufferUsages::MAP_READ | BufferUsages::COPY_DST),
        }
    }
}

fn bind(device: &Device, set: &Set, job: &Job<'_>) -> wgpu::BindGroup {
    let [cells, ln_cells, models, quorums] = job.tables;
    let buffers = [&set.params, cells, ln_cells, models, &set.rounds, quorums, &set.decisions];
    let entries: Vec<wgpu::BindGroupEntry<'_>> = (0u32..)
        .zip(buffers)
        .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
        .collect();
    device.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &device.layout,
        entries: &entries,
    })
}
