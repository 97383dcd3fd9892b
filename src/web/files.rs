//! A run's folder as one file: `config.toml`, `checkpoints/last.safetensors` and, of painted data, `points.npy` in a tar archive,
//! which the command line goes on from once it is unpacked.

use super::dom;
use super::live::{DRAWN, Drawing, Live};
use crate::data::{Values, npy};
use crate::error::{Error, Result};
use crate::io::Checkpoint;
use crate::run::{Registry, RunConfig};
use crate::tensor::Device;
use std::collections::BTreeMap;
use web_sys::File;

/// What the command line calls painted data.
const POINTS: &str = "npy:points.npy";

/// Offers the state as a download; its name.
pub async fn save(live: &Live, drawing: &Drawing) -> Result<String> {
    let folder = format!("{}-{}", live.config.preset.replace('/', "-"), live.done());
    let mut config = live.config.clone();
    let mut files = vec![("checkpoints/last.safetensors", live.save().await?.to_bytes())];
    if config.data == DRAWN {
        config.data = POINTS.into();
        let points = drawing.borrow();
        files.push(("points.npy", npy::encode(&[points.len(), 2], points.as_flattened())));
    }
    files.push(("config.toml", config.to_toml().into_bytes()));
    // The command line finds the folders of a run there.
    files.extend(["samples/", "plots/"].map(|folder| (folder, Vec::new())));
    let name = format!("{folder}.tar");
    dom::download(&name, &archive(&folder, &files))?;
    Ok(name)
}

/// The training that the chosen files hold: an archive of [`save`], or `config.toml` and a checkpoint of the command line.
pub async fn load(registry: &Registry, device: &Device, drawing: &Drawing, chosen: &[File]) -> Result<Live> {
    let mut files = BTreeMap::new();
    for file in chosen {
        let bytes = dom::read(file).await?;
        match file.name().ends_with(".tar") {
            true => files.extend(unpacked(&bytes)),
            false => _ = files.insert(file.name(), bytes),
        }
    }
    let find = |end: &str| files.iter().find(|(name, _)| name.ends_with(end)).map(|(_, bytes)| &bytes[..]);
    let missing =
        |what: &str| Error::setting(format!("no {what} among the files: choose a .tar of this page, or both"));
    let text = find(".toml").ok_or_else(|| missing("config.toml"))?;
    let state = find(".safetensors").ok_or_else(|| missing(".safetensors"))?;
    let wrong = |why| Error::format("checkpoint", "safetensors", why);
    let mut checkpoint = Checkpoint::parse(state).map_err(wrong)?;

    let mut config = RunConfig::parse(registry, "config.toml", &String::from_utf8_lossy(text), &[])?;
    if config.data.starts_with("npy:") {
        let points = find(".npy").ok_or_else(|| missing("points.npy"))?;
        let points = npy::dataset(points).map_err(|why| Error::format("points.npy", "npy", why))?;
        match (&points.values, &points.sample_shape[..]) {
            (Values::F32(values), [2]) => *drawing.borrow_mut() = values.as_chunks().0.to_vec(),
            _ => return Err(Error::setting("points.npy: this page takes points in the plane")),
        }
        config.data = DRAWN.into();
    }
    checkpoint.check_origin(config.seed, &config.origin())?;
    let mut live = Live::new(registry, device, config)?;
    live.restore(&mut checkpoint)?;
    Ok(live)
}

/// Bytes of a block of an archive.
const BLOCK: usize = 512;

/// A tar archive (POSIX ustar) of files in a folder.
fn archive(folder: &str, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, &format!("{folder}/{name}"));
        let (mode, kind) = if name.ends_with('/') { ("0000755\0", "5") } else { ("0000644\0", "0") };
        put(100, mode);
        put(108, "0000000\0");
        put(116, "0000000\0");
        put(124, &format!("{:011o}\0", bytes.len()));
        put(136, "00000000000\0");
        put(148, "        "); // the place of the sum counts as spaces
        put(156, kind);
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend(header);
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out.resize(out.len() + 2 * BLOCK, 0);
    out
}

/// The files of such an archive, as far as it goes.
fn unpacked(mut archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    while let Some((header, rest)) = archive.split_first_chunk::<BLOCK>() {
        let text =
            |from: usize, to: usize| String::from_utf8_lossy(&header[from..to]).trim_matches(['\0', ' ']).to_string();
        let Ok(size) = usize::from_str_radix(&text(124, 136), 8) else { break };
        let Some(bytes) = rest.get(..size) else { break };
        files.push((text(0, 100), bytes.to_vec()));
        archive = rest.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    files
}
