// What the way back of a chain through leaky ReLUs needs of the way forward: the sign of every activation, a bit a number. Layers are
// h_0, z_1, h_1, .., z_B, h_B; an invocation keeps those of the SC x 4 NV numbers that it computes (langevin/chain.wgsl).

const WORDS = (SC * NV + 7u) / 8u;

// The last place is for signs that nobody asks for.
var<private> positive: array<u32, (2u * BLOCKS + 2u) * WORDS>;

// Keeps the signs of acc as layer `layer`'s.
fn keep_signs(layer: u32) {
    var bits: array<u32, WORDS>;
    for (var s = 0u; s < SC; s++) {
        for (var j = 0u; j < NV; j++) {
            let i = s * NV + j;
            let four = select(vec4u(0u), vec4u(1u, 2u, 4u, 8u), acc[s][j] > vec4f(0.0));
            bits[i / 8u] |= (four.x | four.y | four.z | four.w) << (i % 8u * 4u);
        }
    }
    for (var word = 0u; word < WORDS; word++) {
        positive[layer * WORDS + word] = bits[word];
    }
}

// acc *= what the sign in layer `layer` says: 1 where positive, else slope.
fn times_slopes(layer: u32, slope: f32) {
    var bits: array<u32, WORDS>;
    for (var word = 0u; word < WORDS; word++) {
        bits[word] = positive[layer * WORDS + word];
    }
    for (var s = 0u; s < SC; s++) {
        for (var j = 0u; j < NV; j++) {
            let i = s * NV + j;
            let on = (vec4u(bits[i / 8u] >> (i % 8u * 4u)) & vec4u(1u, 2u, 4u, 8u)) != vec4u(0u);
            acc[s][j] *= select(vec4f(slope), vec4f(1.0), on);
        }
    }
}
