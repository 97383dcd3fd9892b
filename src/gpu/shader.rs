//! Shader files: embedding, `#include`, and specialisation.
//!
//! A shader is a WGSL file under `shaders/`. Three kinds of comment give it meaning to the host:
//!
//! - `//#include "common/rng.wgsl"` is replaced by that file (once); with `// @param ELEMENT` behind it the host may name
//!   another file.
//! - a line ending in `// @param` (`const BM = 64u; // @param`, `alias T = f32; // @param`) has its right-hand side
//!   replaced by the host's value. Whatever is not replaced keeps the default that stands in the file.
//! - an input declared in a line ending in `// @texels` becomes a texture in [`Kernel::texels`], if it holds `vec4f`.
//!
//! The files are embedded in the program. With `EBM_SHADERS=shaders` those of that folder are read in their place, so that a kernel
//! can be changed and timed (`ebm bench --only ..`) without building anything.

use super::texels::ROW;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::hash::{Hash, Hasher};
use std::path::Path;

/// A WGSL file embedded in the program.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The path below `shaders/`.
    pub path: &'static str,
    /// The text of the file.
    pub text: &'static str,
}

impl PartialEq for Source {
    fn eq(&self, other: &Source) -> bool {
        self.path == other.path && (std::ptr::eq(self.text, other.text) || self.text == other.text)
    }
}

impl Eq for Source {}

impl Hash for Source {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

/// Embeds a file of `shaders/` by its path below that folder.
#[macro_export]
macro_rules! shader {
    ($path:literal) => {
        $crate::gpu::Source { path: $path, text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $path)) }
    };
}

/// Files that others include.
pub const INCLUDES: &[Source] = &[
    shader!("common/index.wgsl"),
    shader!("common/math.wgsl"),
    shader!("common/rng.wgsl"),
    shader!("common/special.wgsl"),
    shader!("elementwise/binary_functions.wgsl"),
    shader!("elementwise/unary_functions.wgsl"),
    shader!("norm/group.wgsl"),
    shader!("norm/alone.wgsl"),
    shader!("norm/together.wgsl"),
    shader!("norm/quad.wgsl"),
    shader!("norm/scalar.wgsl"),
    shader!("norm/singular.wgsl"),
    shader!("pool/resize_weights.wgsl"),
    shader!("langevin/chain.wgsl"),
    shader!("langevin/share_nothing.wgsl"),
    shader!("langevin/signs.wgsl"),
    shader!("langevin/share_subgroup.wgsl"),
    shader!("gemm/product.wgsl"),
    shader!("gemm/conv.wgsl"),
    shader!("gemm/load_conv_forward.wgsl"),
    shader!("gemm/load_conv_input_grad.wgsl"),
    shader!("gemm/load_conv_weight_grad.wgsl"),
    shader!("gemm/load_matmul.wgsl"),
    shader!("gemm/units.wgsl"),
    shader!("gemm/units_by_hand.wgsl"),
    shader!("reduce/functions.wgsl"),
    shader!("schedule/sample.wgsl"),
    shader!("common/scalar.wgsl"),
    shader!("common/vec4.wgsl"),
    shader!("sort/pairs.wgsl"),
];

/// One specialisation of a shader file: what is compiled into a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    source: Source,
    params: Vec<(&'static str, Param)>,
    texels: bool,
}

