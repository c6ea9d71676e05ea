//! The adapters there are, and which one is taken.

use crate::error::GpuError;
use wgpu::{Adapter, DeviceType, Features, Instance};

/// Which adapter to open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdapterChoice {
    /// A discrete card before an integrated one before a virtual one; a software adapter last, and only where allowed.
    #[default]
    Best,
    /// The first whose name contains this, whatever it is made of.
    Named(String),
}

/// What is known of an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterSummary {
    /// Name of the device.
    pub name: String,
    /// Name of the programming interface.
    pub backend: String,
    /// Driver and its version.
    pub driver: String,
    /// What it is made of.
    pub kind: AdapterKind,
    /// Smallest and largest subgroup; `None` without subgroup operations in compute shaders.
    pub subgroups: Option<(u32, u32)>,
    /// Most bytes of one binding that the adapter offers (the backend asks for 128 MiB).
    pub binding_bytes_max: u64,
    /// Most bytes of workgroup memory that the adapter offers (the backend asks for 16 KiB).
    pub workgroup_bytes_max: u32,
    /// Most workgroups a dimension.
    pub workgroups_max: u32,
}

/// What an adapter is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AdapterKind {
    /// A card with memory of its own.
    Discrete,
    /// A part of the processor that shares its memory.
    Integrated,
    /// A share of a card, through a hypervisor.
    Virtual,
    /// The driver does not say.
    Other,
    /// The processor itself, such as Mesa's lavapipe.
    Software,
}

impl AdapterKind {
    /// The name in listings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Other => "other",
            Self::Software => "software",
        }
    }
}

/// Every adapter of this machine, in the order of preference.
#[must_use]
pub fn adapters() -> Vec<AdapterSummary> {
    ranked(&instance()).iter().map(AdapterSummary::of).collect()
}

pub(crate) fn instance() -> Instance {
    Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN,
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    })
}

fn ranked(instance: &Instance) -> Vec<Adapter> {
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    adapters.sort_by_key(|adapter| kind(adapter.get_info().device_type));
    adapters
}

fn kind(device_type: DeviceType) -> AdapterKind {
    match device_type {
        DeviceType::DiscreteGpu => AdapterKind::Discrete,
        DeviceType::IntegratedGpu => AdapterKind::Integrated,
        DeviceType::VirtualGpu => AdapterKind::Virtual,
        DeviceType::Cpu => AdapterKind::Software,
        DeviceType::Other => AdapterKind::Other,
    }
}

impl AdapterSummary {
    pub(crate) fn of(adapter: &Adapter) -> Self {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        let with_subgroups = adapter.features().contains(Features::SUBGROUP);
        Self {
            kind: kind(info.device_type),
            name: info.name,
            backend: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            subgroups: with_subgroups.then_some((info.subgroup_min_size, info.subgroup_max_size)),
            binding_bytes_max: limits.max_storage_buffer_binding_size,
            workgroup_bytes_max: limits.max_compute_workgroup_storage_size,
            workgroups_max: limits.max_compute_workgroups_per_dimension,
        }
    }
}

/// The adapter of `choice`.
pub(crate) fn choose(
    instance: &Instance,
    choice: &AdapterChoice,
    software: bool,
) -> Result<Adapter, GpuError> {
    let mut adapters = ranked(instance);
    let found = adapters.iter().map(|a| a.get_info().name).collect::<Vec<_>>().join(", ");
    let found = if found.is_empty() { "none".to_owned() } else { found };
    let at = adapters.iter().position(|adapter| {
        let info = adapter.get_info();
        match choice {
            AdapterChoice::Best => software || kind(info.device_type) != AdapterKind::Software,
            AdapterChoice::Named(name) => info.name.contains(name.as_str()),
        }
    });
    let expected = || match choice {
        AdapterChoice::Best if software => "one".to_owned(),
        AdapterChoice::Best => "one that is not software".to_owned(),
        AdapterChoice::Named(name) => format!("one with {name:?} in its name"),
    };
    at.map(|at| adapters.swap_remove(at)).ok_or_else(|| GpuError::NoAdapter { found, expected: expected() })
}
