//! Every variant of every shader is valid WGSL.

use centauri_gpu::Variant;

#[test]
fn naga_validates_every_variant_of_every_kernel() {
    for variant in Variant::all() {
        for subgroups in [false, true] {
            let text = variant.text(subgroups);
            let module = naga::front::wgsl::parse_str(&text)
                .unwrap_or_else(|e| panic!("{variant:?}: {}", e.emit_to_string(&text)));
            let mut capabilities = naga::valid::Capabilities::empty();
            if subgroups {
                capabilities |= naga::valid::Capabilities::SUBGROUP;
            }
            let mut validator =
                naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
            validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
            validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
            let mut layouter = naga::proc::Layouter::default();
            layouter.update(module.to_ctx()).expect("sizes of types");
            let workgroup =
                module.global_variables.iter().filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup);
            let bytes: u32 = workgroup.map(|(_, v)| layouter[v.ty].size.next_multiple_of(16)).sum();
            assert!(
                bytes <= 16_384,
                "{variant:?}: {bytes} bytes of workgroup memory, WebGPU guarantees 16,384"
            );
            if let Err(error) = validator.validate(&module) {
                panic!("{variant:?}, subgroups {subgroups}: {}", error.emit_to_string(&text));
            }
        }
    }
}