/// The value of a `// @param` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Param {
    /// A `u32`.
    Number(u32),
    /// A `bool`.
    Flag(bool),
    /// A word: a type, or the path of an included file.
    Word(&'static str),
    /// A `u32` that chooses a function, and what it is called; see [`Kernel::op`].
    Op(u32, &'static str),
}

impl Kernel {
    /// The file with its defaults.
    pub fn new(source: Source) -> Kernel {
        Kernel { source, params: Vec::new(), texels: false }
    }

    /// Replaces the right-hand side of the `// @param` line of `name`.
    pub fn with(mut self, name: &'static str, value: impl Into<Param>) -> Kernel {
        self.params.push((name, value.into()));
        self
    }

    /// Chooses one of the functions of a file: `OP` becomes `code`, and the kernel is known by the function's name.
    pub fn op(self, code: u32, name: &'static str) -> Kernel {
        self.with("OP", Param::Op(code, name))
    }

    /// The same file with its defaults.
    pub fn default_of_file(&self) -> Kernel {
        Kernel::new(self.source)
    }

    /// The same kernel reading every buffer marked `// @texels` as a texture.
    pub(super) fn texels(&self) -> Kernel {
        Kernel { texels: true, ..self.clone() }
    }

    /// `path[NAME=value,...]`, with the name alone for `OP`: no two specialisations share it.
    pub fn name(&self) -> String {
        let mut name = self.source.path.trim_end_matches(".wgsl").to_string();
        let params: Vec<String> = self.params.iter().map(|(name, value)| value.shown(name)).collect();
        if !params.is_empty() {
            name += &format!("[{}]", params.join(","));
        }
        if self.texels { name + "@texels" } else { name }
    }

    /// The file's path below `shaders/`.
    pub fn path(&self) -> &'static str {
        self.source.path
    }

    /// The WGSL text after includes and specialisation.
    ///
    /// # Panics
    /// When a parameter has no `// @param` line or an include names no embedded file: mistakes of the code, not of its user.
    pub fn wgsl(&self) -> String {
        let mut out = format!("// {}\n", self.name());
        let mut included = BTreeSet::new();
        let mut used = BTreeSet::new();
        self.expand(self.source, &mut out, &mut included, &mut used);
        for (name, _) in &self.params {
            assert!(used.contains(name), "{}: no `// @param` line for {name}", self.source.path);
        }
        if self.texels { read_texels(&out) } else { out }
    }

    fn expand(
        &self,
        source: Source,
        out: &mut String,
        included: &mut BTreeSet<&'static str>,
        used: &mut BTreeSet<&'static str>,
    ) {
        for line in text_of(source, std::env::var_os("EBM_SHADERS").as_deref()).lines() {
            if let Some(target) = line.strip_prefix("//#include ") {
                let (default, name) = target.split_once(" // @param ").unwrap_or((target, ""));
                let path = match self.param(name, used) {
                    Some(Param::Word(path)) => path,
                    _ => default.trim_matches('"'),
                };
                let file = INCLUDES.iter().find(|s| s.path == path);
                let file = file.unwrap_or_else(|| panic!("{}: no file to include called {path}", source.path));
                if included.insert(file.path) {
                    self.expand(*file, out, included, used);
                }
            } else {
                out.push_str(&self.specialise(line, used));
                out.push('\n');
            }
        }
    }

    /// `const NAME[: type] = default; // @param` with the default replaced, or the line as it is.
    fn specialise(&self, line: &str, used: &mut BTreeSet<&'static str>) -> String {
        let Some(declaration) = line.strip_suffix("// @param") else { return line.to_string() };
        let Some((left, _default)) = declaration.split_once('=') else { return line.to_string() };
        let name = left.split_whitespace().nth(1).unwrap_or_default().trim_end_matches(':');
        match self.param(name, used) {
            Some(value) => format!("{left}= {}; // @param", value.wgsl()),
            None => line.to_string(),
        }
    }

    fn param(&self, name: &str, used: &mut BTreeSet<&'static str>) -> Option<Param> {
        let (name, value) = self.params.iter().find(|(given, _)| *given == name)?;
        used.insert(name);
        Some(*value)
    }
}

/// The file of this path in `folder`, if there is one, else the embedded text.
fn text_of(source: Source, folder: Option<&OsStr>) -> Cow<'static, str> {
    let read = |folder| std::fs::read_to_string(Path::new(folder).join(source.path)).ok();
    folder.and_then(read).map_or(Cow::Borrowed(source.text), Cow::Owned)
}

impl Param {
    /// As it stands in the shader.
    fn wgsl(self) -> String {
        match self {
            Param::Number(n) | Param::Op(n, _) => format!("{n}u"),
            Param::Flag(b) => b.to_string(),
            Param::Word(word) => word.to_string(),
        }
    }

    /// As it stands in the kernel's name.
    fn shown(self, name: &str) -> String {
        match self {
            Param::Number(n) => format!("{name}={n}"),
            Param::Flag(b) => format!("{name}={b}"),
            Param::Word(word) => format!("{name}={}", word.trim_end_matches(".wgsl")),
            Param::Op(_, op) => op.to_string(),
        }
    }
}

impl From<u32> for Param {
    fn from(n: u32) -> Param {
        Param::Number(n)
    }
}

impl From<usize> for Param {
    fn from(n: usize) -> Param {
        Param::Number(n as u32)
    }
}

impl From<bool> for Param {
    fn from(b: bool) -> Param {
        Param::Flag(b)
    }
}

impl From<&'static str> for Param {
    fn from(word: &'static str) -> Param {
        Param::Word(word)
    }
}

/// Ends the line that declares a buffer which may be read as a texture.
const TEXELS: &str = "// @texels";

/// The lines of `text` that declare a buffer of `vec4f` marked [`TEXELS`], each with its binding and its name.
///
/// # Panics
/// When a mark does not stand alone behind the declaration of an array that is only read: it would mean nothing.
pub(super) fn texel_buffers(text: &str) -> Vec<(&str, usize, &str)> {
    let parse = |line| -> Option<(&str, usize, &str, &str)> {
        let (binding, rest) = str::split_once(line, "@binding(")?.1.split_once(") var<storage, read> ")?;
        let (name, element) = rest.strip_suffix(TEXELS)?.trim_end().strip_suffix(">;")?.split_once(": array<")?;
        Some((line, binding.parse().ok()?, name, element))
    };
    let marked = text.lines().filter(|line| line.contains(TEXELS)).map(|line| {
        parse(line)
            .unwrap_or_else(|| panic!("`{TEXELS}` does not stand alone behind the declaration of an input: {line}"))
    });
    let vec4f = |element: &str| element == "vec4f" || text.contains(&format!("alias {element} = vec4f"));
    marked.filter(|(.., element)| vec4f(element)).map(|(line, binding, name, _)| (line, binding, name)).collect()
}

