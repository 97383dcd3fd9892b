// The elementwise functions of one variable and their first derivatives. The host picks one by OP; the compiler drops
// the other cases. The codes are the rows of FUNCTIONS in src/ops/unary.rs.
// Infinities give the limits of f and f', and NaN gives NaN.
//#include "common/math.wgsl"
//#include "common/special.wgsl"

alias T = f32;
alias Bits = u32;

const OP: u32 = 0u; // @param

// y = f(x; a, b)
fn f(x: f32, a: f32, b: f32) -> f32 {
    switch OP {
        case 0u: { return a * x + b; }                       // affine
        case 1u: { return x * x; }                           // square
        case 2u: { return sqrt(x); }                         // sqrt
        case 3u: { return 1.0 / x; }                         // recip
        case 4u: { return exp(x); }                          // exp
        case 5u: { return select(log(x), bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u), x < 0.0); } // log
        case 6u: { return abs(x); }                          // abs
        case 7u: { return cos_sin(x).y; }                    // sin
        case 8u: { return cos_sin(x).x; }                    // cos
        case 9u: { return safe_tanh(x); }                    // tanh
        case 10u: { return sigmoid(x); }                     // sigmoid
        case 11u: { return softplus(x); }                    // softplus
        case 12u: { return max(x, -87.0) * sigmoid(x); }     // silu
        case 13u: { return max(x, 0.0); }                    // relu
        case 14u: { return select(a * x, x, x > 0.0); }      // leaky_relu
        case 15u: { return select(a * expm1(min(x, 0.0)), x, x > 0.0); } // elu
        case 16u: { return max(x, -20.0) * sigmoid(2.0 * gelu_inner(x)); } // gelu
        case 17u: { return min(max(x, a), b); }              // clamp
        case 18u: { return sign(x); }                        // sign
        case 19u: { return power(x, a); }                    // pow
        case 20u: { return floor(x); }                       // floor
        case 21u: { return erf(x); }                         // erf
        case 22u: { return max(x, -20.0) * normal_cdf(x); }  // gelu_erf
        default: { return x; }
    }
}

// f'(x; a, b)
fn df(x: f32, a: f32, b: f32) -> f32 {
    switch OP {
        case 0u: { return a; }
        case 1u: { return 2.0 * x; }
        case 2u: { return 0.5 / sqrt(x); }
        case 3u: { return -1.0 / (x * x); }
        case 4u: { return exp(x); }
        case 5u: { return 1.0 / x; }
        case 6u: { return sign(x); }
        case 7u: { return cos_sin(x).x; }
        case 8u: { return -cos_sin(x).y; }
        case 9u: { return 4.0 * sigmoid(2.0 * x) * sigmoid(-2.0 * x); }
        case 10u: { return sigmoid(x) * sigmoid(-x); }
        case 11u: { return sigmoid(x); }
        case 12u: { return sigmoid(x) * (1.0 + clamp(x, -87.0, 87.0) * sigmoid(-x)); }
        case 13u: { return select(0.0, 1.0, x > 0.0); }
        case 14u: { return select(a, 1.0, x > 0.0); }
        case 15u: { return select(a * exp(min(x, 0.0)), 1.0, x > 0.0); }
        case 16u: {
            let v = clamp(x, -20.0, 20.0);
            let u = 2.0 * gelu_inner(v);
            let du = 1.5957691 * (1.0 + 3.0 * 0.044715 * v * v);
            return sigmoid(u) * (1.0 + v * du * sigmoid(-u));
        }
        case 17u: { return select(0.0, 1.0, x >= a && x <= b); }
        case 19u: { return select(a * power(x, a - 1.0), 0.0, a == 0.0); }
        case 21u: { return 1.1283792 * exp(-x * x); }
        case 22u: { let v = clamp(x, -20.0, 20.0); return normal_cdf(v) + 0.39894228 * v * exp(-0.5 * v * v); }
        default: { return 0.0; }
    }
}

fn gelu_inner(x: f32) -> f32 {
    return 0.7978845608 * (x + 0.044715 * x * x * x);
}

fn f4(x: vec4f, a: f32, b: f32) -> vec4f {
    return vec4f(keep_nan(f(x.x, a, b), x.x), keep_nan(f(x.y, a, b), x.y),
                 keep_nan(f(x.z, a, b), x.z), keep_nan(f(x.w, a, b), x.w));
}

fn df4(x: vec4f, a: f32, b: f32) -> vec4f {
    return vec4f(keep_nan(df(x.x, a, b), x.x), keep_nan(df(x.y, a, b), x.y),
                 keep_nan(df(x.z, a, b), x.z), keep_nan(df(x.w, a, b), x.w));
}
