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
            if let Err(error) = validator.validate(&module) {
                panic!("{variant:?}, subgroups {subgroups}: {}", error.emit_to_string(&text));
            }
        }
    }
}
