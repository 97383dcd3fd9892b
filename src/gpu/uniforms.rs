//! The uniforms of a dispatch: values for the fields of the shader's `Params`, by name.
//!
//! Names, types and offsets are read from the shader, so the host never thinks of alignment or padding. A pipeline resolves
//! the names of a call once; later calls that give the same names in the same order only copy their values.

use std::cell::RefCell;
use std::rc::Rc;

/// Bytes of the uniform block every kernel binds at 0.
pub(super) const PARAMS_BYTES: u64 = 256;

/// The value of one field: up to eight scalars of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Uniform {
    kind: Kind,
    count: usize,
    bits: [u32; 8],
}

/// What a scalar is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    U32,
    I32,
    F32,
}

impl Uniform {
    fn new(kind: Kind, scalars: &[u32]) -> Uniform {
        let mut bits = [0; 8];
        bits[..scalars.len()].copy_from_slice(scalars);
        Uniform { kind, count: scalars.len(), bits }
    }
}

impl From<u32> for Uniform {
    fn from(x: u32) -> Uniform {
        Uniform::new(Kind::U32, &[x])
    }
}

/// # Panics
/// When it exceeds 32 bits.
impl From<usize> for Uniform {
    fn from(x: usize) -> Uniform {
        Uniform::from(u32::try_from(x).unwrap_or_else(|_| panic!("a uniform of {x} exceeds 32 bits")))
    }
}

impl From<f32> for Uniform {
    fn from(x: f32) -> Uniform {
        Uniform::new(Kind::F32, &[x.to_bits()])
    }
}

/// Rounds to f32.
impl From<f64> for Uniform {
    fn from(x: f64) -> Uniform {
        Uniform::from(x as f32)
    }
}

/// The scalars of an array, a vector or a struct, in order; at most eight.
impl<const N: usize> From<[u32; N]> for Uniform {
    fn from(x: [u32; N]) -> Uniform {
        Uniform::new(Kind::U32, &x)
    }
}

/// As above, signed.
impl<const N: usize> From<[i32; N]> for Uniform {
    fn from(x: [i32; N]) -> Uniform {
        Uniform::new(Kind::I32, &x.map(|x| x as u32))
    }
}

/// The uniforms of a dispatch by the names of the shader's `Params`: `uniforms![quads, step: 0.5]`.
#[macro_export]
macro_rules! uniforms {
    (@value $name:ident) => { $crate::gpu::Uniform::from($name) };
    (@value $name:ident $value:expr) => { $crate::gpu::Uniform::from($value) };
    ($($name:ident $(: $value:expr)?),* $(,)?) => {
        &[$((stringify!($name), $crate::uniforms!(@value $name $($value)?))),*]
    };
}

/// `Params` of a shader.
pub(super) struct Layout {
    pub fields: Vec<Field>,
    /// The size of the block in words.
    words: usize,
    /// For each uniform of the latest call, its field.
    order: RefCell<Vec<usize>>,
}

/// A field, and the words of the block that hold its scalars.
pub(super) struct Field {
    name: String,
    kind: Kind,
    words: Vec<usize>,
}

impl Field {
    fn takes(&self, value: &Uniform) -> bool {
        self.kind == value.kind && self.words.len() == value.count
    }
}

impl Layout {
    /// Reads the struct at binding 0; a shader without one has no fields.
    pub fn of(module: &naga::Module) -> Result<Layout, String> {
        let params = module.global_variables.iter().find(|(_, v)| v.space == naga::AddressSpace::Uniform);
        let mut layout = Layout { fields: Vec::new(), words: 0, order: RefCell::default() };
        let Some((_, params)) = params else { return Ok(layout) };
        let naga::TypeInner::Struct { members, span } = &module.types[params.ty].inner else {
            return Err("the uniforms must be a struct".into());
        };
        if *span as u64 > PARAMS_BYTES {
            return Err(format!("{span} bytes of uniforms, at most {PARAMS_BYTES} fit"));
        }
        layout.words = span.div_ceil(4) as usize;
        for member in members {
            let name = member.name.clone().unwrap_or_default();
            let mut scalars = Vec::new();
            flatten(module, member.ty, member.offset, &mut scalars)
                .map_err(|why| format!("uniform `{name}`: {why}"))?;
            let kind = scalars.first().map_or(Kind::U32, |s| s.1);
            if scalars.iter().any(|s| s.1 != kind) {
                return Err(format!("uniform `{name}`: its scalars must be of one kind"));
            }
            layout.fields.push(Field { name, kind, words: scalars.into_iter().map(|s| s.0).collect() });
        }
        Ok(layout)
    }

