//! `ebm study cdrl`: what each part of cooperative recovery likelihood contributes.
//!
//! {initializer on, off} x {shared noise on, off} x {CDRL, DRL schedule}, trained alike on the checkerboard, each then
//! sampled with K = 15, 8, 5 and 3 Langevin steps per level.

use super::choose_device::choose_device;
use super::config::RunConfig;
use super::output::say;
use super::session::Session;
use crate::data::Toy;
use crate::error::{Error, Result};
use crate::io::atomic::write_bytes;
use crate::metrics::{floor, sliced_wasserstein, support_score};
use crate::plot::Curves;
use crate::tensor::{Device, Key};
use crate::train::SampleRequest;
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand)]
pub enum Args {
    /// Initializer, shared noise and schedule on the checkerboard, sampled with fewer and fewer Langevin steps.
    Cdrl(CdrlArgs),
}

#[derive(clap::Args)]
pub struct CdrlArgs {
    /// Iterations of each of the eight trainings.
    #[arg(long, default_value_t = 600)]
    steps: u64,
    /// Change a setting of all trainings; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The folder of the study; what is finished in it is kept.
    #[arg(long, default_value = "runs/study-cdrl")]
    out: PathBuf,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
}

/// Langevin steps per level at sampling.
const STEPS: [usize; 4] = [15, 8, 5, 3];
/// Samples per score, projections per distance.
const N: usize = 5000;
const PROJECTIONS: usize = 500;

struct Variant {
    initializer: bool,
    shared: bool,
    schedule: &'static str,
}

impl Variant {
    fn all() -> impl Iterator<Item = Variant> {
        (0..8).map(|i| Variant {
            initializer: i & 4 == 0,
            shared: i & 2 == 0,
            schedule: if i & 1 == 0 { "cooperative" } else { "recovery6" },
        })
    }

    fn name(&self) -> String {
        let start = if self.initializer { "initializer" } else { "plain" };
        let noise = if self.shared { "shared" } else { "independent" };
        format!("{start}-{noise}-{}", self.schedule)
    }

    /// The reduced recipe of the checkerboard with narrower nets, and this variant's switches.
    fn config(&self, args: &CdrlArgs) -> Result<RunConfig> {
        let preset = if self.initializer { "cdrl/checkerboard-small" } else { "drl/checkerboard-small" };
        let mut set = vec![
            format!("trainer.steps={}", args.steps),
            format!("trainer.sample_every={}", args.steps),
            "algorithm.energy.widths=[64, 64, 64]".to_string(),
            "algorithm.ema=0.99".to_string(),
            // The same constants for all: what differs is what is studied.
            "algorithm.langevin_steps=15".to_string(),
            "algorithm.step_rule.b2=0.002".to_string(),
            "algorithm.energy_optimizer.clip_norm=1.0".to_string(),
            "algorithm.energy_optimizer.rate.lr=2e-3".to_string(),
            "trainer.checkpoint_every=100".to_string(),
            format!("algorithm.shared_noise={}", self.shared),
            format!("algorithm.schedule={}", self.schedule),
        ];
        let nets: &[&str] = if self.initializer { &["energy", "initializer"] } else { &["energy"] };
        for net in nets {
            set.push(format!("algorithm.{net}_optimizer.rate.decay_from={}", args.steps / 3));
            set.push(format!("algorithm.{net}_optimizer.rate.decay_until={}", args.steps));
        }
        set.extend(args.overrides.iter().cloned());
        RunConfig::load(preset, &set)
    }
}

/// Scores of one variant at one K.
struct Row {
    variant: String,
    k: usize,
    inside: f64,
    deviation: f64,
    sw2: f64,
}

pub fn run(args: &Args) -> Result<()> {
    let Args::Cdrl(args) = args;
    let device = choose_device(args.device.as_deref())?;
    std::fs::create_dir_all(&args.out).map_err(|e| Error::file(&args.out, e))?;
    let mut rows = Vec::new();
    for variant in Variant::all() {
        let session = trained(&variant, args, &device)?;
        for k in STEPS {
            rows.push(score(&session, variant.name(), k)?);
        }
        let newest = &rows[rows.len() - STEPS.len()..];
        let line: Vec<String> = newest.iter().map(|r| format!("K {} SW2 {:.3}", r.k, r.sw2)).collect();
        say!("{:38} {}", variant.name(), line.join("  "))?;
        write(&rows, &args.out)?;
    }
    let least = floor(|k| toy().sample(N, k), 2, PROJECTIONS, 5, &Key::new(0).named("floor"));
    say!("SW2 of two true samples of {N}: {:.3}; table and plot in {}", least.sw2[0], args.out.display())
}

