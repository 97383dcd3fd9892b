//! Parameters: every one has a name, and all of them lie in one flat buffer, so that an optimiser step is one dispatch.

use crate::check;
use crate::error::Result;
use crate::tensor::{Device, Key, Shape, Tensor, Var, no_grad};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Owner of all parameters of a model, under the names that stand in the checkpoint.
///
/// Layers declare their parameters first; the first use of any of them lays out the flat buffer and draws the
/// initial values.
#[derive(Clone)]
pub struct Params(Rc<Store>);

struct Store {
    device: Device,
    key: Key,
    declared: RefCell<Vec<Declared>>,
    buffers: RefCell<BTreeMap<String, Var>>,
    flat: OnceCell<Var>,
    /// The parameters as leaves cut out of one value of `flat`, remade when that value is replaced.
    leaves: RefCell<(u64, Vec<Tensor>)>,
    /// Whether [`Param::get`] hands out constants now.
    frozen: Cell<bool>,
}

struct Declared {
    name: String,
    shape: Shape,
    init: Init,
    offset: usize,
}

/// Parameters start at multiples of this many elements, so that each can be bound on its own.
const ALIGNMENT: usize = 64;

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// One value everywhere.
    Constant(f64),
    /// Uniform on (-a, a).
    Uniform(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

impl Init {
    /// The usual default of linear and convolution layers: uniform with bound 1 / sqrt(fan_in).
    pub fn fan_in(fan_in: usize) -> Init {
        Init::Uniform(1.0 / (fan_in.max(1) as f64).sqrt())
    }

    fn value(self, key: &Key, i: u64) -> f64 {
        match self {
            Init::Constant(c) => c,
            Init::Uniform(a) => a * (2.0 * key.uniform(i) - 1.0),
            Init::Normal(std) => std * key.normal(i),
        }
    }
}

/// A place in the tree of names: `scope.scope("block1")` prefixes what is declared in it with `block1.`.
#[derive(Clone)]
pub struct Scope {
    store: Rc<Store>,
    prefix: String,
}

/// A handle to one parameter.
#[derive(Clone)]
pub struct Param {
    store: Rc<Store>,
    index: usize,
}

impl Params {
    /// An empty set on `device`; initial values are drawn from `key` and the parameters' names.
    pub fn new(device: &Device, key: Key) -> Params {
        Params(Rc::new(Store {
            device: device.clone(),
            key,
            declared: RefCell::default(),
            buffers: RefCell::default(),
            flat: OnceCell::new(),
            leaves: RefCell::default(),
            frozen: Cell::new(false),
        }))
    }

    /// The device the parameters live on.
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// The top of the tree of names.
    pub fn root(&self) -> Scope {
        Scope { store: self.0.clone(), prefix: String::new() }
    }

    /// All parameters in order of declaration, as leaves that gradients can be asked for.
    pub fn tensors(&self) -> Vec<Tensor> {
        self.0.leaves()
    }

    /// Names and shapes in order of declaration.
    pub fn names(&self) -> Vec<(String, Shape)> {
        self.0.declared.borrow().iter().map(|d| (d.name.clone(), d.shape.clone())).collect()
    }

    /// The offset of each parameter in the flat buffer, in elements.
    pub fn offsets(&self) -> Vec<usize> {
        self.0.declared.borrow().iter().map(|d| d.offset).collect()
    }

    /// How many numbers are trained.
    pub fn numel(&self) -> usize {
        self.0.declared.borrow().iter().map(|d| d.shape.numel()).sum()
    }

    /// Whether the declared parameters fit into [`check::MOST_BYTES`]; `name` is where the net stands in the settings. Takes
    /// no memory, as they are laid out by their first use only.
    pub fn check(&self, name: &str) -> Result<()> {
        let bytes = |d: &Declared| d.shape.iter().fold(4u64, |bytes, &size| bytes.saturating_mul(size as u64));
        let bytes = self.0.declared.borrow().iter().map(bytes).fold(0, u64::saturating_add);
        check::within(format!("{name}: bytes of parameters"), bytes, 0..=check::MOST_BYTES)
    }

    /// The flat buffer, gaps included. Optimisers replace its value.
    pub fn flat(&self) -> Var {
        self.0.flat().clone()
    }

    /// Values that belong to the model but are not trained (power-iteration vectors, running statistics).
    pub fn buffers(&self) -> BTreeMap<String, Var> {
        self.0.buffers.borrow().clone()
    }

    /// Runs `f` with other values for all parameters (an EMA copy, for instance), then puts the old ones back.
    pub fn with<T>(&self, flat: &Tensor, f: impl FnOnce() -> T) -> T {
        let var = self.0.flat();
        let before = var.get();
        var.set(flat.clone());
        let value = f();
        var.set(before);
        value
    }
}

impl Params {
    /// Runs `f` with all parameters as constants: no gradient flows into them, and no history leads there.
    pub fn frozen<T>(&self, f: impl FnOnce() -> T) -> T {
        struct Thaw<'a>(&'a Cell<bool>, bool);
        impl Drop for Thaw<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let _thaw = Thaw(&self.0.frozen, self.0.frozen.replace(true));
        f()
    }
}

