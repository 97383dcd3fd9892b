// The elementwise functions of one variable and their first derivatives. The host picks one by OP; the compiler drops
// the other cases. The codes are the rows of FUNCTIONS in src/ops/unary.rs.
//#include "common/math.wgsl"

const OP: u32 = 0u; // @param

// y = f(x; a, b)
fn f(x: f32, a: f32, b: f32) -> f32 {
    switch OP {
        case 0u: { return a * x + b; }                       // affine
        case 1u: { return x * x; }                           // square
        case 2u: { return sqrt(x); }                         // sqrt
        case 3u: { return 1.0 / x; }                         // recip
        case 4u: { return exp(x); }                          // exp
        case 5u: { return log(x); }                          // log
        case 6u: { return abs(x); }                          // abs
        case 7u: { return sin(x); }                          // sin
        case 8u: { return cos(x); }                          // cos
        case 9u: { return safe_tanh(x); }                    // tanh
        case 10u: { return sigmoid(x); }                     // sigmoid
        case 11u: { return softplus(x); }                    // softplus
        case 12u: { return x * sigmoid(x); }                 // silu
        case 13u: { return max(x, 0.0); }                    // relu
        case 14u: { return select(a * x, x, x > 0.0); }      // leaky_relu
        case 15u: { return select(a * (exp(min(x, 0.0)) - 1.0), x, x > 0.0); } // elu
        case 16u: { return 0.5 * x * (1.0 + safe_tanh(gelu_inner(x))); }       // gelu
        case 17u: { return min(max(x, a), b); }              // clamp
        case 18u: { return sign(x); }                        // sign
        case 19u: { return pow(x, a); }                      // pow
        case 20u: { return floor(x); }                       // floor
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
        case 7u: { return cos(x); }
        case 8u: { return -sin(x); }
        case 9u: { let t = safe_tanh(x); return 1.0 - t * t; }
        case 10u: { return sigmoid(x) * sigmoid(-x); }
        case 11u: { return sigmoid(x); }
        case 12u: { return sigmoid(x) * (1.0 + x * sigmoid(-x)); }
        case 13u: { return select(0.0, 1.0, x > 0.0); }
        case 14u: { return select(a, 1.0, x > 0.0); }
        case 15u: { return select(a * exp(min(x, 0.0)), 1.0, x > 0.0); }
        case 16u: {
            let t = safe_tanh(gelu_inner(x));
            let du = 0.7978845608 * (1.0 + 3.0 * 0.044715 * x * x);
            return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * du;
        }
        case 17u: { return select(0.0, 1.0, x >= a && x <= b); }
        case 19u: { return a * pow(x, a - 1.0); }
        default: { return 0.0; }
    }
}

fn gelu_inner(x: f32) -> f32 {
    return 0.7978845608 * (x + 0.044715 * x * x * x);
}

fn f4(x: vec4f, a: f32, b: f32) -> vec4f {
    return vec4f(f(x.x, a, b), f(x.y, a, b), f(x.z, a, b), f(x.w, a, b));
}

fn df4(x: vec4f, a: f32, b: f32) -> vec4f {
    return vec4f(df(x.x, a, b), df(x.y, a, b), df(x.z, a, b), df(x.w, a, b));
}
