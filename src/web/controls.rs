//! What a person does on the page, as commands in the order they came.

use super::dom;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, File, HtmlCanvasElement, HtmlInputElement, KeyboardEvent, PointerEvent};

/// Something to do before the next frame.
pub enum Command {
    /// Go on, or stop for a while.
    Pause,
    /// One iteration.
    Step,
    /// Start again with the seed on the page.
    Reset,
    /// Train on another density.
    Density(String),
    /// Train with another preset.
    Preset(String),
    /// Change one setting, `key=value`.
    Set(String),
    /// Change to these settings, a whole config.toml.
    Settings(String),
    /// A spot was painted, as parts of the picture's width and height from its lower left corner.
    Paint([f32; 2]),
    /// The brush was lifted.
    Painted,
    /// All painted points go.
    Clear,
    /// Show another metric.
    Metric,
    /// Show the text of another kernel.
    Kernel,
    /// Time the kernels of an iteration.
    Time,
    /// Offer the state as files.
    Save,
    /// Go on from these files.
    Load(Vec<File>),
}

/// The commands that wait.
pub type Queue = Rc<RefCell<Vec<Command>>>;

/// The settings that have a field of their own: its id, and where they stand in config.toml.
pub const FIELDS: [(&str, &str); 5] = [
    ("lr", "algorithm.optimizer.rate.lr"),
    ("langevin", "algorithm.langevin.steps"),
    ("stepsize", "algorithm.langevin.step_size"),
    ("activation", "algorithm.energy.activation"),
    ("l2", "algorithm.energy_l2"),
];

/// Listens to everything on the page.
pub fn listen() -> Queue {
    let queue = Queue::default();
    button(&queue, "pause", || Command::Pause);
    button(&queue, "step", || Command::Step);
    button(&queue, "reset", || Command::Reset);
    button(&queue, "clear", || Command::Clear);
    button(&queue, "time", || Command::Time);
    button(&queue, "save", || Command::Save);
    button(&queue, "apply", || Command::Settings(dom::field("toml").value()));
    dom::on(&dom::field("toml"), "input", |_: Event| dom::show("unapplied", true));
    changed(&queue, "density", |_| Some(Command::Density(dom::field("density").value())));
    changed(&queue, "preset", |_| Some(Command::Preset(dom::field("preset").value())));
    changed(&queue, "metric", |_| Some(Command::Metric));
    changed(&queue, "kernel", |_| Some(Command::Kernel));
    for (id, key) in FIELDS {
        changed(&queue, id, move |input| Some(Command::Set(format!("{key}={}", input.value()))));
    }
    changed(&queue, "load", |input| {
        let files = input.files()?;
        let list = (0..files.length()).filter_map(|i| files.get(i)).collect();
        input.set_value(""); // the same files may be chosen again
        Some(Command::Load(list))
    });
    keys(&queue);
    brush(&queue);
    queue
}

fn button(queue: &Queue, id: &str, command: impl Fn() -> Command + 'static) {
    let queue = queue.clone();
    dom::on(&dom::element::<Element>(id), "click", move |_: Event| queue.borrow_mut().push(command()));
}

fn changed(queue: &Queue, id: &'static str, command: impl Fn(&HtmlInputElement) -> Option<Command> + 'static) {
    let queue = queue.clone();
    let field = dom::field(id);
    dom::on(&field.clone(), "change", move |_: Event| queue.borrow_mut().extend(command(&field)));
}

/// Space, s and r, unless somebody types or a button has the focus, which space presses.
fn keys(queue: &Queue) {
    let queue = queue.clone();
    dom::on(&dom::window(), "keydown", move |event: KeyboardEvent| {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let tag = target.map(|target| target.tag_name().to_lowercase()).unwrap_or_default();
        let typing = ["input", "textarea", "select"].contains(&tag.as_str());
        let pressing = ["button", "summary"].contains(&tag.as_str()) && event.key() == " ";
        if typing || pressing || event.ctrl_key() || event.meta_key() || event.alt_key() || event.repeat() {
            return;
        }
        let command = match event.key().as_str() {
            " " => Command::Pause,
            "s" => Command::Step,
            "r" => Command::Reset,
            _ => return,
        };
        event.prevent_default(); // space would scroll
        queue.borrow_mut().push(command);
    });
}

/// The pointer on the map.
fn brush(queue: &Queue) {
    let canvas: HtmlCanvasElement = dom::element("points");
    for name in ["pointerdown", "pointermove", "pointerup", "pointercancel"] {
        let (queue, on) = (queue.clone(), canvas.clone());
        dom::on(&canvas, name, move |event: PointerEvent| {
            let part = |at: i32, size: i32| at as f32 / size.max(1) as f32;
            let at = [part(event.offset_x(), on.client_width()), 1.0 - part(event.offset_y(), on.client_height())];
            match name {
                "pointermove" if event.buttons() == 0 => return,
                "pointerup" | "pointercancel" => return queue.borrow_mut().push(Command::Painted),
                "pointerdown" => _ = on.set_pointer_capture(event.pointer_id()),
                _ => (),
            }
            queue.borrow_mut().push(Command::Paint(at));
        });
    }
}
