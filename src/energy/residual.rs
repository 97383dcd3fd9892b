//! The residual net over noise levels of Zhu et al. 2024 (CDRL): fully connected for points, convolutional for images, the
//! same blocks in both. No normalisation layers; every weight but the head's is divided by its largest singular value.

use super::Energy;
use super::level::{LevelEnergyConfig, is_published};
use crate::check;
use crate::error::{Error, Result};
use crate::nn::{Activation, Conv2d, Init, Linear, Param, Scope, SpectralNorm, level_features};
use crate::ops::conv2d::Conv;
use crate::ops::langevin::LangevinStep;
use crate::ops::residual_chain::{Residual, ResidualBlock};
use crate::tensor::{Key, Tensor, no_grad};

/// Size of the sinusoidal features of a level.
const FEATURES: usize = 128;

/// E(y; c): an energy told, for every sample, the [index](crate::nn::condition_index) of one of `levels (classes + 1)`
/// conditions.
pub struct ResidualEnergy {
    features: Tensor,
    embed: [Normed; 2],
    class: Option<Normed>,
    enter: Normed,
    stages: Vec<Vec<Block>>,
    head: Head,
    activation: Activation,
}

/// `y = skip(x) + gain * second(a(first(a(x)) + b(level(b(embedding)))))`, b = leaky ReLU of slope 0.2, and a unless another is set.
struct Block {
    first: Normed,
    level: Normed,
    second: Normed,
    gain: Param,
    skip: Option<Normed>,
}

/// f = <relu(h), weights>: learned weights for points, weights made from the embedding for images.
enum Head {
    Constant(Param),
    Embedded(Linear),
}

impl ResidualEnergy {
    /// Declares the net in `scope` for samples of shape `item`, with one level for each entry of `log_snr`.
    pub fn new(
        scope: &Scope,
        item: &[usize],
        config: &LevelEnergyConfig,
        log_snr: &[f64],
        classes: usize,
    ) -> Result<ResidualEnergy> {
        config.check("energy")?;
        let (kernel, widths, blocks, embedding, activation) = match (config, item) {
            (LevelEnergyConfig::Mlp { widths, embedding, activation }, [_]) => {
                (None, widths, 1, *embedding, *activation)
            }
            (LevelEnergyConfig::Conv { widths, blocks, embedding, activation }, [h, w, _]) => {
                let (times, most) = (widths.len() - 1, h.trailing_zeros().min(w.trailing_zeros()) as usize);
                let why =
                    format!("halves the image {times} times, but {h}x{w} cannot be; use at most {} widths", most + 1);
                check::ensure(times <= most, "energy.widths", widths, why)?;
                (Some(3), widths, *blocks, *embedding, *activation)
            }
            _ => {
                return Err(Error::setting(format!(
                    "energy.kind = \"mlp\" takes points and \"conv\" takes images; the data are {item:?}"
                )));
            }
        };
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let inputs = item[item.len() - 1];
        let mut width = first;
        let mut stages = Vec::new();
        for (i, &outputs) in widths.iter().enumerate() {
            let block = |b: usize| {
                let scope = scope.scope(format!("stage{i}.block{b}"));
                Block::new(&scope, if b == 0 { width } else { outputs }, outputs, kernel, embedding)
            };
            stages.push((0..blocks).map(block).collect());
            width = outputs;
        }
        let head = scope.scope("head");
        Ok(ResidualEnergy {
            features: level_features(scope.device(), log_snr, FEATURES),
            embed: [
                Normed::new(&scope.scope("embed0"), FEATURES, embedding, None),
                Normed::new(&scope.scope("embed1"), embedding, embedding, None),
            ],
            class: (classes > 0).then(|| Normed::new(&scope.scope("class"), classes + 1, embedding, None)),
            enter: Normed::new(&scope.scope("enter"), inputs, first, kernel),
            stages,
            head: match kernel {
                None => Head::Constant(head.param("weight", [1, last], Init::fan_in(last))),
                Some(_) => Head::Embedded(Linear::without_bias(&head, embedding, last, Init::fan_in(embedding))),
            },
            activation,
        })
    }

    /// One step of power iteration for every normalised weight; once per training step.
    pub fn update_norms(&self) {
        let blocks = self.stages.iter().flatten();
        let of_block = |b: &Block| [&b.first, &b.level, &b.second].map(Normed::update);
        blocks.clone().map(of_block).for_each(drop);
        blocks.filter_map(|b| b.skip.as_ref()).for_each(Normed::update);
        self.embed.iter().chain(&self.class).chain([&self.enter]).for_each(Normed::update);
    }

