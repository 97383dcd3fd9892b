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
    let low = al * bl;
    let left = ah * bl + (low >> 16u);
    let right = al * bh + (left & 0xffffu);
    return vec2u(ah * bh + (left >> 16u) + (right >> 16u), (right << 16u) | (low & 0xffffu));
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

// The low 64 bits of a product, as (low, high).
fn multiply_64(a: vec2u, b: vec2u) -> vec2u {
    let low = multiply_wide(a.x, b.x);
    return vec2u(low.y, low.x + a.x * b.y + a.y * b.x);
}

// z ^ (z >> n) for 0 < n < 32, z as (low, high).
fn xor_shifted(z: vec2u, n: u32) -> vec2u {
    return z ^ vec2u((z.x >> n) | (z.y << (32u - n)), z.y >> n);
}

// SplitMix64's finaliser: Key's mix.
fn mix_64(z: vec2u) -> vec2u {
    let y = multiply_64(xor_shifted(z, 30u), vec2u(0x1ce4e5b9u, 0xbf58476du));
    return xor_shifted(multiply_64(xor_shifted(y, 27u), vec2u(0x133111ebu, 0x94d049bbu)), 31u);
}

// The key for item i of a family: Key::index.
fn key_index(key: Key, i: u32) -> Key {
    return Key(key.seed, mix_64(key.draw ^ mix_64(vec2u(i + 1u, 0u))), key.step);
}

// Random words 4 block .. 4 block + 3 of a draw.
fn random_bits(key: Key, clock: u32, block: u32) -> vec4u {
    return philox(vec4u(block, key.step + clock, key.draw), key.seed);
}

// (k + 1/2) / 2^23, k the top 23 bits: exact in f32, never 0 or 1.
fn to_unit(bits: vec4u) -> vec4f {
    return (vec4f(bits >> vec4u(9u)) + vec4f(0.5)) * 1.1920929e-7;
}

// -log(u) for a normal u in (0, 1): u = m 2^e with m in [sqrt(1/2), sqrt(2)), then a polynomial in m - 1 (Cephes logf).
// Good to 2 ulp also near 1, where the hardware's logarithm may lose every digit.
fn minus_log(u: vec2f) -> vec2f {
    let bits = bitcast<vec2u>(u);
    let e = bitcast<vec2i>(bits - vec2u(0x3f3504f3u)) >> vec2u(23u);
    let f = bitcast<vec2f>(bits - (bitcast<vec2u>(e) << vec2u(23u))) - vec2f(1.0);
    var s = 7.0376836e-2 * f - 1.1514610e-1;
    s = s * f + 1.1676998e-1;
    s = s * f - 1.2420141e-1;
    s = s * f + 1.4249323e-1;
    s = s * f - 1.6668058e-1;
    s = s * f + 2.0000715e-1;
    s = s * f - 2.4999994e-1;
    s = s * f + 3.3333331e-1;
    let z = f * f;
    return -(f + (s * f - 0.5) * z + 0.6931472 * vec2f(e));
}

// (cos, sin) of 2 pi u for a pair u: whole quarter turns are taken out exactly, the rest is a polynomial (Cephes sinf,
// cosf). Hardware may be off by 2^-11, and promises nothing beyond pi.
fn cos_sin_2pi(u: vec2f) -> array<vec2f, 2> {
    let q = floor(4.0 * u + 0.5);
    let angle = (4.0 * u - q) * 1.5707963;
    let z = angle * angle;
    let s = angle + angle * z * (-1.6666655e-1 + z * (8.332161e-3 - z * 1.9515296e-4));
    let c = 1.0 + z * (-0.5 + z * (4.1666646e-2 + z * (-1.3887316e-3 + z * 2.4433157e-5)));
    let quarter = vec2u(q);
    let swap = (quarter & vec2u(1u)) != vec2u(0u);
    let cosine = select(c, s, swap);
    let sine = select(s, c, swap);
    return array(select(cosine, -cosine, ((quarter + 1u) & vec2u(2u)) != vec2u(0u)),
                 select(sine, -sine, (quarter & vec2u(2u)) != vec2u(0u)));
}

// Box-Muller: elements 0, 1 share the first pair of uniforms, 2, 3 the second; cosine first.
fn to_normal(u: vec4f) -> vec4f {
    let radius = sqrt(2.0 * minus_log(u.xz));
    let direction = cos_sin_2pi(u.yw);
    let c = radius * direction[0];
    let s = radius * direction[1];
    return vec4f(c.x, s.x, c.y, s.y);
}
