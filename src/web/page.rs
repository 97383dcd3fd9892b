//! The page under way: frame after frame, commands, iterations, pictures.

use super::controls::{self, Queue};
use super::dom::{self, say, say_wrong};
use super::live::{self, Drawing, Live};
use super::pace::Speed;
use super::view::{self, Curve};
use crate::data::Toy;
use crate::error::Result;
use crate::run::watch::{Dispatched, Pace};
use crate::run::{Registry, RunConfig};
use crate::tensor::Device;
use crate::train::Report;
use std::collections::BTreeMap;
use web_sys::HtmlSelectElement;

/// What the page opens with.
const FIRST: &str = "cd/eight-gaussians-small";
/// The choice of a density that is painted.
pub const OWN: &str = "your own points";
/// What is said until the first iteration is done.
pub const FIRST_ITERATION: &str = "Training. The first iteration takes longer: it compiles its kernels.";
/// Points of the data and chains that are drawn.
const SHOWN: usize = 600;
/// The part of the time that maps take, and that scores take.
const SHARE: f64 = 0.1;
/// Milliseconds of iterations between two frames.
const BUDGET: f64 = 25.0;

pub struct Page {
    pub device: Device,
    pub registry: Registry,
    pub drawing: Drawing,
    pub live: Live,
    pub running: bool,
    /// Whether the pointer paints points.
    pub painting: bool,
    pub shown: Shown,
    queue: Queue,
    /// Iterations of a frame.
    count: usize,
    map: Pace,
    score: Pace,
}

/// What was measured of the training that is shown.
#[derive(Default)]
pub struct Shown {
    pub chains: Vec<f32>,
    pub speed: Speed,
    metrics: BTreeMap<String, Curve>,
    sw2: Curve,
}

impl Page {
    /// The page with its first preset, which waits.
    pub fn open(device: &Device) -> Result<Page> {
        let drawing = Drawing::default();
        let registry = live::registry(&drawing);
        let config = RunConfig::load(&registry, FIRST, &[])?;
        let live = Live::new(&registry, device, config)?;
        dom::options("density", Toy::all().map(String::from).chain([OWN.to_string()]));
        dom::options("preset", live::presets(&registry));
        dom::write("adapter", &adapter(device));
        dom::show("page", true);
        dom::show("more", true);
        let page = Page {
            device: device.clone(),
            registry,
            drawing,
            live,
            running: false,
            painting: false,
            shown: Shown::default(),
            queue: controls::listen(),
            count: 1,
            map: Pace::every(200.0, SHARE),
            score: Pace::every(1500.0, SHARE),
        };
        page.show_settings();
        say("Ready: press Start.");
        Ok(page)
    }

    /// Frame after frame, for ever. An error of the device ends it: nothing after that is trustworthy.
    pub async fn run(mut self) -> Result<()> {
        self.draw(true).await?;
        loop {
            dom::next_frame().await;
            let commands = std::mem::take(&mut *self.queue.borrow_mut());
            for command in commands {
                if let Err(why) = self.obey(command).await {
                    say_wrong(&why.to_string());
                }
            }
            let went = self.frame().await;
            self.tell(went);
            self.device.gpu().map_or(Ok(()), |gpu| gpu.check())?;
        }
    }

    /// Stops and says why, if an iteration or its picture went wrong.
    fn tell(&mut self, outcome: Result<()>) {
        if let Err(why) = outcome {
            self.set_running(false);
            say_wrong(&why.to_string());
        }
    }

    /// Some iterations, and what is due of the pictures.
    async fn frame(&mut self) -> Result<()> {
        if !self.running {
            return Ok(());
        }
        let (began, before) = (dom::now(), self.live.done());
        let steps = self.live.config.trainer.steps;
        let left = if before < steps { (steps - before) as usize } else { usize::MAX };
        self.iterate(self.count.min(left)).await?;
        let fitting = self.count as f64 * BUDGET / (dom::now() - began).max(1.0);
        self.count = fitting.clamp(1.0, 2.0 * self.count as f64) as usize;
        self.draw(false).await?;
        self.shown.speed.frame(dom::now(), self.live.done() - before);
        if self.live.done() == steps {
            self.set_running(false);
            self.draw(true).await?;
            say(&format!("The {steps} iterations of the preset are done; Start goes on."));
        }
        Ok(())
    }