    /// The energy of a batch whose sample n has condition `condition[n]` (`[N]`, or `[1]` for all).
    ///
    /// What does not depend on the samples is computed here, once: normalised weights, and the branch of the level, which
    /// has one row for each condition instead of one for each sample. Samples find theirs by a product with a one-hot
    /// matrix, whose adjoint is a product too.
    pub fn at(&self, condition: &Tensor) -> ConditionedResidual {
        let activated = leaky(&self.embedding()); // [R, D]
        let chosen = condition.one_hot(activated.dim(0)); // [N, R]
        let block = |b: &Block| {
            let second = b.second.fix();
            let gain = b.gain.get();
            let mut column = vec![1; second.weight.shape().rank()];
            column[0] = gain.numel();
            FixedBlock {
                first: b.first.fix(),
                shift: chosen.matmul(&leaky(&b.level.fix().apply(&activated))),
                second: Fixed {
                    weight: &second.weight * &gain.reshape(column),
                    bias: &second.bias * &gain,
                    conv: second.conv,
                },
                skip: b.skip.as_ref().map(Normed::fix),
            }
        };
        ConditionedResidual {
            enter: self.enter.fix(),
            stages: self.stages.iter().map(|stage| stage.iter().map(block).collect()).collect(),
            head: match &self.head {
                Head::Constant(weight) => weight.get(),
                Head::Embedded(linear) => chosen.matmul(&linear.forward(&activated)),
            },
            activation: self.activation,
        }
    }

    /// The embedding of every condition, `[levels (classes + 1), D]`.
    fn embedding(&self) -> Tensor {
        let level = self.embed[1].fix().apply(&leaky(&self.embed[0].fix().apply(&self.features))); // [L, D]
        let Some(class) = &self.class else { return level };
        let class = class.fix();
        let class = class.weight.transpose() + &class.bias; // of every one-hot class: [classes + 1, D]
        let (levels, classes, dim) = (level.dim(0), class.dim(0), level.dim(1));
        (level.reshape([levels, 1, dim]) + class.reshape([1, classes, dim])).reshape([levels * classes, dim])
    }
}

impl Block {
    fn new(scope: &Scope, inputs: usize, outputs: usize, kernel: Option<usize>, embedding: usize) -> Block {
        let map = |name: &str, inputs| Normed::new(&scope.scope(name), inputs, outputs, kernel);
        Block {
            first: map("first", inputs),
            level: Normed::new(&scope.scope("level"), embedding, outputs, None),
            second: map("second", outputs),
            gain: scope.param("gain", [outputs], Init::Constant(1.0)),
            skip: (inputs != outputs).then(|| map("skip", inputs)),
        }
    }
}

/// [`ResidualEnergy`] with its weights normalised and its conditions looked up.
pub struct ConditionedResidual {
    enter: Fixed,
    stages: Vec<Vec<FixedBlock>>,
    /// `[N or 1, C]`
    head: Tensor,
    activation: Activation,
}

struct FixedBlock {
    first: Fixed,
    /// `[N or 1, C]`
    shift: Tensor,
    /// The gain is folded in.
    second: Fixed,
    skip: Option<Fixed>,
}

impl ConditionedResidual {
    /// The same energy as a constant, for the first `n` samples.
    pub fn frozen(&self, n: usize) -> ConditionedResidual {
        let first = |x: &Tensor| if x.dim(0) == 1 { x.detach() } else { no_grad(|| x.narrow(0, 0, n)) };
        let block = |b: &FixedBlock| FixedBlock {
            first: b.first.frozen(),
            shift: first(&b.shift),
            second: b.second.frozen(),
            skip: b.skip.as_ref().map(Fixed::frozen),
        };
        ConditionedResidual {
            enter: self.enter.frozen(),
            stages: self.stages.iter().map(|stage| stage.iter().map(block).collect()).collect(),
            head: first(&self.head),
            activation: self.activation,
        }
    }
}

impl Energy for ConditionedResidual {
    fn energy(&self, y: &Tensor) -> Tensor {
        let images = y.shape().rank() == 4;
        let mut h = self.enter.apply(y);
        for (i, stage) in self.stages.iter().enumerate() {
            if i > 0 && images {
                h = h.avg_pool(2, 2, 0);
            }
            h = stage.iter().fold(h, |h, block| block.apply(&h, self.activation));
        }
        let h = if is_published(&self.activation) { h.relu() } else { self.activation.apply(&h) };
        let h = if images { h.sum_axes(&[1, 2]) } else { h };
        -(&h * &self.head).sum_axes(&[1])
    }