fn toy() -> Toy {
    Toy::CheckerboardB
}

/// Trains a variant, or goes on where an earlier study stopped.
fn trained(variant: &Variant, args: &CdrlArgs, device: &Device) -> Result<Session> {
    let folder = args.out.join(variant.name());
    let config = variant.config(args)?;
    let mut session = if folder.join("checkpoints/last.safetensors").exists() {
        let session = Session::open(&folder, device)?;
        if session.config != config {
            return Err(Error::setting(format!(
                "{} was trained with other settings; choose another --out",
                folder.display()
            )));
        }
        session
    } else {
        // A folder without a checkpoint holds nothing yet.
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|e| Error::file(&folder, e))?;
        }
        Session::create(config, device, Some(&folder))?
    };
    if session.done < args.steps {
        session.train()?;
    }
    Ok(session)
}

fn score(session: &Session, variant: String, k: usize) -> Result<Row> {
    let key = session.key().named("study");
    let request = SampleRequest { steps: Some(k), ..SampleRequest::new(N) };
    let samples = session.algorithm.sample(&request, &key.named("samples"))?.x.to_vec()?;
    let reference = toy().sample(N, &key.named("reference"));
    let distance = sliced_wasserstein(&samples, &reference, 2, PROJECTIONS, &key.named("directions"));
    let squares = toy().squares().expect("a checkerboard has squares");
    let support = support_score(&samples, &squares);
    Ok(Row { variant, k, inside: support.inside, deviation: support.mass_deviation, sw2: distance.sw2 })
}

/// `study.md` and `study.svg`.
fn write(rows: &[Row], out: &Path) -> Result<()> {
    let mut table = String::from("| variant | K | inside | max mass deviation | SW2 |\n|---|---|---|---|---|\n");
    for Row { variant, k, inside, deviation, sw2 } in rows {
        table += &format!("| {variant} | {k} | {inside:.3} | {deviation:.3} | {sw2:.3} |\n");
    }
    write_bytes(out.join("study.md"), table.as_bytes())?;
    let mut curves = Curves::new("SW2 against Langevin steps per level").log_y();
    for part in rows.chunks(STEPS.len()) {
        let k: Vec<f64> = part.iter().map(|r| r.k as f64).collect();
        curves = curves.series(&part[0].variant, &k, &part.iter().map(|r| r.sw2).collect::<Vec<_>>());
    }
    write_bytes(out.join("study.svg"), curves.svg().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::config::AlgorithmConfig;
    use crate::diffusion::LevelSchedule;

    #[test]
    fn the_variants_differ_in_what_is_studied_and_in_nothing_else() {
        let args = CdrlArgs { steps: 600, overrides: Vec::new(), out: "x".into(), device: None };
        let (mut texts, mut rest) = (Vec::new(), None);
        for variant in Variant::all() {
            let mut config = variant.config(&args).unwrap();
            texts.push(config.to_toml());
            config.preset.clear();
            let AlgorithmConfig::RecoveryLikelihood(algorithm) = &mut config.algorithm else {
                panic!("another algorithm")
            };
            let studied = (algorithm.initializer.take().is_some(), algorithm.shared_noise, algorithm.schedule);
            assert_eq!((studied.0, studied.1), (variant.initializer, variant.shared));
            assert_eq!(format!("{:?}", studied.2).to_lowercase(), variant.schedule);
            (algorithm.shared_noise, algorithm.schedule) = (true, LevelSchedule::Cooperative);
            algorithm.initializer_optimizer = Default::default();
            assert_eq!(config.to_toml(), *rest.get_or_insert_with(|| config.to_toml()), "{}", variant.name());
        }
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 8);
    }
}
