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

/// What the reader's code has computed.
pub struct Got {
    values: Vec<f32>,
    place: Place,
}

/// What a number is called in a message.
enum Place {
    /// The call with the inputs in place of their names.
    Call(String, Vec<Vec<f32>>),
    /// An element of a matrix of this name with so many columns.
    Element(&'static str, usize),
    /// By where it lies.
    Number,
}

impl Got {
    /// The same as a matrix of so many columns.
    pub fn rows(self, name: &'static str, columns: usize) -> Got {
        Got { place: Place::Element(name, columns), ..self }
    }

    fn place(&self, i: usize) -> String {
        match &self.place {
            Place::Call(call, inputs) => inputs.iter().enumerate().fold(call.clone(), |call, (k, x)| {
                call.replace(&format!("x{k}[i]"), &x.get(i).map_or("0".into(), f32::to_string))
            }),
            Place::Element(name, columns) => format!("{name}[{}, {}]", i / columns, i % columns),
            Place::Number => format!("number {i} (counted from 0)"),
        }
    }
}

/// How far a number may be off, in parts of 1 + its magnitude.
const TOLERANCE: f32 = 2e-4;

impl Exercise {
    /// Its number, such as `6.1-`: files whose names begin so can be judged.
    pub fn number(&self) -> &'static str {
        self.file.find('-').map_or(self.file, |end| &self.file[..=end])
    }

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
    pub fn map(&self, call: &str, inputs: &[&[f32]]) -> Checked<Got> {
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
        let values = launch(self.device, text, &[("n", n.into())], inputs, n, Workgroups::Elements(n))?;
        Ok(Got { values, place: Place::Call(call.into(), inputs.iter().map(|x| x.to_vec()).collect()) })
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
    ) -> Checked<Got> {
        let declares =
            |line: &&str| ["struct Params", "@group", "@compute", "fn main"].iter().any(|d| line.starts_with(d));
        match stub.lines().filter(declares).find(|line| !self.text.lines().any(|l| l.trim_end() == *line)) {
            Some(line) => Err(format!("this line must stay as it was: {line}")),
            None if self.text.contains("arrayLength") => {
                Err("arrays are longer here than what they hold: take the sizes in p, not arrayLength".into())
            }
            None => {
                let values = launch(self.device, self.text.into(), uniforms, inputs, results, workgroups)?;
                Ok(Got { values, place: Place::Number })
            }
        }
    }

    /// The settings in the file.
    pub fn settings<T: serde::de::DeserializeOwned>(&self) -> Checked<T> {
        toml::from_str(self.text).map_err(|e| one_line(&e.to_string()))
    }
}

/// Compares numbers with what they should be. A wrong answer that is one of `mistakes` (NaN: whatever was read beyond the end of an
/// array) is met with its hint; any other with the first number that is off.
pub fn judge(got: &Got, want: &[f32], mistakes: &[(Vec<f32>, &str)]) -> Checked {
    let close = |a: f32, b: f32| a == b || (a - b).abs() <= TOLERANCE * (1.0 + b.abs());
    let Some(first) = got.values.iter().zip(want).position(|(a, b)| !close(*a, *b)) else { return Ok(()) };
    let is = |wrong: &[f32]| got.values.iter().zip(wrong).all(|(a, b)| b.is_nan() || close(*a, *b));
    if let Some((_, hint)) = mistakes.iter().find(|(wrong, _)| is(wrong)) {
        return Err(hint.to_string());
    }
    let (place, value) = (got.place(first), got.values[first]);
    Err(match value {
        _ if value == UNWRITTEN => format!("{place} was never written"),
        _ if value.is_nan() => match got.place {
            Place::Call(..) => format!("{place} is not a number: 0 / 0, or a root or logarithm of a negative number"),
            _ => format!("{place} is not a number: something was read beyond the end of an array, or 0 / 0"),
        },
        _ => format!("{place} is {value} and should be {}", want[first]),
    })
}

/// What results are before they are written, and what lies beyond them.
const UNWRITTEN: f32 = -1_234_567.0;
/// Numbers beyond the end of every array: NaN behind inputs, [`UNWRITTEN`] behind results. A kernel that strays is seen to.
const BEYOND: usize = 1024;