    /// For points the whole chain is one kernel.
    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        if x_0.shape().rank() != 2 || !is_published(&self.activation) {
            return None;
        }
        let blocks = self.stages.iter().flatten().map(FixedBlock::of_chain).collect();
        let net = Residual { enter: self.enter.parts(), blocks, head: &self.head, slope: SLOPE };
        net.fits().then(|| net.run(step, steps, x_0, key))
    }
}

impl FixedBlock {
    fn of_chain(&self) -> ResidualBlock<'_> {
        ResidualBlock {
            first: self.first.parts(),
            shift: &self.shift,
            second: self.second.parts(),
            skip: self.skip.as_ref().map(Fixed::parts),
        }
    }

    fn apply(&self, x: &Tensor, activation: Activation) -> Tensor {
        let mut shape = vec![1; x.shape().rank()];
        (shape[0], shape[x.shape().rank() - 1]) = (self.shift.dim(0), self.shift.dim(1));
        let h = self.first.apply(&activation.apply(x)) + self.shift.reshape(shape);
        let skip = self.skip.as_ref().map_or_else(|| x.clone(), |skip| skip.apply(x));
        skip + self.second.apply(&activation.apply(&h))
    }
}

/// A linear layer or a convolution that keeps the size, spectrally normalised.
struct Normed {
    weight: Param,
    bias: Param,
    conv: Option<Conv>,
    norm: SpectralNorm,
}

impl Normed {
    fn new(scope: &Scope, inputs: usize, outputs: usize, kernel: Option<usize>) -> Normed {
        let norm = SpectralNorm::new(scope, outputs);
        match kernel {
            None => {
                let Linear { weight, bias } = Linear::new(scope, inputs, outputs);
                Normed { weight, bias: bias.expect("a linear layer has a bias"), conv: None, norm }
            }
            Some(kernel) => {
                let Conv2d { weight, bias, conv } = Conv2d::new(scope, inputs, outputs, kernel, 1);
                Normed { weight, bias: bias.expect("a convolution has a bias"), conv: Some(conv), norm }
            }
        }
    }

    fn update(&self) {
        self.norm.update(&self.weight.get());
    }

    fn fix(&self) -> Fixed {
        Fixed { weight: self.norm.apply(&self.weight.get()), bias: self.bias.get(), conv: self.conv }
    }
}

/// A layer with the weights it computes with.
struct Fixed {
    weight: Tensor,
    bias: Tensor,
    conv: Option<Conv>,
}

impl Fixed {
    fn parts(&self) -> [&Tensor; 2] {
        [&self.weight, &self.bias]
    }

    fn frozen(&self) -> Fixed {
        Fixed { weight: self.weight.detach(), bias: self.bias.detach(), conv: self.conv }
    }

    fn apply(&self, x: &Tensor) -> Tensor {
        match self.conv {
            None => x.linear(&self.weight, Some(&self.bias)),
            Some(conv) => x.conv2d(&self.weight, Some(&self.bias), conv),
        }
    }
}

/// What activations multiply negative numbers by.
const SLOPE: f64 = 0.2;

