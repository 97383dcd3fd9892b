//! `ebm device`: the adapters, and what the chosen one offers.

use super::choose_device::{choice, name_the_oracle};
use super::output::say;
use crate::error::Result;
use crate::gpu::{INSTALL_HINT, adapters, choose_adapter, describe};
use std::fmt::Write;

#[derive(clap::Args)]
pub struct Args {
    /// auto, oracle, an adapter's number in `ebm device`, or a part of its name [default: $EBM_DEVICE, else auto]
    #[arg(long)]
    device: Option<String>,
}

pub fn run(args: &Args) -> Result<()> {
    let list = pollster::block_on(adapters());
    for (number, adapter) in list.iter().enumerate() {
        say!("{number}       {}", describe(&adapter.get_info()))?;
    }
    if list.is_empty() {
        say!("no GPU adapter found; {INSTALL_HINT}")?;
    }
    say!("oracle  f64 on the host: the definition of every operation, slow")?;
    match choice(args.device.as_deref()).as_str() {
        "oracle" => say!("\nchosen: oracle"),
        "auto" if list.is_empty() => say!("\nchosen: oracle"),
        choice => {
            let adapter = pollster::block_on(choose_adapter(choice)).map_err(name_the_oracle)?;
            say!("\nchosen: {}\n{}", adapter.get_info().name, offers(&adapter).trim_end())
        }
    }
}

/// Limits and optional features, one on a line.
fn offers(adapter: &wgpu::Adapter) -> String {
    let (limits, features, info) = (adapter.limits(), adapter.features(), adapter.get_info());
    let has = |feature| if features.contains(feature) { "yes" } else { "no" };
    let subgroup = match (features.contains(wgpu::Features::SUBGROUP), info.subgroup_min_size, info.subgroup_max_size) {
        (false, ..) => "no".to_string(),
        (_, min, max) if min == max => min.to_string(),
        (_, min, max) => format!("{min} to {max}"),
    };
    let mut matrices: Vec<String> = adapter
        .cooperative_matrix_properties()
        .iter()
        .map(|p| format!("{}x{}x{} {:?} -> {:?}", p.m_size, p.n_size, p.k_size, p.ab_type, p.cr_type))
        .collect();
    matrices.sort();
    matrices.dedup();
    let rows = [
        ("largest binding", mebibytes(limits.max_storage_buffer_binding_size)),
        ("largest buffer", mebibytes(limits.max_buffer_size)),
        ("workgroup memory", format!("{} KiB", limits.max_compute_workgroup_storage_size / 1024)),
        ("invocations", format!("{} per workgroup", limits.max_compute_invocations_per_workgroup)),
        ("storage buffers", format!("{} per kernel", limits.max_storage_buffers_per_shader_stage)),
        ("subgroup size", subgroup),
        ("f16", has(wgpu::Features::SHADER_F16).into()),
        ("timestamps", has(wgpu::Features::TIMESTAMP_QUERY).into()),
        ("pipeline cache", has(wgpu::Features::PIPELINE_CACHE).into()),
        ("matrix units", if matrices.is_empty() { "no".into() } else { matrices.join(", ") }),
    ];
    rows.iter().fold(String::new(), |mut text, (what, value)| {
        let _ = writeln!(text, "  {what:<18}{value}");
        text
    })
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