fn launch(
    device: &Device,
    text: String,
    uniforms: &[(&'static str, Uniform)],
    inputs: &[&[f32]],
    results: usize,
    workgroups: Workgroups,
) -> Checked<Vec<f32>> {
    let Some(gpu) = device.gpu() else {
        return Err(format!("a kernel needs a GPU to run on, not the f64 device; if there is none, {INSTALL_HINT}"));
    };
    Validated::new(&text).map_err(|why| refusal(&why, &text))?;
    // A process checks a handful of texts; the device knows each by a name of its own.
    let mut hash = DefaultHasher::new();
    text.hash(&mut hash);
    let source = Source { path: format!("exercise-{:x}.wgsl", hash.finish()).leak(), text: text.leak() };
    let guarded = |x: &[f32]| Tensor::new(device, [x.len() + BEYOND], &[x, &[f32::NAN; BEYOND]].concat());
    let inputs: Vec<Tensor> = inputs.iter().map(|x| guarded(x)).collect();
    let y = Tensor::full(device, [results + BEYOND], UNWRITTEN.into());
    let slices: Vec<_> = inputs.iter().chain([&y]).map(Tensor::slice).collect();
    gpu.dispatch(&Kernel::new(source), uniforms, &slices, workgroups, Work::default());
    let mut values = y.to_vec().map_err(|e| one_line(&e.to_string()))?;
    match values.split_off(results).iter().all(|beyond| *beyond == UNWRITTEN) {
        true => Ok(values),
        false => Err(format!("something is written beyond the {results} results: work items without one must return")),
    }
}

/// What the compiler found, where, and for the commonest slip what to do.
fn refusal(why: &str, text: &str) -> String {
    let source = |n: usize| Some(format!(" in line {n}: {}", text.lines().nth(n.checked_sub(1)?)?.trim()));
    let place = line_of(why).and_then(source).unwrap_or_default();
    if why.contains("Sint") && why.contains("Uint") {
        return format!("an i32 meets a u32; 0 is an i32 here, write 0u for the u32{place}");
    }
    let first = why.lines().next().unwrap_or_default().trim_start_matches("error: ");
    // Of an invalid function the last line says why.
    let reason = match why.lines().rev().find(|line| line.contains(" = ")) {
        Some(line) if first.contains("invalid") => line.rsplit(" = ").next().unwrap_or(first),
        _ => first,
    };
    format!("{reason}{place}")
}

/// The line that the drawing of a message points at: where it names an expression, else where it begins.
fn line_of(why: &str) -> Option<usize> {
    let mut above = None;
    for line in why.lines() {
        match line.split_once(" │").and_then(|(number, _)| number.trim().parse().ok()) {
            Some(number) => above = Some(number),
            None if line.contains('^') && line.contains("Expression") => return above,
            None => {}
        }
    }
    why.split_once("wgsl:")?.1.split(':').next()?.parse().ok()
}

/// A message of several lines in one.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        let text = format!("fn f(n: u32) {{\n{line}\n}}");
        refusal(&Validated::new(&text).err().unwrap(), &text)
    }

    #[test]
    fn a_text_that_does_not_compile_is_told_where_and_why() {
        let slip = refused("for (var k = 0; k < n; k++) {}");
        assert_eq!(
            slip,
            "an i32 meets a u32; 0 is an i32 here, write 0u for the u32 in line 2: for (var k = 0; k < n; k++) {}"
        );
        let typo = refused("let y = m;");
        assert!(typo.contains("no definition") && typo.ends_with("in line 2: let y = m;"), "{typo}");
        assert!(!typo.contains("error:") && typo.lines().count() == 1, "{typo}");
    }

    #[test]
    fn what_is_off_is_named_so_that_it_can_be_done_by_hand() {
        let call = Place::Call("f(x0[i], x1[i])".into(), vec![vec![1.0, 2.5], vec![3.0, -4.0]]);
        let got = Got { values: vec![1.0, 2.0], place: call };
        assert_eq!(judge(&got, &[1.0, 3.0], &[]).unwrap_err(), "f(2.5, -4) is 2 and should be 3");
        assert_eq!(judge(&got, &[1.0, 3.0], &[(vec![1.0, f32::NAN], "a slip")]).unwrap_err(), "a slip");
        let got = Got { values: vec![0.0, UNWRITTEN, f32::NAN], place: Place::Number }.rows("c", 2);
        assert_eq!(judge(&got, &[0.0, 1.0, 1.0], &[]).unwrap_err(), "c[0, 1] was never written");
        let unread = judge(&got, &[0.0, UNWRITTEN, 1.0], &[]).unwrap_err();
        assert!(unread.starts_with("c[1, 0] is not a number"), "{unread}");
        assert!(judge(&got, &[0.0, UNWRITTEN, f32::NAN], &[]).is_err());
    }
}
