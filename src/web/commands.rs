//! What each command does.

use super::controls::{Command, FIELDS};
use super::dom::{self, say};
use super::live::{self, DRAWN, Live};
use super::pace::Speed;
use super::page::{FIRST_ITERATION, OWN, Page, list_kernels};
use super::{files, view};
use crate::data::Toy;
use crate::error::{Error, Result};
use crate::run::RunConfig;
use crate::tensor::Key;
use web_sys::{Element, HtmlSelectElement};

impl Page {
    /// Does what was asked for.
    pub async fn obey(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Pause => self.pause(),
            Command::Step => {
                self.set_running(false);
                self.iterate(1).await?;
                self.draw(true).await
            }
            Command::Reset => {
                let config = self.with(&seed())?;
                self.begin(config, "From the start").await
            }
            Command::Preset(name) => self.preset(&name, None).await,
            Command::Density(name) if name == OWN => self.paint_mode(),
            Command::Density(name) => {
                let data = format!("toy:{name}:50000");
                self.preset(&live::preset_for(&self.registry, &data), Some(data)).await
            }
            Command::Set(assignment) => self.change(self.with(&assignment)?).await,
            Command::Settings(text) => self.change(RunConfig::parse(&self.registry, "config.toml", &text, &[])?).await,
            Command::Paint(at) if self.painting => {
                let bounds = self.live.view.bounds;
                let place = |part: f32, [low, high]: [f32; 2]| low + part * (high - low);
                spray(&mut self.drawing.borrow_mut(), [place(at[0], bounds.x), place(at[1], bounds.y)]);
                self.draw_points();
                Ok(())
            }
            Command::Painted if self.painting && !self.drawing.borrow().is_empty() => self.painted().await,
            Command::Painted if !self.painting => {
                say("To draw points on the map choose \"your own points\" as density.");
                Ok(())
            }
            Command::Paint(_) | Command::Painted => Ok(()),
            Command::Clear => {
                self.drawing.borrow_mut().clear();
                self.paint_mode()
            }
            Command::Metric => {
                self.draw_numbers();
                Ok(())
            }
            Command::Kernel => {
                let index = dom::element::<HtmlSelectElement>("kernel").selected_index();
                let kernels = self.live.kernels();
                dom::write("wgsl", usize::try_from(index).ok().and_then(|i| kernels.get(i)).map_or("", |k| &k.wgsl));
                Ok(())
            }
            Command::Time => {
                let kernels = self.live.timed_kernels().await?;
                list_kernels(&kernels);
                let total: f64 = kernels.iter().filter_map(|kernel| kernel.ms).sum();
                say(&format!("Kernels of an iteration take {total:.1} ms, one after the other."));
                self.draw(true).await
            }
            Command::Save => {
                let name = files::save(&self.live, &self.drawing).await?;
                say(&format!("Saved as {name}: unpack it, then `ebm resume {}`.", name.trim_end_matches(".tar")));
                Ok(())
            }
            Command::Load(chosen) => {
                let live = files::load(&self.registry, &self.device, &self.drawing, &chosen).await?;
                self.set_running(false);
                self.take(live).await?;
                say(&format!("Loaded {} after {} iterations.", self.live.config.preset, self.live.done()));
                Ok(())
            }
        }
    }

    fn pause(&mut self) -> Result<()> {
        if !self.running && self.painting && self.live.config.data != DRAWN {
            return Err(Error::setting("there are no points yet: draw some on the map"));
        }
        self.set_running(!self.running);
        say(match (self.running, self.live.captured()) {
            (true, false) => FIRST_ITERATION,
            (true, true) => "Training.",
            (false, _) => "Paused.",
        });
        Ok(())
    }

    /// The present settings with one of them changed.
    fn with(&self, change: &str) -> Result<RunConfig> {
        RunConfig::parse(&self.registry, "config.toml", &self.live.config.to_toml(), &[change.to_string()])
    }

    /// Starts a preset, on its own data or on others. The presets for points of one's own name a file that is not here.
    async fn preset(&mut self, name: &str, data: Option<String>) -> Result<()> {
        let mut config = RunConfig::load(&self.registry, name, &[seed()])?;
        let own = Some(config.data.clone()).filter(|data| live::toy(data).is_some());
        config.data = data.or(own).unwrap_or_else(|| self.live.config.data.clone());
        let data = config.data.clone();
        self.begin(config, &format!("{name} with its settings on {data}")).await
    }

    async fn begin(&mut self, config: RunConfig, what: &str) -> Result<()> {
        self.painting = config.data == DRAWN;
        let live = Live::new(&self.registry, &self.device, config)?;
        self.take(live).await?;
        say(&format!("{what}, seed {}: {}.", self.live.config.seed, self.next()));
        Ok(())
    }

    /// Goes on with other settings where the state fits them, else starts again.
    async fn change(&mut self, config: RunConfig) -> Result<()> {
        let same = config.data == self.live.config.data && config.seed == self.live.config.seed;
        if !same {
            return self.begin(config, "Other data or another seed, from the start").await;
        }
        let before = self.live.done();
        if self.live.change(config).await? {
            self.show_settings();
            self.draw(true).await?;
            say(&format!("Changed at iteration {before}: {}.", self.next()));
            return Ok(());
        }
        let config = self.live.config.clone();
        self.begin(config, "Another net, from the start").await
    }

    /// What happens next, or how it is made to happen.
    fn next(&self) -> &'static str {
        if self.running { "the training goes on" } else { "press Start" }
    }

    /// Waits for points.
    fn paint_mode(&mut self) -> Result<()> {
        self.set_running(false);
        self.painting = true;
        self.live.view.bounds = live::canvas();
        self.shown.chains.clear();
        view::map(&dom::element("map"), None);
        self.draw_points();
        self.show_painting();
        say("Draw on the map with the pointer; the training starts when you let go.");
        Ok(())
    }

    /// Trains on what was painted; a training that already does goes on.
    async fn painted(&mut self) -> Result<()> {
        match self.live.config.data == DRAWN {
            true => _ = self.live.change(self.live.config.clone()).await?,
            false => self.preset(live::ANY, Some(DRAWN.into())).await?,
        }
        self.set_running(true);
        let (points, preset) = (self.drawing.borrow().len(), &self.live.config.preset);
        say(&format!("{preset} with its settings trains on {points} points; draw more while it runs."));
        Ok(())
    }

    /// Runs or rests, and names the button after the other.
    pub fn set_running(&mut self, running: bool) {
        self.running = running;
        self.shown.speed = Speed::default();
        dom::write("pause-word", if running { "Pause" } else { "Start" });
    }

    /// Brings every control to the settings of the training.
    pub fn show_settings(&self) {
        let config = &self.live.config;
        dom::field("seed").set_value(&config.seed.to_string());
        dom::field("density").set_value(live::toy(&config.data).map_or(OWN, Toy::name));
        dom::field("preset").set_value(&config.preset);
        dom::field("toml").set_value(&config.to_toml());
        let settings = toml::Value::try_from(config).unwrap_or_else(|why| panic!("settings are always TOML: {why}"));
        for (id, key) in FIELDS {
            let value = key.split('.').try_fold(&settings, |at, part| at.get(part));
            let input = dom::field(id);
            input.set_disabled(value.is_none());
            let text = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), String::from);
            input.set_value(&value.map(text).unwrap_or_default());
        }
        dom::show("unapplied", false);
        self.show_painting();
    }

    fn show_painting(&self) {
        dom::show("clear", self.painting);
        dom::element::<Element>("points").set_class_name(if self.painting { "drawing" } else { "" });
    }
}

/// The seed on the page, as a change of the settings.
fn seed() -> String {
    format!("seed={}", dom::field("seed").value())
}

/// Points of a spray can, and how far it scatters them.
const SPRAY: u64 = 20;
const SCATTER: f64 = 0.12;

fn spray(points: &mut Vec<[f32; 2]>, at: [f32; 2]) {
    let key = Key::new(points.len() as u64).named("spray");
    let scattered = |i: u64, v: f32| v + (SCATTER * key.normal(i)) as f32;
    points.extend((0..SPRAY).map(|i| [scattered(2 * i, at[0]), scattered(2 * i + 1, at[1])]));
}
