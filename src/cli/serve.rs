//! `--serve`: a page that shows a training while it runs. It listens on this machine alone and takes no orders.
//!
//! The page is the one of the browser (`src/web/index.html`), fed by a script in place of its WebAssembly. The training draws for it
//! only while somebody looks, and spends at most an eightieth of its time on that.

use super::output::say;
use crate::data::Split;
use crate::error::{Error, Result};
use crate::run::watch::{self, Dispatched, Pace, View};
use crate::run::{Progress, Session, pictures};
use crate::tensor::{Device, Key};
use crate::train::Algorithm;
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
/// The parts of the time that pictures and scores take.
const SHARES: [f64; 2] = [0.0075, 0.005];

/// The page of a training.
pub struct Page {
    shown: Arc<Mutex<Shown>>,
    device: Device,
    /// For points in the plane.
    view: Option<View>,
    bounds: Vec<[f64; 2]>,
    opened: Instant,
    picture: Pace,
    score: Pace,
    timing: Timing,
}

/// Kernels are timed in one iteration of a run.
#[derive(PartialEq)]
enum Timing {
    Wanted,
    Now,
    Done,
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
    /// How often the list of kernels has changed.
    listed: u64,
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

/// A port that is taken, where nothing is shown yet.
pub struct Listening(Server);

impl ServeArgs {
    /// Takes the port, if a page was asked for: before a run makes its folder.
    pub fn listen(&self) -> Result<Option<Listening>> {
        let taken = |port| {
            let busy = |why| Error::setting(format!("--serve {port}: {why}; choose another port, or 0 for a free one"));
            Server::http(("127.0.0.1", port)).map(Listening).map_err(busy)
        };
        self.serve.map(taken).transpose()
    }
}

impl Listening {
    /// Opens the page of a run, and says where it is.
    pub fn show(self, session: &Session) -> Result<Page> {
        let Listening(server) = self;
        let (config, bounds) = (&session.config, session.bounds());
        let (view, trouble) = match &session.data.sample_shape[..] {
            [2] => {
                let data = session.registry.load(&config.data, Split::Test)?;
                (Some(View::new(&data, pictures::square(&bounds), config.seed)), String::new())
            }
            [_, _, _] => (None, String::new()),
            shape => (None, format!("samples of shape {shape:?} have no picture")),
        };
        let shown = Arc::new(Mutex::new(Shown {
            preset: config.preset.clone(),
            data: config.data.clone(),
            seed: config.seed,
            config: config.to_toml(),
            adapter: session.device.to_string(),
            done: session.training.done(),
            steps: config.trainer.steps,
            bounds: view.as_ref().map(|view| [view.bounds.x, view.bounds.y]),
            points: view.as_ref().map(|view| view.data(POINTS).to_vec()).unwrap_or_default(),
            metrics: session.run.metrics(),
            trouble,
            ..Shown::default()
        }));
        say!("watch it: http://{}", server.server_addr())?;
        let asked = shown.clone();
        std::thread::spawn(move || server.incoming_requests().for_each(|request| answer(request, &asked)));
        Ok(Page {
            shown,
            device: session.device.clone(),
            view,
            bounds,
            opened: Instant::now(),
            picture: Pace::every(500.0, SHARES[0]),
            score: Pace::every(1500.0, SHARES[1]),
            timing: Timing::Wanted,
        })
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Page {
    /// Looks at the training after an iteration.
    pub fn follow(&mut self, progress: &Progress) {
        let gpu = self.device.gpu().filter(|gpu| gpu.profile().timestamps).cloned();
        let mut shown = lock(&self.shown);
        (shown.done, shown.steps) = (progress.done, progress.steps);
        if shown.metrics != progress.run.metrics() {
            // The run that this one started from is done.
            shown.metrics = progress.run.metrics();
            shown.sw2.clear();
            shown.kernels.clear();
            self.timing = Timing::Wanted;
        }
        let timed = gpu.as_ref().filter(|_| self.timing == Timing::Now).map(|gpu| gpu.profile_stop());
        if timed.is_some() {
            self.timing = Timing::Done;
        }
        if shown.kernels.is_empty() || timed.is_some() {
            shown.kernels = watch::kernels(progress.training, &self.device, timed.as_ref());
            shown.listed += u64::from(!shown.kernels.is_empty());
        }
        let (looks, listed) = (shown.asked.is_some_and(|asked| asked.elapsed() < ATTENTION), !shown.kernels.is_empty());
        drop(shown);
        if !looks {
            return;
        }
        if let Err(why) = self.draw(progress) {
            lock(&self.shown).trouble = why.to_string();
        }
        if let Some(gpu) = gpu.filter(|_| listed && self.timing == Timing::Wanted && progress.done < progress.steps) {
            gpu.profile_start();
            self.timing = Timing::Now;
        }
    }

    /// Draws what is due. What the training has queued before is not the picture's time.
    fn draw(&mut self, progress: &Progress) -> Result<()> {
        let (model, done) = (progress.training.algorithm(), progress.done);
        let now = || self.opened.elapsed().as_secs_f64() * 1e3;
        let images = model.sample_shape().len() == 3;
        if (images || self.view.is_some()) && self.picture.due(now()) {
            self.device.wait()?;
            let began = now();
            let picture = self.picture(model);
            self.picture.took(began, now());
            let (png, chains) = picture?;
            let mut shown = lock(&self.shown);
            (shown.png, shown.chains, shown.drawn) = (png, chains, Some(done));
            shown.trouble.clear();
        }
        if let Some(view) = &self.view
            && self.score.due(now())
        {
            self.device.wait()?;
            let began = now();
            let sw2 = pollster::block_on(view.score(model, done));
            self.score.took(began, now());
            lock(&self.shown).sw2.push((done, sw2?));
        }
        Ok(())
    }

    /// The map of the energy and where chains are, or a grid of images.
    fn picture(&self, model: &dyn Algorithm) -> Result<(Vec<u8>, Vec<f32>)> {
        match &self.view {
            Some(view) => pollster::block_on(async {
                let energies = view.energies(model, &self.device).await?;
                Ok((watch::map(energies.as_deref()).png(), view.chains(model, POINTS).await?))
            }),
            None => {
                let pictures = pictures::samples(model, &self.bounds, &Key::new(0).named("pictures"))?;
                Ok((pictures.first().map(|(_, picture)| picture.png()).unwrap_or_default(), Vec::new()))
            }
        }
    }
}

/// Answers a request of the page. Names of other hosts, and what pages of others ask for, are refused.
fn answer(request: Request, shown: &Mutex<Shown>) {
    let header = |name: &'static str| {
        let found = request.headers().iter().find(|header| header.field.equiv(name));
        found.map_or("", |header| header.value.as_str())
    };
    // The crate would wait for the body, and make room for as many bytes as the header says.
    if request.body_length().is_some_and(|bytes| bytes > 0) || !header("Transfer-Encoding").is_empty() {
        return std::mem::forget(request);
    }
    let host = header("Host").split(':').next().unwrap_or_default();
    let ours =
        ["127.0.0.1", "localhost"].contains(&host) && ["", "none", "same-origin"].contains(&header("Sec-Fetch-Site"));
    let (code, kind, body) = match request.url().split('?').next().unwrap_or_default() {
        _ if !ours => (403, "text/plain", b"only from this machine".to_vec()),
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
