// Randomness as a pure function: Philox4x32-10 (Salmon et al., SC 2011). The host's twin is src/tensor/key.rs.

struct Key {
    seed: vec2u, // the Philox key
    draw: vec2u, // counter words 2 and 3: which draw
    step: u32,   // counter word 1
}

// The full 64-bit product as (high, low); WGSL has no wide multiply, so it is put together from 16-bit halves.
fn multiply_wide(a: u32, b: u32) -> vec2u {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let ll = al * bl;
    let lh = al * bh;
    let hl = ah * bl;
    let middle = (ll >> 16u) + (lh & 0xffffu) + (hl & 0xffffu);
    return vec2u(ah * bh + (lh >> 16u) + (hl >> 16u) + (middle >> 16u), a * b);
}

fn philox(counter: vec4u, seed: vec2u) -> vec4u {
    var c = counter;
    var k = seed;
    for (var i = 0u; i < 10u; i++) {
        let p0 = multiply_wide(0xD2511F53u, c.x);
        let p1 = multiply_wide(0xCD9E8D57u, c.z);
        c = vec4u(p1.x ^ c.y ^ k.x, p1.y, p0.x ^ c.w ^ k.y, p0.y);
        k += vec2u(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// Random words 4 block .. 4 block + 3 of a draw.
fn random_bits(key: Key, clock: u32, block: u32) -> vec4u {
    return philox(vec4u(block, key.step + clock, key.draw), key.seed);
}

// (k + 1/2) / 2^23, k the top 23 bits: exact in f32, never 0 or 1.
fn to_unit(bits: vec4u) -> vec4f {
    return (vec4f(bits >> vec4u(9u)) + vec4f(0.5)) * 1.1920929e-7;
}

// -log(u). Near 1 the hardware's logarithm has a large relative error, so the series in v = 1 - u takes over.
fn minus_log(u: vec2f) -> vec2f {
    let v = vec2f(1.0) - u;
    let series = v * (1.0 + v * (0.5 + v * (1.0 / 3.0 + v * (0.25 + v * (0.2 + v * (1.0 / 6.0 + v / 7.0))))));
    return select(-log(u), series, v < vec2f(0.1));
}

// Box-Muller: elements 0, 1 share the first pair of uniforms, 2, 3 the second; cosine first.
fn to_normal(u: vec4f) -> vec4f {
    let radius = sqrt(2.0 * minus_log(u.xz));
    let angle = 6.2831853 * u.yw;
    return vec4f(radius.x * cos(angle.x), radius.x * sin(angle.x), radius.y * cos(angle.y), radius.y * sin(angle.y));
}