    /// Runs iterations; their last numbers go to the curves.
    pub async fn iterate(&mut self, count: usize) -> Result<()> {
        let first = !self.live.captured();
        let report = self.live.advance(count).await?;
        for (name, value) in report.named() {
            self.shown.metrics.entry(name.to_string()).or_default().push(report.step, value);
        }
        if first {
            self.list(&report);
            if dom::element::<web_sys::Element>("message").text_content().is_some_and(|text| text == FIRST_ITERATION) {
                say("Training.");
            }
        }
        Ok(())
    }

    /// Fills the lists of metrics and kernels, which are known after the first iteration.
    fn list(&self, report: &Report) {
        let before = dom::field("metric").value();
        let names: Vec<String> = report.named().into_iter().map(|(name, _)| name.to_string()).collect();
        let select: HtmlSelectElement = dom::element("metric");
        let wished = ["energy_gap", &before].map(|name| names.iter().position(|known| known == name));
        dom::options("metric", names);
        select.set_selected_index(wished[1].or(wished[0]).unwrap_or(0) as i32);
        list_kernels(&self.live.kernels());
    }

    /// A training that starts, or was loaded, takes the place of the one that was shown.
    pub async fn take(&mut self, live: Live) -> Result<()> {
        self.live = live;
        (self.shown, self.count) = (Shown::default(), 1);
        self.show_settings();
        self.draw(true).await
    }

    /// Draws what is due, or everything.
    pub async fn draw(&mut self, all: bool) -> Result<()> {
        let began = dom::now();
        if all || self.map.due(began) {
            let energies = self.live.energies().await?;
            view::map(&dom::element("map"), energies.as_deref());
            self.shown.chains = self.live.chains(SHOWN).await?;
            self.draw_points();
            self.map.took(began, dom::now());
        }
        let began = dom::now();
        if self.live.done() > 0 && (all || self.score.due(began)) {
            self.shown.sw2.push(self.live.done(), self.live.score().await?);
            self.score.took(began, dom::now());
        }
        self.draw_numbers();
        Ok(())
    }

    /// The points over the map.
    pub fn draw_points(&self) {
        let drawn = self.drawing.borrow();
        let data = if self.painting { drawn.as_flattened() } else { self.live.view.data(SHOWN) };
        view::points(&dom::element("points"), self.live.view.bounds, data, &self.shown.chains);
    }

    /// Numbers and curves.
    pub fn draw_numbers(&self) {
        let Shown { speed, metrics, sw2, .. } = &self.shown;
        let number = |value: Option<f64>, digits: usize| value.map_or("–".into(), |v| format!("{v:.digits$}"));
        dom::write("done", &self.live.done().to_string());
        dom::write("rate", &number(speed.rate, 1));
        dom::write("frame", &speed.frame_ms.map_or("–".into(), |ms| format!("{ms:.0} ms")));
        dom::write("sw2", &number(sw2.last(), 3));
        sw2.draw(&dom::element("curve-sw2"), 0.0);
        let metric = metrics.get(&dom::field("metric").value());
        dom::write("value", &metric.and_then(Curve::last).map_or(String::new(), |value| format!("{value:.6}")));
        metric.unwrap_or(&Curve::default()).draw(&dom::element("curve-metric"), 0.0);
    }
}

/// Fills the list of kernels.
pub fn list_kernels(kernels: &[Dispatched]) {
    dom::options("kernel", kernels.iter().map(Dispatched::line));
    dom::write("wgsl", "");
}

/// What the browser tells of the adapter: often nothing but whether there is a GPU.
fn adapter(device: &Device) -> String {
    let profile = device.gpu().map(|gpu| gpu.profile().clone()).unwrap_or_default();
    let kind = if profile.software { "WebGPU in software, which is slow" } else { "this machine's GPU" };
    if profile.name.is_empty() { kind.into() } else { format!("{} ({kind})", profile.name) }
}
