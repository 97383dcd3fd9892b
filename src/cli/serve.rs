//! `--serve`: a page that shows a training while it runs. It listens on this machine alone and takes no orders.
//!
//! The page is the one of the browser (`src/web/index.html`), fed by a script in place of its WebAssembly. The training draws for it
//! only while somebody looks, and spends at most a fiftieth of its time on that.

use super::output::say;
use crate::data::Split;
use crate::error::{Error, Result};
use crate::run::watch::{self, Dispatched, Pace, Watch};
use crate::run::{Progress, Session, pictures};
use crate::tensor::Device;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tiny_http::{Header, Method, Request, Response, Server};

#[derive(clap::Args, Default)]
pub struct ServeArgs {
    /// Show the training while it runs, on a page at http://127.0.0.1:PORT; 0 takes a free port.
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "8000")]
    serve: Option<u16>,
}

/// Somebody looks as long as the page has asked within this time.
const ATTENTION: Duration = Duration::from_secs(5);
/// Points of the data and chains that are drawn.
const POINTS: usize = 600;
/// The part of the time that pictures take, and that scores take.
const SHARE: f64 = 0.01;

/// The page of a training.
pub struct Page {
    shown: Arc<Mutex<Shown>>,
    device: Device,
    /// For points in the plane.
    watch: Option<Watch>,
    bounds: Vec<[f64; 2]>,
    opened: Instant,
    picture: Pace,
    score: Pace,
    /// Whether this iteration is profiled.
    timing: bool,
}

/// What the page is told.
#[derive(Default, Serialize)]
struct Shown {
    preset: String,
    data: String,
    seed: u64,
    config: String,
    adapter: String,
    done: u64,
    steps: u64,
    /// The iteration of the picture; nothing before there is one.
    drawn: Option<u64>,
    /// The box of points, and points of the data and of chains as x, y, x, y; nothing for images.
    bounds: Option<[[f32; 2]; 2]>,
    points: Vec<f32>,
    chains: Vec<f32>,
    /// Iterations, and SW2 after each.
    sw2: Vec<(u64, f64)>,
    /// Why there is no picture.
    trouble: String,
    #[serde(skip)]
    png: Vec<u8>,
    #[serde(skip)]
    kernels: Vec<Dispatched>,
    #[serde(skip)]
    metrics: PathBuf,
    #[serde(skip)]
    asked: Option<Instant>,
}

