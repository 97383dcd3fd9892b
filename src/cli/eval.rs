//! `ebm eval`: every score that applies to a run.

use super::choose_device::choose_device;
use super::output::say;
use super::session::Session;
use crate::data::{Dataset, Split};
use crate::error::Result;
use crate::tensor::Key;
use crate::train::{SampleRequest, evaluate, plot_points};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct EvalArgs {
    /// The folder of the run.
    dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// auto, oracle, the number of an adapter, or part of its name.
    #[arg(long)]
    device: Option<String>,
    /// Langevin steps: what kept chains take before they are scored, or K per noise level.
    #[arg(long)]
    langevin_steps: Option<usize>,
    /// Langevin noise times m, drift times m^2 (recovery likelihood, points).
    #[arg(long, default_value_t = 1.0)]
    step_scale: f64,
}

/// How much is spent on scores.
pub struct Effort {
    /// Langevin steps of the samples that are scored, if not the algorithm's own number.
    pub steps: Option<usize>,
    /// m: Langevin noise times m, drift times m^2.
    pub step_scale: f64,
    /// Samples, points or images per score.
    pub n: usize,
}

impl Default for Effort {
    fn default() -> Effort {
        Effort { steps: None, step_scale: 1.0, n: 10_000 }
    }
}

pub fn run(args: &EvalArgs) -> Result<()> {
    let device = choose_device(args.device.as_deref())?;
    let session = Session::open(&args.dir, &device)?;
    let scores =
        scores(&session, &Effort { steps: args.langevin_steps, step_scale: args.step_scale, ..Effort::default() })?;
    if args.json {
        say!("{}", Value::Object(scores))?;
    } else {
        print(&scores)?;
    }
    super::report::write(&session)
}

/// All scores of a run, also kept in its folder as `scores.json` with a picture for 2-D energies.
pub fn scores(session: &Session, effort: &Effort) -> Result<Map<String, Value>> {
    let algorithm = &session.algorithm;
    let key = session.key().named("evaluation");
    let mut scores = match session.toy() {
        Some(toy) => {
            let (steps, step_scale) = (effort.steps, effort.step_scale);
            let request = SampleRequest { steps, step_scale, ..SampleRequest::new(effort.n) };
            let samples = algorithm.sample(&request, &key.named("samples"))?.x.to_vec()?;
            let energy = algorithm.averaged();
            let picture = plot_points(&*energy, algorithm.temperature(), &session.device, toy.bounds(), &samples)?;
            crate::io::atomic::write_bytes(session.run.plot("density.png"), &picture.png())?;
            evaluate::points(&*energy, algorithm.temperature(), &session.device, toy, &samples, &key)?
        }
        None => {
            let data = Dataset::load(&session.config.data, Split::Test)?;
            let load = |(name, spec): (&String, &String)| Ok((name.clone(), Dataset::load(spec, Split::Test)?));
            let others = session.config.ood.iter().map(load).collect::<Result<Vec<_>>>()?;
            let n = 2000;
            let ood = evaluate::out_of_distribution(&*algorithm.averaged(), &session.device, &data, &others, n)?;
            let mut scores = Map::from_iter([("ood".to_string(), Value::Object(ood)), ("n".to_string(), json!(n))]);
            if algorithm.fills_in() && data.sample_shape.len() == 3 {
                let train = Dataset::load(&session.config.data, Split::Train)?;
                let (psnr, picture) = evaluate::inpainting(
                    &**algorithm,
                    &session.device,
                    [&train, &data],
                    64,
                    effort.steps,
                    &key.named("inpainting"),
                )?;
                crate::io::atomic::write_bytes(session.run.plot("inpainting.png"), &picture.png())?;
                scores.insert("inpainting".into(), Value::Object(psnr));
                if algorithm.classes() > 0 {
                    scores.insert(
                        "class_agreement".into(),
                        Value::Object(agreement(session, &train, &data, effort.steps, &key)?),
                    );
                }
            }
            scores
        }
    };
    scores.insert("reference".into(), json!(session.config.data));
    scores.insert("seed".into(), json!(session.config.seed));
    scores.insert("weights".into(), json!("ema"));
    scores.insert("step".into(), json!(session.done));
    let text = serde_json::to_string_pretty(&scores).unwrap_or_default();
    crate::io::atomic::write_bytes(session.run.root().join("scores.json"), text.as_bytes())?;
    Ok(scores)
}

/// How often samples have the class that was asked for, by guidance weight; `test` is the same measure of real images.
fn agreement(
    session: &Session,
    train: &Dataset,
    test: &Dataset,
    steps: Option<usize>,
    key: &Key,
) -> Result<Map<String, Value>> {
    let (n, classes) = (100, session.algorithm.classes() as u32);
    let references = train.select(&(0..train.len().min(10_000)).collect::<Vec<_>>());
    let asked: Vec<u32> = (0..n as u32).map(|i| i % classes).collect();
    let mut scores = Map::new();
    for guidance in [0.0, 0.5, 1.0, 2.0] {
        let request = SampleRequest { concepts: vec![asked.clone()], guidance, steps, ..SampleRequest::new(n) };
        let x = session.algorithm.sample(&request, &key.named("classes"))?.x;
        let file = session.run.plot(&format!("guidance-{guidance}.png"));
        super::sample::write(&file, &x, classes as usize, "")?;
        scores.insert(format!("w_{guidance}"), json!(evaluate::class_agreement(&x.to_vec()?, &asked, &references)));
    }
    let some: Vec<usize> = (0..test.len().min(500)).collect();
    let labels: Vec<u32> = some.iter().filter_map(|&i| Some(test.labels.as_ref()?[i])).collect();
    scores.insert("test".into(), json!(evaluate::class_agreement(&test.rows(&some), &labels, &references)));
    Ok(scores)
}

/// One line per score, each beside its floor or ceiling.
pub fn print(scores: &Map<String, Value>) -> Result<()> {
    for (name, value, note) in lines(scores) {
        say!("{name:>22} {value:<10} {note}")?;
    }
    Ok(())
}

/// Scores as (name, value, what to compare with).
pub fn lines(scores: &Map<String, Value>) -> Vec<(String, String, String)> {
    let number = |v: &Value| match v.as_f64() {
        Some(x) if v.is_f64() => format!("{x:.4}"),
        _ => v.to_string().trim_matches('"').to_string(),
    };
    let companion = [
        ("sw1", "sw1_floor", "floor"),
        ("sw2", "sw2_floor", "floor"),
        ("auc", "auc_ceiling", "ceiling"),
        ("nll", "entropy", "entropy of the data"),
    ];
    let mut lines = Vec::new();
    for (name, value) in scores {
        if value.is_null() || companion.iter().any(|c| c.1 == name) {
            continue;
        }
        let note = companion
            .iter()
            .find(|c| c.0 == name)
            .and_then(|c| Some(format!("({} {})", c.2, number(scores.get(c.1).filter(|v| !v.is_null())?))));
        match value {
            Value::Object(map) => {
                let note = match name.as_str() {
                    "ood" => "(AUROC of -E, 0.5 is chance)",
                    "inpainting" => "(right half from the left; PSNR in dB)",
                    "class_agreement" => "(by the nearest of 10 000 training images)",
                    _ => "",
                };
                lines.extend(map.iter().map(|(k, v)| (format!("{name} {k}"), number(v), note.into())));
            }
            _ => lines.push((name.clone(), number(value), note.unwrap_or_default())),
        }
    }
    lines
}
