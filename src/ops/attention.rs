//! Attention, composed of matrix products and softmax.

use super::{Case, Input};
use crate::tensor::{Tensor, calling};

/// How queries attend; the default is one head, every key, and the scale `1 / sqrt(D)`.
#[derive(Clone)]
pub struct Attention<'a> {
    /// The parts that the last axis of queries, keys and values is cut into; each attends by itself.
    pub heads: usize,
    /// Broadcasts to the weights `[.., T, S]` (with several heads `[.., heads, T, S]`): where it is 0, a query does not
    /// see a key.
    pub mask: Option<&'a Tensor>,
    /// Whether query t sees only the keys 0..=t.
    pub causal: bool,
    /// What the scores are multiplied by, in place of `1 / sqrt(D / heads)`.
    pub scale: Option<f64>,
}

impl Default for Attention<'_> {
    fn default() -> Self {
        Attention { heads: 1, mask: None, causal: false, scale: None }
    }
}

impl Tensor {
    /// Scaled dot-product attention (Vaswani et al., 2017): `softmax(scale q k^T) v` with queries `self[.., T, D]`, keys
    /// `k[.., S, D]` and values `v[.., S, E]`; the result is `[.., T, E]`. A query that sees no key gets 0.
    ///
    /// Composed of public ops: the weights `[.., T, S]` exist in memory, four passes over them.
    #[track_caller]
    pub fn scaled_dot_product_attention(&self, k: &Tensor, v: &Tensor, how: Attention) -> Tensor {
        let _op = calling("scaled_dot_product_attention");
        let (heads, ranks) = (how.heads, [self, k, v].map(|t| t.shape().rank()));
        let fits = ranks[0] >= 2
            && ranks == [ranks[0]; 3]
            && self.dim(-1) == k.dim(-1)
            && k.dim(-2) == v.dim(-2)
            && heads > 0
            && [self, v].iter().all(|t| t.dim(-1).is_multiple_of(heads));
        assert!(
            fits,
            "scaled_dot_product_attention: wants queries [.., T, D], keys [.., S, D] and values [.., S, E], D and E \
             multiples of {heads} heads; shapes {}, {}, {}",
            self.shape(),
            k.shape(),
            v.shape()
        );
        let scale = how.scale.unwrap_or(1.0 / ((self.dim(-1) / heads) as f64).sqrt());
        let [q, k, v] = [self, k, v].map(|t| if heads == 1 { t.clone() } else { t.split_heads(heads) });
        // Scaling the queries is cheaper than scaling the scores.
        let mut scores = q.mul_scalar(scale).matmul_t(&k); // [.., T, S]
        let unseen = Tensor::scalar(self.device(), f64::NEG_INFINITY);
        if let Some(mask) = how.mask {
            scores = mask.detach().where_(&scores, &unseen);
        }
        if how.causal {
            let [t, s] = [q.dim(-2), k.dim(-2)];
            let column = Tensor::iota(self.device(), t).unsqueeze(-1);
            scores = Tensor::iota(self.device(), s).less_equal(&column).where_(&scores, &unseen);
        }
        let y = scores.softmax(-1).matmul(&v);
        if heads == 1 { y } else { y.join_heads() }
    }

    /// `[.., T, heads D] -> [.., heads, T, D]`
    fn split_heads(&self, heads: usize) -> Tensor {
        let rank = self.shape().rank();
        let mut shape = self.shape().clone();
        shape.0[rank - 1] /= heads;
        shape.0.insert(rank - 1, heads);
        self.reshape(shape).exchange(rank - 2)
    }

    /// `[.., heads, T, D] -> [.., T, heads D]`
    fn join_heads(&self) -> Tensor {
        let rank = self.shape().rank();
        let y = self.exchange(rank - 3);
        let mut shape = y.shape().clone();
        let dim = shape.0.remove(rank - 1);
        shape.0[rank - 2] *= dim;
        y.reshape(shape)
    }

    /// Axes `axis` and `axis + 1` exchanged.
    fn exchange(&self, axis: usize) -> Tensor {
        let mut order: Vec<usize> = (0..self.shape().rank()).collect();
        order.swap(axis, axis + 1);
        self.permute(&order)
    }
}

