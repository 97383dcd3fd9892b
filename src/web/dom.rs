//! What the page asks of the browser: elements, events, frames, files.

use crate::error::{Error, Result};
use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, CanvasRenderingContext2d, Document, Element, Event, EventTarget, File, HtmlAnchorElement, HtmlCanvasElement,
    HtmlElement, HtmlInputElement, Url, Window,
};

pub fn window() -> Window {
    web_sys::window().expect("a page has a window")
}

pub fn document() -> Document {
    window().document().expect("a window has a document")
}

/// The element of index.html with this id. Panics if it is not there, or is of another kind.
pub fn element<T: JsCast>(id: &str) -> T {
    let found = document().get_element_by_id(id).unwrap_or_else(|| panic!("index.html has no element {id}"));
    found.dyn_into().unwrap_or_else(|_| panic!("{id} is another kind of element"))
}

/// The field, list or text area with this id: all of them have a value.
pub fn field(id: &str) -> HtmlInputElement {
    element::<Element>(id).unchecked_into()
}

/// Writes text into an element.
pub fn write(id: &str, text: &str) {
    let element: Element = element(id);
    // Text that stays is not laid out again.
    if element.text_content().as_deref() != Some(text) {
        element.set_text_content(Some(text));
    }
}

/// Tells how things stand.
pub fn say(text: &str) {
    element::<Element>("message").set_class_name("");
    write("message", text);
}

/// Tells what went wrong.
pub fn say_wrong(text: &str) {
    element::<Element>("message").set_class_name("wrong");
    write("message", text);
}

/// Shows or hides an element.
pub fn show(id: &str, shown: bool) {
    element::<HtmlElement>(id).set_hidden(!shown);
}

/// Fills a list of choices.
pub fn options(id: &str, names: impl IntoIterator<Item = String>) {
    let list: Element = element(id);
    list.set_text_content(None);
    for name in names {
        let option = document().create_element("option").expect("browsers have options");
        option.set_text_content(Some(&name));
        let _ = list.append_child(&option);
    }
}

/// Calls `f` at every event of this name, for as long as the page lives.
pub fn on<E: JsCast + 'static>(target: &EventTarget, name: &str, mut f: impl FnMut(E) + 'static) {
    let closure = Closure::<dyn FnMut(Event)>::new(move |event: Event| f(event.unchecked_into()));
    target.add_event_listener_with_callback(name, closure.as_ref().unchecked_ref()).expect("every target listens");
    closure.forget();
}

/// Milliseconds since the page was opened.
pub fn now() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}

/// Waits for the browser's next frame.
pub async fn next_frame() {
    let frame = Promise::new(&mut |resolve, _| {
        let _ = window().request_animation_frame(&resolve);
    });
    let _ = JsFuture::from(frame).await;
}

/// The pen of a canvas whose pixels are those of the screen, and the canvas's size in them.
pub fn pen(canvas: &HtmlCanvasElement) -> (CanvasRenderingContext2d, [f64; 2]) {
    let scale = window().device_pixel_ratio();
    let size = [canvas.client_width(), canvas.client_height()].map(|side| (f64::from(side) * scale).round().max(1.0));
    if [canvas.width(), canvas.height()] != size.map(|side| side as u32) {
        canvas.set_width(size[0] as u32);
        canvas.set_height(size[1] as u32);
    }
    (context(canvas), size)
}

/// The pen of a canvas.
pub fn context(canvas: &HtmlCanvasElement) -> CanvasRenderingContext2d {
    let context = canvas.get_context("2d").ok().flatten().expect("a canvas draws");
    context.unchecked_into()
}

/// Offers bytes as a download.
pub fn download(name: &str, bytes: &[u8]) -> Result<()> {
    let parts = Array::of1(&Uint8Array::from(bytes));
    let url = Blob::new_with_u8_array_sequence(&parts).and_then(|blob| Url::create_object_url_with_blob(&blob));
    let url = url.map_err(|why| failed(name, &why))?;
    let link: HtmlAnchorElement = document().create_element("a").map_err(|why| failed(name, &why))?.unchecked_into();
    link.set_href(&url);
    link.set_download(name);
    link.click();
    Ok(())
}

/// The content of a file that was chosen.
pub async fn read(file: &File) -> Result<Vec<u8>> {
    let buffer = JsFuture::from(file.array_buffer()).await.map_err(|why| failed(&file.name(), &why))?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

fn failed(name: &str, why: &JsValue) -> Error {
    Error::file(name, format!("the browser refused it: {why:?}"))
}