impl ServeArgs {
    /// Opens the page, if it was asked for, and says where it is.
    pub fn open(&self, session: &Session) -> Result<Option<Page>> {
        let Some(port) = self.serve else { return Ok(None) };
        let (config, bounds) = (&session.config, session.bounds());
        let plane = session.data.sample_shape == [2];
        let watch = match plane {
            true => {
                let data = session.registry.load(&config.data, Split::Test)?;
                Some(Watch::new(&data, pictures::square(&bounds), config.seed))
            }
            false => None,
        };
        let shown = Arc::new(Mutex::new(Shown {
            preset: config.preset.clone(),
            data: config.data.clone(),
            seed: config.seed,
            config: config.to_toml(),
            adapter: session.device.to_string(),
            done: session.training.done(),
            steps: config.trainer.steps,
            bounds: watch.as_ref().map(|watch| [watch.bounds.x, watch.bounds.y]),
            points: watch.as_ref().map(|watch| watch.data(POINTS).to_vec()).unwrap_or_default(),
            metrics: session.run.metrics(),
            ..Shown::default()
        }));
        let busy = |why| Error::setting(format!("--serve {port}: {why}; choose another port, or 0 for a free one"));
        let server = Server::http(("127.0.0.1", port)).map_err(busy)?;
        say!("watch it: http://{}", server.server_addr())?;
        let asked = shown.clone();
        std::thread::spawn(move || server.incoming_requests().for_each(|request| answer(request, &asked)));
        Ok(Some(Page {
            shown,
            device: session.device.clone(),
            watch,
            bounds,
            opened: Instant::now(),
            picture: Pace::every(500.0, SHARE),
            score: Pace::every(1500.0, SHARE),
            timing: false,
        }))
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Page {
    /// Looks at the training after an iteration.
    pub fn follow(&mut self, progress: &Progress) {
        let mut shown = lock(&self.shown);
        (shown.done, shown.steps) = (progress.done, progress.steps);
        if shown.metrics != progress.run.metrics() {
            shown.metrics = progress.run.metrics();
            shown.sw2.clear(); // the run that this one started from is done
            shown.kernels.clear();
        }
        let gpu = self.device.gpu().cloned();
        let profile = gpu.as_ref().filter(|_| std::mem::take(&mut self.timing)).map(|gpu| gpu.profile_stop());
        if shown.kernels.is_empty() || profile.is_some() {
            shown.kernels = watch::kernels(progress.training, &self.device, profile.as_ref());
        }
        let looks = shown.asked.is_some_and(|asked| asked.elapsed() < ATTENTION);
        let untimed = !shown.kernels.is_empty() && shown.kernels.iter().any(|kernel| kernel.ms.is_none());
        drop(shown);
        if !looks {
            return;
        }
        if let Err(why) = self.draw(progress) {
            lock(&self.shown).trouble = why.to_string();
        }
        // One iteration is timed, at the cost of one.
        if let Some(gpu) = gpu.filter(|gpu| untimed && gpu.profile().timestamps && progress.done < progress.steps) {
            gpu.profile_start();
            self.timing = true;
        }
    }

    fn now(&self) -> f64 {
        self.opened.elapsed().as_secs_f64() * 1e3
    }

    /// Draws what is due.
    fn draw(&mut self, progress: &Progress) -> Result<()> {
        let (model, done) = (progress.training.algorithm(), progress.done);
        if self.picture.due(self.now()) {
            let first = lock(&self.shown).drawn.is_none();
            // What the training has queued is not the picture's time.
            self.device.wait()?;
            let began = self.now();
            let (picture, chains) = match &self.watch {
                Some(watch) => pollster::block_on(async {
                    let energies = watch.energies(model, &self.device).await?;
                    Ok::<_, Error>((Some(watch::map(energies.as_deref())), watch.chains(model, POINTS).await?))
                })?,
                None => (pictures::preview(model, &self.bounds)?.into_iter().next().map(|(_, p)| p), Vec::new()),
            };
            if let Some(picture) = picture {
                let png = picture.png();
                let mut shown = lock(&self.shown);
                (shown.png, shown.chains, shown.drawn) = (png, chains, Some(done));
            }
            // The first one compiles its kernels.
            let ended = self.now();
            self.picture.took(if first { ended } else { began }, ended);
        }
        if let Some(watch) = &self.watch
            && self.score.due(self.now())
        {
            self.device.wait()?;
            let began = self.now();
            let sw2 = pollster::block_on(watch.score(model, done))?;
            lock(&self.shown).sw2.push((done, sw2));
            self.score.took(began, self.now());
        }
        Ok(())
    }
}

/// Answers a request of the page. Names of other hosts are refused, so that no other page can read this one under its own name.
fn answer(request: Request, shown: &Mutex<Shown>) {
    let host = request.headers().iter().find(|header| header.field.equiv("Host"));
    let name = host.and_then(|host| host.value.as_str().split(':').next()).unwrap_or_default();
    let (code, kind, body) = match request.url().split('?').next().unwrap_or_default() {
        _ if !["127.0.0.1", "localhost"].contains(&name) => (403, "text/plain", b"only from this machine".to_vec()),
        _ if *request.method() != Method::Get => (405, "text/plain", b"this page only shows".to_vec()),
        "/" => (200, "text/html; charset=utf-8", include_bytes!("../web/index.html").to_vec()),
        "/ebm.js" => (200, "text/javascript", include_bytes!("../web/served.js").to_vec()),
        "/state.json" => {
            let mut shown = lock(shown);
            shown.asked = Some(Instant::now());
            (200, "application/json", serde_json::to_vec(&*shown).unwrap_or_default())
        }
        "/kernels.json" => (200, "application/json", serde_json::to_vec(&lock(shown).kernels).unwrap_or_default()),
        "/picture.png" => (200, "image/png", lock(shown).png.clone()),
        "/metrics.csv" => {
            let path = lock(shown).metrics.clone();
            (200, "text/csv", std::fs::read(path).unwrap_or_default())
        }
        _ => (404, "text/plain", b"no such page".to_vec()),
    };
    let header = |field: &str, value: &str| Header::from_bytes(field, value).expect("headers are ASCII");
    let response = Response::from_data(body).with_status_code(code);
    let response = response.with_header(header("Content-Type", kind)).with_header(header("Cache-Control", "no-store"));
    // A reader that went away is no error.
    let _ = request.respond(response);
}