/// Cases: more keys than queries, several heads, a width of 1, a realistic size; masks with an empty row, causal ones.
pub fn cases() -> Vec<Case> {
    let inputs = |batch: usize, [t, s, d, e]: [usize; 4]| {
        vec![Input::unit([batch, t, d]), Input::unit([batch, s, d]), Input::unit([batch, s, e])]
    };
    let case = |batch: usize, sizes: [usize; 4]| {
        let run = |x: &[Tensor]| x[0].scaled_dot_product_attention(&x[1], &x[2], Attention::default());
        // Weights below 1 that sum to 1, values below 1: the error is that of the scores, sqrt(d) terms each.
        let ulps = 16.0 + (sizes[2] as f64).sqrt();
        Case::new(format!("{batch} {sizes:?}"), inputs(batch, sizes), run).ulps(ulps, 1.0)
    };
    let mut cases = vec![
        case(1, [2, 3, 2, 2]),
        case(2, [2, 2, 1, 3]),
        case(1, [1, 1, 4, 1]),
        case(4, [64, 64, 32, 32]).order(0),
        case(3, [37, 101, 24, 20]).order(0),
    ];
    for (batch, sizes, heads, order) in [(2, [2, 3, 4, 2], 2, 2), (1, [3, 3, 2, 2], 1, 2), (2, [37, 41, 24, 12], 3, 0)]
    {
        let masked = move |x: &[Tensor]| {
            // Query 0 sees no key, query t key s where t + s is odd or t = 1.
            let [t, s] = [sizes[0], sizes[1]];
            let seen = |i: usize| f64::from(u8::from(i / s > 0 && ((i / s + i % s) % 2 == 1 || i / s == 1)));
            let mask = Tensor::from_f64(x[0].device(), [t, s], (0..t * s).map(seen).collect());
            let how = Attention { heads, mask: Some(&mask), scale: Some(0.7), ..Attention::default() };
            x[0].scaled_dot_product_attention(&x[1], &x[2], how)
        };
        let label = format!("masked {batch} {sizes:?} {heads}");
        cases.push(Case::new(label, inputs(batch, sizes), masked).ulps(24.0, 1.0).order(order));
        let causal = move |x: &[Tensor]| {
            let how = Attention { heads, causal: true, ..Attention::default() };
            x[0].scaled_dot_product_attention(&x[1], &x[2], how)
        };
        let label = format!("causal {batch} {sizes:?} {heads}");
        cases.push(Case::new(label, inputs(batch, sizes), causal).ulps(24.0, 1.0).order(order));
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::grad;
    use crate::tensor::{Device, Key};

    fn draws(shape: [usize; 3]) -> [Tensor; 3] {
        ["q", "k", "v"].map(|name| Tensor::uniform(&Device::oracle(), shape, &Key::new(1).named(name)))
    }

    #[test]
    fn a_query_that_sees_no_key_gets_zero_and_passes_no_gradient() {
        let [q, k, v] = draws([1, 2, 3]).map(|t| t.tracked());
        let mask = Tensor::new(&Device::oracle(), [2, 2], &[0.0, 0.0, 1.0, 0.0]);
        let y = q.scaled_dot_product_attention(&k, &v, Attention { mask: Some(&mask), ..Attention::default() });
        let got = y.to_f64().unwrap();
        assert_eq!(got[..3], [0.0; 3]);
        assert_eq!(got[3..], v.to_f64().unwrap()[..3]);
        let g = grad(&y.sum(), &[&q, &k, &v]);
        assert!(g.iter().all(|g| g.to_f64().unwrap().iter().all(|v| v.is_finite())), "{g:?}");
    }

    #[test]
    fn heads_attend_each_by_itself_and_a_causal_query_sees_nothing_later() {
        let [q, k, v] = draws([2, 3, 4]);
        let how = |heads, causal| Attention { heads, causal, ..Attention::default() };
        let y = q.scaled_dot_product_attention(&k, &v, how(2, true));
        for head in 0..2 {
            let [q, k, v] = [&q, &k, &v].map(|t| t.narrow(2, 2 * head, 2));
            let alone = q.scaled_dot_product_attention(&k, &v, how(1, true)).to_f64().unwrap();
            assert_eq!(y.narrow(2, 2 * head, 2).to_f64().unwrap(), alone);
            // The first two queries do not change when the last key and value go.
            let [k, v] = [&k, &v].map(|t| t.narrow(1, 0, 2));
            let early = q.narrow(1, 0, 2).scaled_dot_product_attention(&k, &v, how(1, false));
            let last = early.narrow(1, 1, 1).to_f64().unwrap();
            assert_eq!(y.narrow(2, 2 * head, 2).narrow(1, 1, 1).to_f64().unwrap(), last);
        }
    }
}
