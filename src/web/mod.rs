//! The page that trains in a browser: the same shaders and the same [`Training::advance`](crate::train::Training::advance) as
//! the command line, through the browser's WebGPU.
//!
//! `src/web/build.sh OUT` makes a folder of static files: `index.html` beside this file, this crate as WebAssembly, and what
//! wasm-bindgen writes to load it. One task does everything, a frame at a time: the commands that came from `controls`, some
//! iterations of the `live` training, what is due of the `view`.

mod commands;
mod controls;
mod dom;
mod files;
mod live;
mod pace;
mod page;
mod view;

use crate::error::{Error, Result};
use crate::gpu::{Gpu, Options};
use crate::tensor::Device;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Called by the browser once the code is there.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    wasm_bindgen_futures::spawn_local(async {
        if let Err(why) = run().await {
            dom::say_wrong(&why.to_string());
        }
    });
}

async fn run() -> Result<()> {
    let device = Device::Gpu(open().await?);
    page::Page::open(&device)?.run().await
}

/// The browser's GPU, or what to do where there is none.
async fn open() -> Result<Gpu> {
    let gpu = js_sys::Reflect::get(&dom::window().navigator(), &JsValue::from_str("gpu"));
    if !gpu.is_ok_and(|gpu| gpu.is_object()) {
        let secure = dom::window().is_secure_context();
        return Err(Error::NoAdapter(match secure {
            true => {
                "this browser has no WebGPU; use a recent Chrome, Edge, Safari or Firefox, or run `ebm` itself".into()
            }
            false => "browsers give pages WebGPU only over https, or from http://localhost".into(),
        }));
    }
    Gpu::open_async("auto", Options::default()).await.map_err(|why| match why {
        Error::NoAdapter(_) => Error::NoAdapter(
            "this browser has WebGPU, but no GPU that it may use; see chrome://gpu, or run `ebm` itself".into(),
        ),
        other => other,
    })
}
