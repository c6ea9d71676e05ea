//! A device, its pipelines, and what it says when it fails.

use crate::adapters::{AdapterChoice, AdapterSummary, choose, instance};
use crate::error::GpuError;
use crate::kernels::Variant;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use wgpu::{
    BindGroupLayout, BindGroupLayoutEntry, BindingType, BufferBindingType, ComputePipeline, Features, Limits,
    PipelineLayout, ShaderStages,
};

/// How many bindings a kernel has: the parameters, five inputs and the decisions.
pub(crate) const BINDINGS: u32 = 7;

/// An open device.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) layout: BindGroupLayout,
    pub(crate) adapter: AdapterSummary,
    pub(crate) limits: Limits,
    pipeline_layout: PipelineLayout,
    pipelines: BTreeMap<Variant, ComputePipeline>,
    subgroups: bool,
    trouble: Trouble,
}

/// The first thing that went wrong, told by the driver at any time and on any thread.
#[derive(Clone, Debug, Default)]
struct Trouble(Arc<Mutex<Option<GpuError>>>);

impl Trouble {
    fn set(&self, error: GpuError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn get(&self) -> Option<GpuError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Device {
    /// Opens the adapter of `choice` with WebGPU's default limits.
    pub(crate) fn open(choice: &AdapterChoice, software: bool, subgroups: bool) -> Result<Self, GpuError> {
        let adapter = choose(&instance(), choice, software)?;
        let summary = AdapterSummary::of(&adapter);
        let subgroups = subgroups && summary.subgroups.is_some();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("centauri"),
            required_features: if subgroups { Features::SUBGROUP } else { Features::empty() },
            required_limits: Limits::default(),
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|e| GpuError::NoDevice { adapter: summary.name.clone(), message: e.to_string() })?;
        let trouble = Trouble::default();
        let told = trouble.clone();
        device.set_device_lost_callback(move |_, message| told.set(GpuError::Lost(message)));
        let told = trouble.clone();
        device.on_uncaptured_error(Arc::new(move |error| told.set(spoken(error))));
        let (layout, pipeline_layout) = layouts(&device);
        let limits = device.limits();
        Ok(Self {
            device,
            queue,
            layout,
            adapter: summary,
            limits,
            pipeline_layout,
            pipelines: BTreeMap::new(),
            subgroups,
            trouble,
        })
    }

    /// Whether the kernels use subgroup operations.
    pub(crate) fn with_subgroups(&self) -> bool {
        self.subgroups
    }

    /// An error as soon as anything has gone wrong.
    pub(crate) fn check(&self) -> Result<(), GpuError> {
        self.trouble.get().map_or(Ok(()), Err)
    }

    /// The pipeline of `variant`, built when it is first asked for.
    pub(crate) fn pipeline(&mut self, variant: Variant) -> Result<ComputePipeline, GpuError> {
        if let Some(pipeline) = self.pipelines.get(&variant) {
            return Ok(pipeline.clone());
        }
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(variant.text(self.subgroups).into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: Some(&self.pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every kernel writes what it reads.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        self.check()?;
        self.pipelines.insert(variant, pipeline.clone());
        Ok(pipeline)
    }
}

fn spoken(error: wgpu::Error) -> GpuError {
    match error {
        wgpu::Error::OutOfMemory { source } => GpuError::OutOfMemory(source.to_string()),
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            GpuError::Failed(description)
        }
    }
}

fn layouts(device: &wgpu::Device) -> (BindGroupLayout, PipelineLayout) {
    let entries: Vec<BindGroupLayoutEntry> = (0..BINDINGS)
        .map(|binding| BindGroupLayoutEntry {
            binding,
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer {
                ty: match binding {
                    0 => BufferBindingType::Uniform,
                    _ => BufferBindingType::Storage { read_only: binding + 1 < BINDINGS },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    let layout =
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&layout)],
        ..Default::default()
    });
    (layout, pipeline_layout)
}