fn leaky(x: &Tensor) -> Tensor {
    x.leaky_relu(SLOPE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::grad;
    use crate::nn::Params;
    use crate::tensor::{Device, Key, Var};

    fn build(item: &[usize], config: &LevelEnergyConfig, classes: usize) -> (Params, ResidualEnergy) {
        let params = Params::new(&Device::oracle(), Key::new(3));
        let energy = ResidualEnergy::new(&params.root(), item, config, &[9.8, 1.0, -2.0], classes).unwrap();
        (params, energy)
    }

    /// The counts follow from section 5 of the specification.
    #[test]
    fn the_published_nets_have_the_published_sizes() {
        let points = LevelEnergyConfig::mlp([128, 256, 256, 256], 512);
        assert_eq!(build(&[2], &points, 0).0.numel(), 1_217_920);
        let images = LevelEnergyConfig::conv([128, 256, 256, 256], 8, 512);
        assert_eq!(build(&[32, 32, 3], &images, 0).0.numel(), 34_833_152);
    }

    #[test]
    fn each_sample_has_the_energy_of_its_own_condition() {
        let config = LevelEnergyConfig::conv([3, 4], 2, 8);
        let (_, energy) = build(&[4, 4, 1], &config, 2);
        let device = Device::oracle();
        let y = Tensor::normal(&device, [3, 4, 4, 1], &Key::new(1));
        let all = energy.at(&Tensor::new(&device, [3], &[0.0, 5.0, 8.0])).energy(&y).to_f64().unwrap();
        for (n, row) in [0.0, 5.0, 8.0].into_iter().enumerate() {
            let one = energy.at(&Tensor::new(&device, [1], &[row])).energy(&y).to_f64().unwrap();
            assert!((all[n] - one[n]).abs() < 1e-12, "{all:?} {one:?}");
            assert!(n == 0 || (one[0] - all[0]).abs() > 1e-6, "condition {row} changes nothing");
        }
    }

    /// In f64 the chain of one kernel is that of single steps; with and without widths that change.
    #[test]
    fn a_fused_chain_ends_where_single_steps_end() {
        use crate::sample::Chain;
        for widths in [vec![4, 4, 6], vec![5, 3]] {
            let config = LevelEnergyConfig::mlp(widths, 8);
            let (params, energy) = build(&[2], &config, 0);
            let flat = params.flat();
            // Biases and gains of their own.
            flat.set(flat.get() + Tensor::normal(&Device::oracle(), flat.get().shape(), &Key::new(8)).mul_scalar(0.3));
            let device = Device::oracle();
            let [x, center] = [1, 2].map(|seed| Tensor::normal(&device, [5, 2], &Key::new(seed)));
            let noise = Tensor::new(&device, [5], &[0.1, 0.2, 0.3, 0.4, 0.5]);
            let step = LangevinStep::new(0.5, &noise).coupling(&noise.mul_scalar(0.2), &center);
            for conditions in [vec![0.0, 1.0, 2.0, 1.0, 0.0], vec![2.0]] {
                let energy = energy.at(&Tensor::new(&device, [conditions.len()], &conditions));
                let end =
                    |fused| Chain::new(7, step.clone()).fused(fused).run(&energy, &x, &Key::new(4)).to_f64().unwrap();
                for (a, b) in end(true).iter().zip(end(false)) {
                    assert!((a - b).abs() < 1e-10, "{a} {b}");
                }
            }
        }
    }

    /// The gradient of every parameter against a central difference along a random direction.
    #[test]
    fn parameter_gradients_agree_with_differences() {
        for (item, config) in [
            (&[2][..], LevelEnergyConfig::mlp([4, 6], 8)),
            (&[4, 4, 1], LevelEnergyConfig::conv([3, 4], 1, 8)),
            (
                &[4, 4, 1],
                LevelEnergyConfig::Conv { widths: vec![3, 4], blocks: 1, embedding: 8, activation: Activation::Silu },
            ),
        ] {
            let (params, energy) = build(item, &config, 1);
            let device = Device::oracle();
            let shape: Vec<usize> = [3].into_iter().chain(item.iter().copied()).collect();
            let y = Tensor::normal(&device, shape, &Key::new(1));
            let conditions = Tensor::new(&device, [3], &[0.0, 3.0, 5.0]);
            let loss = || energy.at(&conditions).energy(&y).square().sum();
            let leaves = params.tensors();
            let grads = grad(&loss(), &leaves.iter().collect::<Vec<_>>());
            let flat = params.flat().get();
            let direction = Tensor::normal(&device, flat.shape(), &Key::new(2));
            // Parameters are kept in f32: the two points are rounded first, then subtracted.
            let moved = |s: f64| {
                let var = Var::new(&flat);
                var.set(&flat + &direction.mul_scalar(s * 1e-4));
                var.get()
            };
            let (up, down) = (moved(1.0), moved(-1.0));
            let at = |flat: &Tensor| no_grad(|| params.with(flat, loss)).item().unwrap();
            let want = at(&up) - at(&down);
            let step = &up - &down;
            let along = |(g, offset): (&Tensor, &usize)| (g * &step.view(*offset, g.shape())).sum().item().unwrap();
            let got: f64 = grads.iter().zip(&params.offsets()).map(along).sum();
            // Power-iteration vectors are constants, so the difference sees the same function.
            assert!((got - want).abs() < 1e-5 * want.abs(), "{got} {want}");
        }
    }
}
