//! `ebm kernel`: the kernels this program launches, and their text as every backend gets it.

use super::choose_device::{choice, name_the_oracle};
use super::output::{self, say};
use crate::error::{Error, Result, nearest};
use crate::gpu::{Gpu, Kernel, Options, Profile, Validated};
use crate::kernels::kernels;
use std::collections::BTreeMap;
use std::io::IsTerminal;

#[derive(clap::Subcommand)]
pub enum Args {
    /// List every kernel with its specialisations.
    List(List),
    /// Print one kernel after includes and specialisation.
    Show(Show),
}

#[derive(clap::Args)]
pub struct List {
    /// auto, oracle, an adapter's number in `ebm device`, or a part of its name [default: $EBM_DEVICE, else auto]
    #[arg(long)]
    device: Option<String>,
}

#[derive(clap::Args)]
pub struct Show {
    /// The kernel's name, or the beginning of it
    name: String,
    /// The language to translate it to
    #[arg(long = "as", value_enum, default_value_t = Language::Wgsl)]
    language: Language,
    /// auto, oracle, an adapter's number in `ebm device`, or a part of its name [default: $EBM_DEVICE, else auto]
    #[arg(long)]
    device: Option<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Language {
    Wgsl,
    Spirv,
    Msl,
    Hlsl,
}

pub fn run(args: &Args) -> Result<()> {
    match args {
        Args::List(list) => {
            let profile = profile(&choice(list.device.as_deref()))?;
            let kernels = kernels(&profile);
            say!("{} kernels for {}", kernels.len(), profile.name)?;
            let mut file = "";
            for (name, kernel) in &kernels {
                if kernel.path() != file {
                    file = kernel.path();
                    say!("\n{}", summary(kernel))?;
                }
                say!("  {name}")?;
            }
            Ok(())
        }
        Args::Show(show) => {
            let kernels = kernels(&profile(&choice(show.device.as_deref()))?);
            print(&find(&kernels, &show.name)?, show.language)
        }
    }
}

/// What the chosen adapter offers; the portable class of GPU where there is none.
fn profile(choice: &str) -> Result<Profile> {
    match Gpu::open(choice, Options::default()) {
        Ok(gpu) => Ok(gpu.profile().clone()),
        Err(e) if choice != "auto" && choice != "oracle" => Err(name_the_oracle(e)),
        Err(_) => Ok(Profile { max_binding_bytes: 128 << 20, name: "any GPU".into(), ..Profile::default() }),
    }
}

/// The first line of the file: `// name - what it computes.`
fn summary(kernel: &Kernel) -> String {
    // The first line of the expanded text repeats the name.
    let text = kernel.wgsl();
    text.lines().nth(1).unwrap_or_default().trim_start_matches("// ").to_string()
}

/// The kernel called `name`, the file of that name with its defaults, or the only kernel that begins so.
fn find(kernels: &BTreeMap<String, Kernel>, name: &str) -> Result<Kernel> {
    if let Some(kernel) = kernels.get(name) {
        return Ok(kernel.clone());
    }
    if let Some(kernel) = kernels.values().map(Kernel::default_of_file).find(|kernel| kernel.name() == name) {
        return Ok(kernel);
    }
    let begin: Vec<&String> = kernels.keys().filter(|k| k.starts_with(name)).collect();
    match begin.as_slice() {
        [one] => Ok(kernels[*one].clone()),
        [] => {
            // Without the specialisation, which nobody types.
            let files = kernels.keys().map(|k| k.split(['[', '@']).next().unwrap_or(k));
            let near = nearest(name, files).unwrap_or_default();
            Err(Error::setting(format!("no kernel called \"{name}\"; did you mean {near}? (ebm kernel list)")))
        }
        [first, second, ..] => Err(Error::setting(format!(
            "{} kernels begin with \"{name}\": {first}, {second}, ...; name one of them (ebm kernel list)",
            begin.len()
        ))),
    }
}

fn print(kernel: &Kernel, language: Language) -> Result<()> {
    let text = kernel.wgsl();
    let refused = |why| Error::Device(format!("{}: {why}", kernel.name()));
    let shader = || Validated::new(&text).map_err(refused);
    match language {
        Language::Wgsl => output::text(&text),
        Language::Msl => output::text(&shader()?.msl().map_err(refused)?),
        Language::Hlsl => output::text(&shader()?.hlsl().map_err(refused)?),
        Language::Spirv if std::io::stdout().is_terminal() => {
            Err(Error::setting("SPIR-V is binary; send it to a file: ebm kernel show NAME --as spirv > kernel.spv"))
        }
        Language::Spirv => output::bytes(bytemuck::cast_slice(&shader()?.spirv().map_err(refused)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_shortened_while_it_stays_unique() {
        let kernels = kernels(&Profile::classes()[0]);
        assert_eq!(find(&kernels, "roof/c").unwrap().name(), "roof/copy@texels");
        assert_eq!(find(&kernels, "langevin/step").unwrap().name(), "langevin/step");
        let silu = find(&kernels, "elementwise/unary[silu]@texels").unwrap().wgsl();
        assert!(silu.contains("const OP: u32 = 12u;") && silu.contains("texture_2d"), "{silu}");
        let many = find(&kernels, "elementwise/").unwrap_err().to_string();
        assert!(many.contains("kernels begin with"), "{many}");
        let none = find(&kernels, "roof/cpoy").unwrap_err().to_string();
        assert!(none.contains("did you mean roof/copy?"), "{none}");
    }
}
