//! A wrong shape panics at the caller's line, with the name of the op that was called.

use ebm::nn::{BatchNorm, Conv2d, ConvTranspose2d, GroupNorm, LayerNorm, Linear, Params, dropout, sinusoidal};
use ebm::ops::langevin::LangevinStep;
use ebm::ops::schedule::{Noise, add_noise, denoise_step};
use ebm::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;

thread_local! {
    /// File and message of the last panic, while this thread catches them.
    static CAUGHT: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
    static CATCHING: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs `f`, which must panic, and returns the file and the message of the panic.
fn panic_of(f: impl FnOnce()) -> Option<(String, String)> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !CATCHING.with_borrow(|c| *c) {
                return before(info);
            }
            let file = info.location().map_or("", |l| l.file()).to_string();
            CAUGHT.set(Some((file, info.payload_as_str().unwrap_or("").to_string())));
        }));
    });
    CATCHING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(f));
    CATCHING.set(false);
    outcome.err().and_then(|_| CAUGHT.take())
}

fn x(shape: &[usize]) -> Tensor {
    Tensor::zeros(&Device::oracle(), shape)
}

/// A call with a wrong shape, by the name of its op.
type Call = (&'static str, fn());

fn drop_<T>(_: T) {}

/// Every public method of tensors that a shape can break, and the functions beside them.
const CALLS: &[Call] = &[
    ("Tensor::new", || drop_(Tensor::new(&Device::oracle(), [2], &[1.0]))),
    ("dim", || drop_(x(&[2]).dim(-2))),
    ("view", || drop_(x(&[2]).view(64, [1]))),
    ("grad", || drop_(grad(&x(&[2]), &[&x(&[2])]))),
    ("grad", || drop_(grad_graph(&x(&[2]), &[&x(&[2])]))),
    ("add", || drop_(&x(&[2]) + &x(&[3]))),
    ("sub", || drop_(x(&[2]) - x(&[3]))),
    ("mul", || drop_(x(&[2]) * &x(&[3]))),
    ("div", || drop_(&x(&[2]) / x(&[3]))),
    ("maximum", || drop_(x(&[2]).maximum(&x(&[3])))),
    ("minimum", || drop_(x(&[2]).minimum(&x(&[3])))),
    ("less", || drop_(x(&[2]).less(&x(&[3])))),
    ("less_equal", || drop_(x(&[2]).less_equal(&x(&[3])))),
    ("greater", || drop_(x(&[2]).greater(&x(&[3])))),
    ("greater_equal", || drop_(x(&[2]).greater_equal(&x(&[3])))),
    ("equal", || drop_(x(&[2]).equal(&x(&[3])))),
    ("pow_tensor", || drop_(x(&[2]).pow_tensor(&x(&[3])))),
    ("where_", || drop_(x(&[2]).where_(&x(&[3]), &x(&[1])))),
    ("per_sample", || drop_(x(&[2]).per_sample(&x(&[3, 2])))),
    ("add", || {
        // Nine axes, stretched in turn: no two merge.
        drop_(x(&[2, 1, 2, 1, 2, 1, 2, 1, 2]) + x(&[1, 2, 1, 2, 1, 2, 1, 2, 1]))
    }),
    ("sum_axes", || drop_(x(&[2]).sum_axes(&[1]))),
    ("sum_keepdim", || drop_(x(&[2]).sum_keepdim(&[1]))),
    ("mean_axes", || drop_(x(&[2, 2]).mean_axes(&[1, 1]))),
    ("mean_axes", || drop_(x(&[2, 2]).mean_axes(&[1, -1]))),
    ("mean_keepdim", || drop_(x(&[2]).mean_keepdim(&[0, 0]))),
    ("var", || drop_(x(&[2]).var(&[1], 0.0))),
    ("std", || drop_(x(&[2]).std(&[1], 0.0))),
    ("max_axes", || drop_(x(&[2]).max_axes(&[1]))),
    ("min_axes", || drop_(x(&[2]).min_axes(&[0, 0]))),
    ("logsumexp", || drop_(x(&[2]).logsumexp(&[1]))),
    ("argmax", || drop_(x(&[2]).argmax(1))),
    ("argmax", || drop_(x(&[2, 0]).argmax(1))),
    ("argmin", || drop_(x(&[2]).argmin(1))),
    ("argmin", || drop_(x(&[2, 0]).argmin(1))),
    ("sum_to", || drop_(x(&[2]).sum_to([3]))),
    ("sum_to", || drop_(x(&[2]).sum_to([2, 2]))),
    ("softmax", || drop_(x(&[2]).softmax(1))),
    ("log_softmax", || drop_(x(&[]).log_softmax(-1))),
    ("spectral_norm", || drop_(x(&[2, 3]).spectral_norm(&x(&[1, 3])))),
    ("spectral_step", || drop_(x(&[]).spectral_step(&x(&[1, 1])))),
    ("reshape", || drop_(x(&[2]).reshape([3]))),
    ("reshape", || drop_(x(&[0]).reshape([1 << 40, 1 << 40]))),
    ("squeeze", || drop_(x(&[2]).squeeze(0))),
    ("squeeze", || drop_(x(&[2]).squeeze(1))),
    ("unsqueeze", || drop_(x(&[2]).unsqueeze(2))),
    ("permute", || drop_(x(&[2, 3]).permute(&[0]))),
    ("permute", || drop_(x(&[2, 3]).permute(&[0, 0]))),
    ("permute", || drop_(x(&[2; 7]).permute(&[6, 5, 4, 3, 2, 1, 0]))),
    ("transpose", || drop_(x(&[2]).transpose())),
    ("broadcast_to", || drop_(x(&[2]).broadcast_to([3]))),
    ("narrow", || drop_(x(&[2]).narrow(0, 1, 2))),
    ("narrow", || drop_(x(&[2]).narrow(1, 0, 1))),
    ("slice_step", || drop_(x(&[2]).slice_step(0, 0, -1, 2))),
    ("slice_step", || drop_(x(&[2]).slice_step(0, 0, 0, 2))),
    ("flip", || drop_(x(&[2]).flip(1))),
    ("pad", || drop_(x(&[2]).pad(1, 0, 1, 0.0))),
    ("pad_reflect", || drop_(x(&[2]).pad_reflect(0, 2, 0))),
    ("pad_edge", || drop_(x(&[0]).pad_edge(0, 1, 0))),
    ("concat", || drop_(Tensor::concat(&[&x(&[2, 3]), &x(&[2, 4])], 0))),
    ("concat", || drop_(Tensor::concat(&[], 0))),
    ("gather", || drop_(x(&[2]).gather(1, &x(&[1])))),
    ("gather", || drop_(x(&[2]).gather(0, &x(&[1, 1])))),
    ("scatter_add", || drop_(x(&[2]).scatter_add(0, &x(&[3]), 2))),
    ("scatter_add", || drop_(x(&[20_000]).scatter_add(0, &x(&[]), 2))),
    ("take_along", || drop_(x(&[2, 3]).take_along(&x(&[3, 1])))),
    ("take_along", || drop_(x(&[]).take_along(&x(&[1])))),
    ("put_along", || drop_(x(&[2, 3]).put_along(&x(&[3, 1]), 4))),
    ("scatter_rows", || drop_(x(&[2, 3]).scatter_rows(&x(&[1]), &x(&[1, 2])))),
    ("scatter_rows", || drop_(x(&[2, 3]).scatter_rows(&x(&[1]), &x(&[])))),
    ("cumsum", || drop_(x(&[2]).cumsum(1))),
    ("cumsum_back", || drop_(x(&[2]).cumsum_back(1))),
    ("cumprod", || drop_(x(&[2]).cumprod(1))),
    ("argsort", || drop_(x(&[]).argsort())),
    ("sort", || drop_(x(&[]).sort())),
    ("matmul", || drop_(x(&[2, 3]).matmul(&x(&[2, 3])))),
    ("matmul", || drop_(x(&[3]).matmul(&x(&[3, 2])))),
    ("matmul", || drop_(x(&[2, 2, 3]).matmul(&x(&[3, 3, 2])))),
    ("matmul", || drop_(x(&[2, 2, 3]).matmul(&x(&[2, 2])))),
    ("matmul_t", || drop_(x(&[2, 3]).matmul_t(&x(&[3, 2])))),
    ("t_matmul", || drop_(x(&[2, 3]).t_matmul(&x(&[3, 2])))),
    ("linear", || drop_(x(&[2, 3]).linear(&x(&[4, 2]), None))),
    ("linear", || drop_(x(&[2, 3]).linear(&x(&[4, 3]), Some(&x(&[3]))))),
    ("linear", || drop_(x(&[]).linear(&x(&[4, 3]), None))),
    ("scaled_dot_product_attention", || {
        drop_(x(&[2, 3]).scaled_dot_product_attention(&x(&[2, 4]), &x(&[2, 3]), Attention::default()))
    }),
    ("scaled_dot_product_attention", || {
        let how = Attention { heads: 2, ..Attention::default() };
        drop_(x(&[2, 3]).scaled_dot_product_attention(&x(&[2, 3]), &x(&[2, 3]), how))
    }),
    ("scaled_dot_product_attention", || {
        let mask = x(&[5, 2]);
        let how = Attention { mask: Some(&mask), ..Attention::default() };
        drop_(x(&[2, 3]).scaled_dot_product_attention(&x(&[2, 3]), &x(&[2, 3]), how))
    }),
    ("pairwise_sq_distances", || drop_(x(&[2, 3]).pairwise_sq_distances(&x(&[2, 4])))),
    ("group_norm", || drop_(x(&[2, 3]).group_norm(2, 0.1, None))),
    ("group_norm", || drop_(x(&[3]).group_norm(1, 0.1, None))),
    ("group_norm", || drop_(x(&[2, 3]).group_norm(1, 0.1, Some((&x(&[3]), &x(&[2])))))),
    ("group_norm_silu", || drop_(x(&[3]).group_norm_silu(1, 0.1, None))),
    ("instance_norm", || drop_(x(&[]).instance_norm(0.1, None))),
    ("instance_norm", || drop_(x(&[3]).instance_norm(0.1, None))),
    ("layer_norm", || drop_(x(&[]).layer_norm(1, 0.1, None))),
    ("layer_norm", || drop_(x(&[2, 3]).layer_norm(1, 0.1, Some((&x(&[2]), &x(&[3])))))),
    ("batch_norm", || drop_(x(&[]).batch_norm(0.1))),
    ("conv2d", || drop_(x(&[1, 2, 2, 3]).conv2d(&x(&[1, 1, 1, 2]), None, Conv::default()))),
    ("conv2d", || drop_(x(&[1, 2, 2, 3]).conv2d(&x(&[4, 1, 1, 3]), Some(&x(&[3])), Conv::default()))),
    ("conv2d", || drop_(x(&[1, 2, 2, 3]).conv2d(&x(&[4, 0, 1, 3]), None, Conv::default()))),
    ("conv2d_input_grad", || drop_(x(&[1, 2, 2, 3]).conv2d_input_grad(&x(&[3, 1, 1, 2]), [3, 3], Conv::default()))),
    ("conv2d_weight_grad", || drop_(x(&[1, 2, 2, 3]).conv2d_weight_grad(&x(&[1, 2, 3, 1]), [1, 1], Conv::default()))),
    ("conv_transpose2d", || drop_(x(&[1, 2, 2, 3]).conv_transpose2d(&x(&[2, 2, 2, 1]), None, Conv::default(), [0, 0]))),
    ("conv_transpose2d", || drop_(x(&[1, 2, 2, 3]).conv_transpose2d(&x(&[3, 2, 2, 1]), None, Conv::default(), [1, 0]))),
    ("conv_transpose2d", || drop_(x(&[2]).conv_transpose2d(&x(&[3, 2, 2, 1]), None, Conv::default(), [0, 0]))),
    ("conv2d_grouped", || drop_(x(&[1, 2, 2, 3]).conv2d_grouped(&x(&[2, 1, 1, 1]), None, Conv::default(), 3))),
    ("conv2d_grouped", || drop_(x(&[1, 2, 2, 3]).conv2d_grouped(&x(&[3, 3, 1, 1]), None, Conv::default(), 3))),
    ("conv2d_grouped", || drop_(x(&[1, 2, 2, 4]).conv2d_grouped(&x(&[2, 3, 1, 2]), None, Conv::default(), 2))),
    ("avg_pool", || drop_(x(&[2, 2]).avg_pool(1, 1, 0))),
    ("avg_pool", || drop_(x(&[1, 200, 200, 1]).avg_pool(129, 1, 0))),
    ("avg_unpool", || drop_(x(&[1, 2, 2, 1]).avg_unpool(2, 2, 0, [2, 2]))),
    ("repeat_pixels", || drop_(x(&[1, 2, 2, 1]).repeat_pixels(129))),
    ("repeat_pixels", || drop_(x(&[2]).repeat_pixels(2))),
    ("resize_nearest", || drop_(x(&[2, 2]).resize_nearest(2, 2))),
    ("resize_nearest", || drop_(x(&[1, 2, 2, 1]).resize_nearest(0, 2))),
    ("resize_nearest_exact", || drop_(x(&[2, 2]).resize_nearest_exact(2, 2))),
    ("resize_bilinear", || drop_(x(&[1, 2, 2, 1]).resize_bilinear(2, 20_000))),
    ("resize_bilinear_corners", || drop_(x(&[2, 2]).resize_bilinear_corners(2, 2))),
    ("langevin_step", || drop_(LangevinStep::new(0.1, 0.1).apply(&x(&[2]), &x(&[3]), &Key::new(0)))),
    ("add_noise", || drop_(add_noise(&x(&[2]), &x(&[1]), &x(&[3, 3]), Noise::Drawn(&Key::new(0))))),
    ("denoise_step", || drop_(denoise_step(&x(&[2]), &x(&[2]), &x(&[3]), &x(&[3, 4]), None))),
    ("sinusoidal", || drop_(sinusoidal(&x(&[2]), 3))),
    ("dropout", || drop_(dropout(&x(&[2]), 1.0, &Key::new(0)))),
];

#[test]
fn a_wrong_shape_panics_at_the_callers_line_and_names_the_op() {
    let mut wrong = Vec::new();
    for (i, (op, call)) in CALLS.iter().enumerate() {
        match panic_of(call) {
            None => wrong.push(format!("{i} {op}: no panic")),
            Some((file, message)) if !file.ends_with("shape_errors.rs") || !message.starts_with(&format!("{op}: ")) => {
                wrong.push(format!("{i} {op}: at {file}: {message}"));
            }
            Some(_) => (),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn layers_pass_the_callers_line_on() {
    let params = Params::new(&Device::oracle(), Key::new(1));
    let scope = |name: &str| params.root().scope(name);
    let linear = Linear::new(&scope("linear"), 3, 2);
    let conv = Conv2d::new(&scope("conv"), 3, 2, 3, 1);
    let up = ConvTranspose2d::new(&scope("up"), 3, 2, 4, 2);
    let group = GroupNorm::new(&scope("group"), 4, 2);
    let layer = LayerNorm::new(&scope("layer"), [4]);
    let batch = BatchNorm::new(&scope("batch"), 4);
    let calls: [(&str, Box<dyn Fn() -> Tensor>); 8] = [
        ("linear", Box::new(|| linear.forward(&x(&[2, 4])))),
        ("conv2d", Box::new(|| conv.forward(&x(&[2, 4])))),
        ("conv_transpose2d", Box::new(|| up.forward(&x(&[1, 2, 2, 4])))),
        ("group_norm", Box::new(|| group.forward(&x(&[2, 3])))),
        ("group_norm_silu", Box::new(|| group.forward_silu(&x(&[2, 3])))),
        ("layer_norm", Box::new(|| layer.forward(&x(&[2, 3])))),
        ("batch_norm", Box::new(|| batch.train(&x(&[])))),
        ("sub", Box::new(|| batch.evaluate(&x(&[2, 3])))),
    ];
    for (op, call) in calls {
        let (file, message) = panic_of(|| drop_(call())).expect(op);
        assert!(
            file.ends_with("shape_errors.rs") && message.starts_with(&format!("{op}: ")),
            "{op}: {file}: {message}"
        );
    }
}

/// Methods of tensors that take every shape.
const TOTAL: [&str; 15] = [
    "affine",
    "add_scalar",
    "mul_scalar",
    "leaky_relu",
    "elu",
    "clamp",
    "pow",
    "is_nan",
    "sum",
    "mean",
    "iota",
    "one_hot",
    "uniform",
    "normal",
    "random_bits",
];

/// The list of calls is complete: every `pub fn` of every `impl Tensor` in `src/ops` is in it.
#[test]
fn every_public_method_of_tensors_is_tried() {
    let tried: BTreeSet<&str> = CALLS.iter().map(|c| c.0).chain(TOTAL).collect();
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops")).unwrap() {
        let mut inside = false;
        for line in std::fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            inside = (inside || line == "impl Tensor {") && line != "}";
            let name = line.trim_start().strip_prefix("pub fn ").and_then(|rest| rest.split('(').next());
            missing.extend(name.filter(|name| inside && !tried.contains(name)).map(str::to_string));
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_tensor_larger_than_the_device_takes_is_an_error() {
    let Some(device) = crate::support::gpu("a_tensor_larger_than_the_device_takes_is_an_error", false) else { return };
    let error = Tensor::zeros(&device, [1 << 40]).to_vec().unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}
