//! Exercises: a file of the reader's, run and judged.

use crate::error::{Error, Result};
use crate::gpu::{INSTALL_HINT, Kernel, Source, Uniform, Validated, Work, Workgroups};
use crate::tensor::{Device, Tensor};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Something to complete: WGSL (a function or a whole kernel), or settings (TOML).
pub struct Exercise {
    /// The file that is handed out, such as `6.1-step.wgsl`.
    pub file: &'static str,
    /// What to do, in a sentence.
    pub task: &'static str,
    /// The file as it is handed out.
    pub stub: &'static str,
    /// Judges a file.
    pub check: fn(&Attempt) -> Checked,
}

/// Nothing, or one line that says what is wrong and where to look.
pub type Checked<T = ()> = std::result::Result<T, String>;

/// A reader's file on a device.
pub struct Attempt<'a> {
    /// Where kernels run.
    pub device: &'a Device,
    /// The text of the file.
    pub text: &'a str,
}

/// How far a number may be off, in parts of 1 + its magnitude.
const TOLERANCE: f32 = 2e-4;

impl Exercise {
    /// Judges `text`.
    ///
    /// # Errors
    /// [`Error::Setting`] with the line that helps.
    pub fn judge(&self, device: &Device, text: &str) -> Result<()> {
        (self.check)(&Attempt { device, text }).map_err(|why| Error::setting(format!("{}: {why}", self.file)))
    }
}

impl Attempt<'_> {
    /// Runs the reader's function: `y[i] = call` for every i, where `call` names the inputs `x0[i]`, `x1[i]`, ....
    pub fn map(&self, call: &str, inputs: &[&[f32]]) -> Checked<Vec<f32>> {
        let n = inputs.iter().map(|x| x.len()).max().unwrap_or(0);
        let bindings =
            (0..inputs.len()).map(|k| format!("@group(0) @binding({}) var<storage, read> x{k}: array<f32>;\n", k + 1));
        let text = format!(
            "{}\n\nstruct Params {{ n: u32 }}\n@group(0) @binding(0) var<uniform> p: Params;\n{}\
             @group(0) @binding({}) var<storage, read_write> y: array<f32>;\n\n@compute @workgroup_size(64)\n\
             fn main(@builtin(global_invocation_id) at: vec3u) {{\n    let i = at.x;\n    if i < p.n {{ y[i] = {call}; }}\n}}\n",
            self.text,
            bindings.collect::<String>(),
            inputs.len() + 1
        );
        launch(self.device, text, &[("n", n.into())], inputs, n, Workgroups::Elements(n))
    }

    /// Runs the reader's kernel. The lines of `stub` that declare its uniforms, arrays and entry point must stand in it
    /// unchanged.
    pub fn kernel(
        &self,
        stub: &str,
        uniforms: &[(&'static str, Uniform)],
        inputs: &[&[f32]],
        results: usize,
        workgroups: Workgroups,
    ) -> Checked<Vec<f32>> {
        let declares =
            |line: &&str| ["struct Params", "@group", "@compute", "fn main"].iter().any(|d| line.starts_with(d));
        match stub.lines().filter(declares).find(|line| !self.text.lines().any(|l| l.trim_end() == *line)) {
            Some(line) => Err(format!("this line must stay as it was: {line}")),
            None => launch(self.device, self.text.into(), uniforms, inputs, results, workgroups),
        }
    }

    /// The settings in the file.
    pub fn settings<T: serde::de::DeserializeOwned>(&self) -> Checked<T> {
        toml::from_str(self.text).map_err(|e| one_line(&e.to_string()))
    }
}

/// Compares numbers with what they should be. A wrong answer that is one of `mistakes` (NaN: whatever was read beyond the end of an
/// array) is met with its hint; any other with the first number that is off.
pub fn judge(got: &[f32], want: &[f32], mistakes: &[(Vec<f32>, &str)]) -> Checked {
    let close = |a: f32, b: f32| a == b || (a - b).abs() <= TOLERANCE * (1.0 + b.abs());
    let Some(first) = got.iter().zip(want).position(|(a, b)| !close(*a, *b)) else { return Ok(()) };
    let is = |wrong: &[f32]| got.iter().zip(wrong).all(|(a, b)| b.is_nan() || close(*a, *b));
    match mistakes.iter().find(|(wrong, _)| is(wrong)) {
        Some((_, hint)) => Err(hint.to_string()),
        None => Err(format!("number {first} (counted from 0) is {} and should be {}", got[first], want[first])),
    }
}

fn launch(
    device: &Device,
    text: String,
    uniforms: &[(&'static str, Uniform)],
    inputs: &[&[f32]],
    results: usize,
    workgroups: Workgroups,
) -> Checked<Vec<f32>> {
    let Some(gpu) = device.gpu() else { return Err(format!("a kernel needs a GPU to run on; {INSTALL_HINT}")) };
    Validated::new(&text).map_err(|why| one_line(&why))?;
    // A process checks a handful of texts; the device knows each by a name of its own.
    let mut hash = DefaultHasher::new();
    text.hash(&mut hash);
    let source = Source { path: format!("exercise-{:x}.wgsl", hash.finish()).leak(), text: text.leak() };
    let inputs: Vec<Tensor> = inputs.iter().map(|x| Tensor::new(device, [x.len()], x)).collect();
    let y = Tensor::full(device, [results], f64::NAN);
    let slices: Vec<_> = inputs.iter().chain([&y]).map(Tensor::slice).collect();
    gpu.dispatch(&Kernel::new(source), uniforms, &slices, workgroups, Work::default());
    y.to_vec().map_err(|e| one_line(&e.to_string()))
}

/// A message of a compiler or parser without its drawing of the place.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_matches(|c: char| c.is_whitespace() || "│┌─^".contains(c)));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
