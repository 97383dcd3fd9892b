//! Energies made of others: densities multiplied, mixed, and divided (Du et al. 2020; Du et al. 2021, section 5).

use super::Energy;
use crate::tensor::Tensor;

/// `E(x) = c E_1(x)`: a density at another temperature.
pub struct Scaled<'a>(pub Box<dyn Energy + 'a>, pub f64);

/// AND, `E(x) = sum_i E_i(x)`: the product of the densities, whatever their constants.
pub struct Sum<'a>(pub Vec<Box<dyn Energy + 'a>>);

/// OR, `E(x) = -1/b ln sum_i exp(-b (E_i(x) + ln Z_i))`.
///
/// With b = 1 the even mixture of the densities exp(-E_i) / Z_i; a larger b comes nearer to the largest of them. Energies
/// that were trained apart have arbitrary offsets, so without their ln Z_i the lower one wins.
pub struct AnyOf<'a> {
    /// E_i and ln Z_i.
    pub terms: Vec<(Box<dyn Energy + 'a>, f64)>,
    /// b.
    pub sharpness: f64,
}

/// NOT, `E(x) = E_1(x) - a E_2(x)`: p_1 / p_2^a, which can be normalised on a box only.
pub struct Without<'a> {
    /// E_1.
    pub keep: Box<dyn Energy + 'a>,
    /// E_2.
    pub avoid: Box<dyn Energy + 'a>,
    /// a.
    pub strength: f64,
}

impl Energy for Scaled<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.0.energy(x).mul_scalar(self.1)
    }
}

impl Energy for Sum<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        let all = self.0.iter().map(|energy| energy.energy(x));
        all.reduce(|a, b| a + b).unwrap_or_else(|| Tensor::zeros(x.device(), [x.dim(0)]))
    }
}

impl Energy for AnyOf<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        let b = self.sharpness;
        let exponent = |(energy, log_z): &(Box<dyn Energy + '_>, f64)| {
            energy.energy(x).affine(-b, -b * log_z).reshape([x.dim(0), 1])
        };
        let exponents: Vec<Tensor> = self.terms.iter().map(exponent).collect();
        Tensor::concat(&exponents.iter().collect::<Vec<_>>(), 1).logsumexp(&[1]).mul_scalar(-1.0 / b)
    }
}

impl Energy for Without<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.keep.energy(x) - self.avoid.energy(x).mul_scalar(self.strength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::Quadratic;
    use crate::tensor::Device;

    /// Values and gradients of all three against the formulas written out for two parabolas.
    #[test]
    fn values_and_gradients_follow_the_formulas() {
        let quadratic = |variance| Box::new(Quadratic { variance }) as Box<dyn Energy>;
        let x = [0.3, -1.2, 2.0];
        let tensor = Tensor::from_f64(&Device::Oracle, [3, 1], x.to_vec());
        let check = |energy: &dyn Energy, f: &dyn Fn(f64) -> f64| {
            let (e, g) = energy.value_and_gradient(&tensor);
            let h = 1e-5;
            for ((x, e), g) in x.iter().zip(e.to_f64().unwrap()).zip(g.to_f64().unwrap()) {
                assert!((e - f(*x)).abs() < 1e-12, "{e} {}", f(*x));
                assert!((g - (f(x + h) - f(x - h)) / (2.0 * h)).abs() < 1e-8);
            }
        };
        let (a, b) = (|x: f64| x * x / 2.0, |x: f64| x * x / 8.0);
        check(&Sum(vec![quadratic(1.0), quadratic(4.0)]), &|x| a(x) + b(x));
        let mixed = AnyOf { terms: vec![(quadratic(1.0), 0.5), (quadratic(4.0), -1.0)], sharpness: 2.0 };
        check(&mixed, &|x| -0.5 * ((-2.0 * (a(x) + 0.5)).exp() + (-2.0 * (b(x) - 1.0)).exp()).ln());
        check(&Without { keep: quadratic(1.0), avoid: quadratic(4.0), strength: 0.4 }, &|x| a(x) - 0.4 * b(x));
        check(&Scaled(quadratic(1.0), 3.0), &|x| 3.0 * a(x));
    }
}
