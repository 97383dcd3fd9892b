//! Shader files: embedding, `#include`, and specialisation.
//!
//! A shader is a WGSL file under `shaders/`. Three kinds of comment give it meaning to the host:
//!
//! - `//#include "common/rng.wgsl"` is replaced by that file (once); `//#include LOADER` by the file that the
//!   parameter `LOADER` names.
//! - a line ending in `// @param` (`const BM = 64u; // @param`, `alias T = f32; // @param`) has its right-hand side
//!   replaced by the host's value. Whatever is not replaced keeps the default that stands in the file.
//! - a buffer declared in a line ending in `// @texels` becomes a texture in [`Kernel::texels`], if it holds `vec4f`.

use super::texels::ROW;
use std::collections::BTreeSet;

/// A WGSL file embedded in the program.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The path below `shaders/`.
    pub path: &'static str,
    /// The text of the file.
    pub text: &'static str,
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
    shader!("pool/resize_weights.wgsl"),
    shader!("gemm/bias.wgsl"),
    shader!("gemm/conv_shape.wgsl"),
    shader!("gemm/fragment.wgsl"),
    shader!("gemm/load_conv_forward.wgsl"),
    shader!("gemm/load_conv_input_grad.wgsl"),
    shader!("gemm/load_conv_weight_grad.wgsl"),
    shader!("gemm/load_matmul.wgsl"),
    shader!("gemm/no_bias.wgsl"),
    shader!("gemm/read_f32.wgsl"),
    shader!("gemm/read_texels.wgsl"),
    shader!("gemm/read_vec4.wgsl"),
    shader!("gemm/store_f32.wgsl"),
    shader!("gemm/store_swapped.wgsl"),
    shader!("gemm/store_vec4.wgsl"),
    shader!("gemm/straight.wgsl"),
    shader!("gemm/swapped.wgsl"),
    shader!("reduce/functions.wgsl"),
    shader!("schedule/sample.wgsl"),
    shader!("common/scalar.wgsl"),
    shader!("common/vec4.wgsl"),
    shader!("sort/pairs.wgsl"),
];

/// One specialisation of a shader file: what is compiled into a pipeline.
#[derive(Clone, Debug)]
pub struct Kernel {
    source: Source,
    /// `path[NAME=value,...]`: identifies the specialisation everywhere (pipeline cache, profile, listings).
    name: String,
    params: Vec<(&'static str, String)>,
    texels: bool,
}

impl Kernel {
    /// The file with its defaults.
    pub fn new(source: Source) -> Kernel {
        Kernel { source, name: source.path.trim_end_matches(".wgsl").to_string(), params: Vec::new(), texels: false }
    }

    /// Replaces the right-hand side of the `// @param` line of `name`.
    pub fn with(mut self, name: &'static str, value: impl WgslValue) -> Kernel {
        let value = value.wgsl();
        let short =
            value.trim_end_matches(".wgsl").rsplit('/').next().unwrap_or_default().trim_matches('"').to_string();
        match self.name.strip_suffix(']') {
            Some(open) => self.name = format!("{open},{name}={short}]"),
            None => self.name = format!("{}[{name}={short}]", self.name),
        }
        self.params.push((name, value));
        self
    }

    /// The same kernel reading every buffer marked `// @texels` as a texture; itself when none is marked.
    pub(super) fn texels(mut self) -> Kernel {
        let mut includes = self.source.text.lines().filter_map(|line| line.strip_prefix("//#include "));
        let marked = |path: &str| INCLUDES.iter().any(|s| s.path == path.trim_matches('"') && s.text.contains(TEXELS));
        if self.source.text.contains(TEXELS) || includes.any(marked) {
            self.texels = true;
            self.name.push_str("[texels]");
        }
        self
    }

    /// `path[NAME=value,...]`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's path below `shaders/`.
    pub fn path(&self) -> &'static str {
        self.source.path
    }

    /// The WGSL text after includes and specialisation.
    ///
    /// # Panics
    /// When a parameter has no `// @param` line or an include names no embedded file: mistakes of this crate's code.
    pub fn wgsl(&self) -> String {
        let mut out = format!("// {}\n", self.name);
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
        for line in source.text.lines() {
            if let Some(target) = line.trim_start().strip_prefix("//#include ") {
                let target = target.trim();
                let path = match self.params.iter().find(|(name, _)| *name == target) {
                    Some((name, path)) => {
                        used.insert(name);
                        path.as_str()
                    }
                    None => target.trim_matches('"'),
                };
                let file = INCLUDES.iter().find(|s| s.path == path);
                let file = file.unwrap_or_else(|| panic!("{}: no file to include called {target}", source.path));
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
        let Some(declaration) = line.trim_end().strip_suffix("// @param") else { return line.to_string() };
        let Some((left, _default)) = declaration.split_once('=') else { return line.to_string() };
        let word = left.split_whitespace().nth(1).unwrap_or_default().trim_end_matches(':');
        match self.params.iter().find(|(name, _)| *name == word) {
            Some((name, value)) => {
                used.insert(name);
                format!("{left}= {value}; // @param")
            }
            None => line.to_string(),
        }
    }
}

/// Ends the line that declares a buffer which may be read as a texture.
const TEXELS: &str = "// @texels";

/// Declares each buffer marked [`TEXELS`] as a texture and turns its reads `x[i]` into `textureLoad(x, texel(i), 0)`.
fn read_texels(text: &str) -> String {
    let mut out = text.to_string();
    let vec4 = |line: &str| line.contains("array<vec4f>") || text.contains("alias T = vec4f");
    for line in text.lines().filter(|line| line.ends_with(TEXELS) && vec4(line)) {
        let (binding, name) = line.split_once("var<storage, read> ").unwrap_or_else(|| panic!("not an input: {line}"));
        let name = name.split(':').next().unwrap_or_default();
        out = out.replace(line, &format!("{binding}var {name}: texture_2d<f32>;"));
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

/// A host value that can stand on the right-hand side of a WGSL `const` or `alias`.
pub trait WgslValue {
    /// Its WGSL spelling.
    fn wgsl(&self) -> String;
}

impl WgslValue for u32 {
    fn wgsl(&self) -> String {
        format!("{self}u")
    }
}

impl WgslValue for usize {
    fn wgsl(&self) -> String {
        format!("{self}u")
    }
}

impl WgslValue for i32 {
    fn wgsl(&self) -> String {
        format!("{self}i")
    }
}

impl WgslValue for bool {
    fn wgsl(&self) -> String {
        self.to_string()
    }
}

impl WgslValue for &str {
    fn wgsl(&self) -> String {
        self.to_string()
    }
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
        assert_eq!(Kernel::new(SOURCE).with("BM", 8u32).with("T", "f16").name(), "test[BM=8u,T=f16]");
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
    #[should_panic(expected = "no `// @param` line for WG")]
    fn an_unknown_parameter_is_refused() {
        Kernel::new(Source { path: "test.wgsl", text: "const BM = 64u; // @param" }).with("WG", 8u32).wgsl();
    }
}