impl Store {
    fn flat(&self) -> &Var {
        self.flat.get_or_init(|| {
            let declared = self.declared.borrow();
            let total = declared.last().map_or(0, |d| d.offset + d.shape.numel().next_multiple_of(ALIGNMENT));
            let mut values = vec![0.0; total];
            for d in declared.iter() {
                let key = self.key.named(&d.name);
                let place = &mut values[d.offset..d.offset + d.shape.numel()];
                place.iter_mut().enumerate().for_each(|(i, v)| *v = d.init.value(&key, i as u64) as f32 as f64);
            }
            Var::new(&Tensor::from_f64(&self.device, [total], values))
        })
    }

    fn leaves(&self) -> Vec<Tensor> {
        let flat = self.flat().get();
        let mut leaves = self.leaves.borrow_mut();
        if leaves.0 != flat.id() {
            let view = |d: &Declared| flat.view(d.offset, d.shape.clone()).tracked();
            *leaves = (flat.id(), no_grad(|| self.declared.borrow().iter().map(view).collect()));
        }
        leaves.1.clone()
    }
}

impl Scope {
    /// The device the parameters live on.
    pub fn device(&self) -> &Device {
        &self.store.device
    }

    /// A scope inside this one.
    pub fn scope(&self, name: impl std::fmt::Display) -> Scope {
        Scope { store: self.store.clone(), prefix: format!("{}{name}.", self.prefix) }
    }

    /// All parameters, those of other scopes too.
    pub fn params(&self) -> Params {
        Params(self.store.clone())
    }

    /// Declares a parameter.
    ///
    /// # Panics
    /// When the name is taken, or the parameters are already in use.
    #[track_caller]
    pub fn param(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Param {
        assert!(self.store.flat.get().is_none(), "parameter {name} declared after the model was first used");
        let name = format!("{}{name}", self.prefix);
        let mut declared = self.store.declared.borrow_mut();
        assert!(declared.iter().all(|d| d.name != name), "two parameters are called {name}");
        let offset = declared.last().map_or(0, |d| d.offset + d.shape.numel().next_multiple_of(ALIGNMENT));
        declared.push(Declared { name, shape: shape.into(), init, offset });
        Param { store: self.store.clone(), index: declared.len() - 1 }
    }

    /// Declares a value that is kept in the checkpoint but not trained.
    #[track_caller]
    pub fn buffer(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Var {
        let name = format!("{}{name}", self.prefix);
        let shape = shape.into();
        let key = self.store.key.named(&name);
        let values = (0..shape.numel() as u64).map(|i| init.value(&key, i)).collect();
        let var = Var::new(&Tensor::from_f64(&self.store.device, shape, values));
        let taken = self.store.buffers.borrow_mut().insert(name.clone(), var.clone());
        assert!(taken.is_none(), "two buffers are called {name}");
        var
    }
}

impl Param {
    /// The value now, as a leaf that gradients can be asked for (a constant inside [`Params::frozen`]).
    pub fn get(&self) -> Tensor {
        let leaf = &self.store.leaves()[self.index];
        if self.store.frozen.get() { leaf.detach() } else { leaf.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::grad;

    #[test]
    fn parameters_are_views_of_one_buffer_and_follow_its_replacement() {
        let params = Params::new(&Device::oracle(), Key::new(1));
        let (a, b) = (
            params.root().param("a", [3], Init::Constant(2.0)),
            params.root().scope("s").param("b", [2, 2], Init::Normal(1.0)),
        );
        assert_eq!(params.names().iter().map(|n| n.0.as_str()).collect::<Vec<_>>(), ["a", "s.b"]);
        assert_eq!((params.offsets(), params.numel(), params.flat().get().numel()), (vec![0, 64], 7, 128));
        let g = grad(&(a.get().sum() + b.get().square().sum()), &[&a.get(), &b.get()]);
        assert_eq!(g[0].to_vec().unwrap(), [1.0; 3]);
        let (old, doubled) = (a.get(), params.flat().get().mul_scalar(2.0));
        assert_eq!(params.with(&doubled, || a.get().to_vec().unwrap()), [4.0; 3]);
        params.flat().set(doubled);
        assert_eq!((a.get().to_vec().unwrap(), old.to_vec().unwrap()), (vec![4.0; 3], vec![2.0; 3]));
    }
}
