//! Writes the WGSL text of every variant of every kernel into a folder, for tools that read WGSL.
//!
//! `cargo run -p centauri-gpu --example wgsl -- DIR`

use centauri_gpu::Variant;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: wgsl DIR");
        std::process::exit(2);
    };
    std::fs::create_dir_all(&folder)?;
    for variant in Variant::all() {
        for subgroups in [false, true] {
            let name = format!("{variant}{}.wgsl", if subgroups { "-subgroups" } else { "" });
            std::fs::write(Path::new(&folder).join(name), variant.text(subgroups))?;
        }
    }
    Ok(())
}