    /// The block for these values.
    ///
    /// # Panics
    /// When a name is unknown, missing or given twice, or a value does not have the field's type, naming the kernel.
    pub fn block(&self, kernel: &str, given: &[(&'static str, Uniform)]) -> Rc<[u32]> {
        let mut order = self.order.borrow_mut();
        let fits = |(&field, (name, value)): (&usize, &(&str, Uniform))| {
            let field = &self.fields[field];
            field.name == *name && field.takes(value)
        };
        if order.len() != given.len() || !order.iter().zip(given).all(fits) || given.len() != self.fields.len() {
            *order = self.resolve(given).unwrap_or_else(|why| panic!("{kernel}: {why}"));
        }
        let mut block = vec![0; self.words];
        for (&field, (_, value)) in order.iter().zip(given) {
            for (&word, bits) in self.fields[field].words.iter().zip(value.bits) {
                block[word] = bits;
            }
        }
        block.into()
    }

    fn resolve(&self, given: &[(&'static str, Uniform)]) -> Result<Vec<usize>, String> {
        let mut order = Vec::new();
        for (name, value) in given {
            let field = self.fields.iter().position(|f| f.name == *name);
            let field = field.ok_or_else(|| format!("there is no uniform `{name}`"))?;
            let Field { kind, words, .. } = &self.fields[field];
            if !self.fields[field].takes(value) {
                let (wants, got) = ((words.len(), kind), (value.count, value.kind));
                return Err(format!("uniform `{name}` is {} x {:?}, not {} x {:?}", wants.0, wants.1, got.0, got.1));
            }
            if order.contains(&field) {
                return Err(format!("uniform `{name}` is given twice"));
            }
            order.push(field);
        }
        match self.fields.iter().enumerate().find(|(i, _)| !order.contains(i)) {
            Some((_, field)) => Err(format!("uniform `{}` is missing", field.name)),
            None => Ok(order),
        }
    }
}

/// The scalars of a type that lies at byte `offset`, each as its word and its kind.
fn flatten(
    module: &naga::Module,
    ty: naga::Handle<naga::Type>,
    offset: u32,
    out: &mut Vec<(usize, Kind)>,
) -> Result<(), String> {
    use naga::{ArraySize, ScalarKind, TypeInner};
    let kind = |scalar: &naga::Scalar| match scalar.kind {
        ScalarKind::Uint => Ok(Kind::U32),
        ScalarKind::Sint => Ok(Kind::I32),
        ScalarKind::Float if scalar.width == 4 => Ok(Kind::F32),
        other => Err(format!("{other:?} is no kind of uniform")),
    };
    match &module.types[ty].inner {
        TypeInner::Scalar(scalar) => out.push((offset as usize / 4, kind(scalar)?)),
        TypeInner::Vector { size, scalar } => {
            for i in 0..*size as u32 {
                out.push(((offset / 4 + i) as usize, kind(scalar)?));
            }
        }
        TypeInner::Array { base, size: ArraySize::Constant(n), stride } => {
            for i in 0..n.get() {
                flatten(module, *base, offset + i * stride, out)?;
            }
        }
        TypeInner::Struct { members, .. } => {
            for member in members {
                flatten(module, member.ty, offset + member.offset, out)?;
            }
        }
        other => return Err(format!("{other:?} is no type of uniform")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let text = "struct Key { seed: vec2u, step: u32 }
            struct Params { n: u32, a: f32, @align(16) key: Key, dims: array<vec4i, 2> }
            @group(0) @binding(0) var<uniform> p: Params;
            @compute @workgroup_size(1) fn main() {}";
        Layout::of(&naga::front::wgsl::parse_str(text).unwrap()).unwrap()
    }

    #[test]
    fn values_go_to_the_offsets_of_their_names() {
        let layout = layout();
        let key = [7u32, 8, 9];
        let one = layout.block("k", uniforms![n: 5usize, a: 0.5, key, dims: [1, 2, 3, 4, 5, 6, 7, -8]]);
        let bits = 0.5f32.to_bits();
        assert_eq!(one[..], [5, bits, 0, 0, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, -8i32 as u32]);
        let again = layout.block("k", uniforms![dims: [1, 2, 3, 4, 5, 6, 7, -8], key, a: 0.5f32, n: 5u32]);
        assert_eq!(one, again);
    }

    #[test]
    fn a_wrong_name_or_type_is_refused() {
        let refused = |given: &[(&'static str, Uniform)]| layout().resolve(given).unwrap_err();
        assert_eq!(refused(uniforms![m: 1u32]), "there is no uniform `m`");
        assert_eq!(refused(uniforms![n: 1.0]), "uniform `n` is 1 x U32, not 1 x F32");
        assert_eq!(refused(uniforms![key: [1u32, 2]]), "uniform `key` is 3 x U32, not 2 x U32");
        assert_eq!(refused(uniforms![n: 1u32, n: 1u32]), "uniform `n` is given twice");
        assert_eq!(refused(uniforms![n: 1u32]), "uniform `a` is missing");
    }

    #[test]
    #[should_panic(expected = "langevin/step: there is no uniform `m`")]
    fn a_refusal_names_the_kernel() {
        layout().block("langevin/step", uniforms![m: 1u32]);
    }
}