/// Declares each marked buffer as a texture and turns its reads `x[i]` into `textureLoad(x, texel(i), 0)`.
fn read_texels(text: &str) -> String {
    let mut out = text.to_string();
    for (line, binding, name) in texel_buffers(text) {
        out = out.replace(line, &format!("@group(0) @binding({binding}) var {name}: texture_2d<f32>;"));
        // Whatever keeps an index inside the texture will do for a length.
        out = out.replace(&format!("arrayLength(&{name})"), &format!("(textureDimensions({name}).y * {ROW}u)"));
        let read = format!("{name}[");
        let mut from = 0;
        while let Some(at) = out[from..].find(&read).map(|at| from + at) {
            from = at + read.len();
            let inside_a_name = out[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
            if !inside_a_name {
                let mut open = 1;
                let closes = |c: char| {
                    open += (c == '[') as i32 - (c == ']') as i32;
                    open == 0
                };
                let end = from + out[from..].find(closes).unwrap_or_else(|| panic!("no ] after {read}"));
                let load = format!("textureLoad({name}, texel({}), 0)", &out[from..end]);
                out.replace_range(at..=end, &load);
            }
        }
    }
    out + &format!("fn texel(i: u32) -> vec2u {{ return vec2u(i % {ROW}u, i / {ROW}u); }}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_replace_the_right_hand_side_and_includes_are_expanded_once() {
        const SOURCE: Source = Source {
            path: "test.wgsl",
            text: "//#include \"common/index.wgsl\"\n//#include \"common/index.wgsl\"\nconst BM: u32 = 64u; // @param\nalias T = f32; // @param",
        };
        let text = Kernel::new(SOURCE).with("BM", 8u32).with("T", "f16").wgsl();
        assert!(text.contains("const BM: u32 = 8u; // @param") && text.contains("alias T = f16; // @param"), "{text}");
        assert_eq!(text.matches("fn linear_group").count(), 1);
        assert_eq!(Kernel::new(SOURCE).with("BM", 8u32).with("T", "f16").name(), "test[BM=8,T=f16]");
        assert_eq!(Kernel::new(SOURCE).op(3, "silu").texels().name(), "test[silu]@texels");
    }

    #[test]
    fn a_file_of_the_folder_that_is_named_stands_in_for_the_embedded_one() {
        let folder = std::env::temp_dir().join(format!("ebm-shaders-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("a")).unwrap();
        std::fs::write(folder.join("a/here.wgsl"), "mine").unwrap();
        let text = |path| text_of(Source { path, text: "embedded" }, Some(folder.as_os_str())).into_owned();
        assert_eq!([text("a/here.wgsl"), text("a/there.wgsl")], ["mine", "embedded"]);
        assert_eq!(text_of(Source { path: "a/here.wgsl", text: "embedded" }, None), "embedded");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn marked_buffers_become_textures_and_their_reads_texel_loads() {
        const SOURCE: Source = Source {
            path: "test.wgsl",
            text: "@binding(1) var<storage, read> x: array<vec4f>; // @texels\nlet v = max[0] + x[k[i] + 1u].x + p.x[j];",
        };
        let text = Kernel::new(SOURCE).texels().wgsl();
        assert!(text.contains("@binding(1) var x: texture_2d<f32>;"), "{text}");
        assert!(text.contains("let v = max[0] + textureLoad(x, texel(k[i] + 1u), 0).x + p.x[j];"), "{text}");
    }

    #[test]
    fn a_mark_that_does_not_stand_alone_behind_an_input_is_refused() {
        let declared = "@binding(1) var<storage, read> x: array<vec4f>;";
        for text in [
            format!("{declared} // @texels, read twice"),
            format!("// @texels\n{declared}"),
            "@binding(1) var<storage, read_write> x: array<vec4f>; // @texels".to_string(),
        ] {
            let panic = std::panic::catch_unwind(|| texel_buffers(&text).len()).unwrap_err();
            let message = panic.downcast_ref::<String>().expect("a message");
            assert!(message.contains("does not stand alone") && message.contains("@texels"), "{message}");
        }
        // An input that is specialised to single numbers is declared well and stays a buffer.
        assert!(texel_buffers("@binding(1) var<storage, read> x: array<f32>; // @texels").is_empty());
    }

    #[test]
    #[should_panic(expected = "no `// @param` line for WG")]
    fn an_unknown_parameter_is_refused() {
        Kernel::new(Source { path: "test.wgsl", text: "const BM = 64u; // @param" }).with("WG", 8u32).wgsl();
    }
}
