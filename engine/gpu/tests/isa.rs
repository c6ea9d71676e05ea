//! What Mesa's compiler for Radeon cards makes of the kernels, on a machine without such a card.
//!
//! RADV compiles for a card that isn't there where `RADV_FORCE_FAMILY` names one, and tells what each program needs by
//! `VK_KHR_pipeline_executable_properties`. This prints the table of `shaders/README.md`:
//!
//! `cargo test -p centauri-gpu --test isa -- --nocapture`

use ash::vk;
use centauri_gpu::Variant;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::Path;
use std::process::Command;

/// Mesa's driver for Radeon cards.
const DRIVER: &str = "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json";
const FAMILIES: [(&str, &str); 2] = [("gfx1100", "Navi 31"), ("navi21", "Navi 21")];
/// Begins the lines that the child process prints for its parent.
const MARK: &str = "isa:";
const WORKGROUP_BYTES_MAX: u64 = 16_384;
const WAVES_MIN: u64 = 16;
/// Supports up to which all kernels keep every wave; with larger ones the weights take workgroup memory.
const POINTS_FULL: u32 = 64;

#[test]
fn kernels_fit_the_cards() {
    if !Path::new(DRIVER).exists() {
        let required = std::env::var("CENTAURI_REQUIRE_GPU").is_ok_and(|v| v == "1");
        assert!(!required, "CENTAURI_REQUIRE_GPU=1, but {DRIVER} is not there");
        println!("skipped: {DRIVER} is not there");
        return;
    }
    for (family, card) in FAMILIES {
        let output = Command::new(std::env::current_exe().expect("this test's path"))
            .args(["--exact", "compile_every_kernel", "--ignored", "--nocapture"])
            .env("VK_DRIVER_FILES", DRIVER)
            .env("VK_ICD_FILENAMES", DRIVER)
            .env("RADV_FORCE_FAMILY", family)
            .output()
            .expect("this test runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{card}: {text}{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(MARK)).collect();
        assert_eq!(lines.len(), 2 * Variant::all().len(), "{text}");
        for line in lines {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let number = |i: usize| fields[i].parse::<u64>().expect("a number");
            let (registers, spills, scratch, bytes, waves) =
                (number(2), number(3), number(4), number(5), number(6));
            println!(
                "{card}: {} {}: {registers} registers, {bytes} bytes, {waves} waves",
                fields[0], fields[1]
            );
            assert_eq!((spills, scratch), (0, 0), "{card}: {line}");
            assert!(bytes <= WORKGROUP_BYTES_MAX, "{card}: {line}");
            let full = fields[7].parse::<u32>().expect("points") <= POINTS_FULL;
            assert!(!full || waves >= WAVES_MIN, "{card}: {line}");
        }
    }
}

/// Runs in a process of its own, which [`kernels_fit_the_cards`] starts: the driver reads its settings once.
#[test]
#[ignore = "started by kernels_fit_the_cards"]
fn compile_every_kernel() {
    let card = Card::open();
    for variant in Variant::all() {
        for subgroups in [false, true] {
            let told = card.compile(&spirv(&variant.text(subgroups)));
            let get = |name: &str| *told.get(name).unwrap_or_else(|| panic!("{name} among {told:?}"));
            println!(
                "\n{MARK}{variant} {} {} {} {} {} {} {}",
                if subgroups { "subgroups" } else { "shared" },
                get("VGPRs"),
                get("Spilled VGPRs") + get("Spilled SGPRs"),
                get("Scratch size"),
                get("LDS size"),
                get("Subgroups per SIMD"),
                variant.points,
            );
        }
    }
}

/// As wgpu translates it: indices are held inside their buffers, workgroup memory is not cleared.
fn spirv(wgsl: &str) -> Vec<u32> {
    use naga::back::spv;
    let module = naga::front::wgsl::parse_str(wgsl).expect("valid WGSL");
    let mut validator =
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::SUBGROUP);
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
    validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    let info = validator.validate(&module).expect("valid WGSL");
    let restrict = naga::proc::BoundsCheckPolicy::Restrict;
    let options = spv::Options {
        lang_version: (1, 3),
        bounds_check_policies: naga::proc::BoundsCheckPolicies {
            index: restrict,
            buffer: restrict,
            ..Default::default()
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        ..Default::default()
    };
    let entry =
        spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".to_owned() };
    spv::write_vec(&module, &info, &options, Some(&entry)).expect("SPIR-V")
}

/// The card that isn't there.
struct Card {
    // Held so that the functions stay loaded.
    _entry: ash::Entry,
    device: ash::Device,
    told: ash::khr::pipeline_executable_properties::Device,
    layout: vk::PipelineLayout,
}

impl Card {
    fn open() -> Self {
        // SAFETY: the loader's library has no requirements on being loaded; every handle below comes from the call before it,
        // and the structures that are pointed to live until their call returns. Nothing is destroyed while in use: the process
        // ends first.
        unsafe {
            let entry = ash::Entry::load().expect("a Vulkan loader");
            let version = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_2);
            let wanted = vk::InstanceCreateInfo::default().application_info(&version);
            let instance = entry.create_instance(&wanted, None).expect("an instance");
            let physical = instance.enumerate_physical_devices().expect("devices")[0];
            let priorities = [1.0];
            let queue = [vk::DeviceQueueCreateInfo::default().queue_priorities(&priorities)];
            let extensions = [ash::khr::pipeline_executable_properties::NAME.as_ptr()];
            let mut info = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default()
                .pipeline_executable_info(true);
            let mut memory = vk::PhysicalDeviceVulkanMemoryModelFeatures::default().vulkan_memory_model(true);
            let wanted = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queue)
                .enabled_extension_names(&extensions)
                .push_next(&mut info)
                .push_next(&mut memory);
            let device = instance.create_device(physical, &wanted, None).expect("a device");
            let told = ash::khr::pipeline_executable_properties::Device::new(&instance, &device);
            let layout = layout(&device);
            Self { _entry: entry, device, told, layout }
        }
    }

    /// What the driver tells of the program, by name.
    fn compile(&self, words: &[u32]) -> BTreeMap<String, u64> {
        // SAFETY: as above; the handles are this device's, and module and pipeline are destroyed after their last use.
        unsafe {
            let module = vk::ShaderModuleCreateInfo::default().code(words);
            let module = self.device.create_shader_module(&module, None).expect("a module");
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(c"main");
            let wanted = [vk::ComputePipelineCreateInfo::default()
                .stage(stage)
                .layout(self.layout)
                .flags(vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR)];
            let built = self.device.create_compute_pipelines(vk::PipelineCache::null(), &wanted, None);
            let pipeline = built.expect("a pipeline")[0];
            let program = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
            let figures = self.told.get_pipeline_executable_statistics(&program).expect("figures");
            let whole = vk::PipelineExecutableStatisticFormatKHR::UINT64;
            let told = figures
                .iter()
                .filter(|figure| figure.format == whole)
                .map(|figure| {
                    let name = CStr::from_ptr(figure.name.as_ptr()).to_string_lossy().into_owned();
                    (name, figure.value.u64)
                })
                .collect();
            self.device.destroy_pipeline(pipeline, None);
            self.device.destroy_shader_module(module, None);
            told
        }
    }
}

/// The kernels' seven bindings.
///
/// # Safety
/// The device is alive.
unsafe fn layout(device: &ash::Device) -> vk::PipelineLayout {
    let bindings: Vec<_> = (0..7)
        .map(|binding| {
            let uniform = binding == 0;
            vk::DescriptorSetLayoutBinding::default()
                .binding(binding)
                .descriptor_type(if uniform {
                    vk::DescriptorType::UNIFORM_BUFFER
                } else {
                    vk::DescriptorType::STORAGE_BUFFER
                })
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        })
        .collect();
    let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
    // SAFETY: the device is alive; the structures live until the calls return.
    unsafe {
        let sets = [device.create_descriptor_set_layout(&set, None).expect("a set layout")];
        let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
        device.create_pipeline_layout(&layout, None).expect("a layout")
    }
}
