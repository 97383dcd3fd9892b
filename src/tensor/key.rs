//! Randomness as a pure function: Philox4x32-10 (Salmon et al., SC 2011), the same bits on every device.
//!
//! Element `i` of a draw is word `i % 4` of `philox([i / 4, step, draw_lo, draw_hi], seed)`.
//! The WGSL twin is `shaders/common/rng.wgsl`.

use super::Tensor;

/// A random key: every draw is a pure function of (key, element index). There is no global generator.
///
/// Split it by name and by step: `key.named("langevin").step(17)`.
#[derive(Clone, Debug)]
pub struct Key {
    /// The Philox key: the run's seed.
    pub seed: u64,
    /// Counter words 2 and 3: which draw this is (a hash of the names).
    pub draw: u64,
    /// Counter word 1: the step on the host side; the device adds [`Key::clock`].
    pub step: u32,
    /// A one-element tensor whose value is added to `step` on the device, so that a captured step can be replayed.
    pub clock: Option<Tensor>,
}

impl Key {
    /// The root key of a run.
    pub fn new(seed: u64) -> Key {
        Key { seed, draw: 0, step: 0, clock: None }
    }

    /// An independent key for the purpose `name`.
    pub fn named(&self, name: &str) -> Key {
        // FNV-1a over the name, started from the parent's draw id.
        let hash =
            name.bytes().fold(self.draw ^ 0xcbf2_9ce4_8422_2325, |h, b| (h ^ b as u64).wrapping_mul(0x100_0000_01b3));
        Key { draw: mix(hash), ..self.clone() }
    }

    /// An independent key for item `i` of a family (layer, chain step, ...).
    pub fn index(&self, i: u64) -> Key {
        Key { draw: mix(self.draw ^ mix(i.wrapping_add(1))), ..self.clone() }
    }

    /// The same draw at step `step` of a loop (mod 2^32).
    pub fn step(&self, step: u64) -> Key {
        Key { step: step as u32, ..self.clone() }
    }

    /// The same draw at a step number that lives on the device (a `Var`), so that a captured step can be replayed.
    pub fn clocked(&self, clock: &Tensor) -> Key {
        Key { clock: Some(clock.clone()), ..self.clone() }
    }

    /// Word `i` of this draw at device clock `clock` (0 if the key has none).
    pub fn bits(&self, i: u64, clock: u32) -> u32 {
        let counter = [(i / 4) as u32, self.step.wrapping_add(clock), self.draw as u32, (self.draw >> 32) as u32];
        philox(counter, [self.seed as u32, (self.seed >> 32) as u32])[(i % 4) as usize]
    }

    /// Element `i` of a uniform draw on (0, 1), host side.
    pub fn uniform(&self, i: u64) -> f64 {
        to_unit(self.bits(i, 0))
    }

    /// Element `i` of a standard normal draw, host side.
    pub fn normal(&self, i: u64) -> f64 {
        normal_at(self, i, 0)
    }

    /// Whole number `i` of a draw from 0..n, host side.
    pub fn below(&self, i: u64, n: usize) -> usize {
        ((self.bits(i, 0) as u64 * n as u64) >> 32) as usize
    }

    /// A random permutation of 0..n (Fisher-Yates), host side.
    pub fn permutation(&self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i as u64, i + 1));
        }
        order
    }
}

/// Maps 32 random bits to (0, 1): (k + 1/2) / 2^23 with k the top 23 bits. Exact in f32, so all devices agree.
pub fn to_unit(bits: u32) -> f64 {
    ((bits >> 9) as f64 + 0.5) / (1u32 << 23) as f64
}

/// Box-Muller on the uniform pair that element `i` belongs to: even elements take the cosine, odd ones the sine.
pub fn normal_at(key: &Key, i: u64, clock: u32) -> f64 {
    let pair = i & !1;
    let radius = (-2.0 * to_unit(key.bits(pair, clock)).ln()).sqrt();
    let angle = std::f64::consts::TAU * to_unit(key.bits(pair + 1, clock));
    if i.is_multiple_of(2) { radius * angle.cos() } else { radius * angle.sin() }
}

/// Ten rounds of Philox4x32.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let (mut c, mut k) = (counter, key);
    for _ in 0..10 {
        let p0 = 0xD251_1F53u64 * c[0] as u64;
        let p1 = 0xCD9E_8D57u64 * c[2] as u64;
        c = [(p1 >> 32) as u32 ^ c[1] ^ k[0], p1 as u32, (p0 >> 32) as u32 ^ c[3] ^ k[1], p0 as u32];
        k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
    }
    c
}

/// SplitMix64's finaliser: spreads every input bit over the word.
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers published with Random123 (kat_vectors, philox4x32 10).
    #[test]
    fn philox_gives_the_published_known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        let pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
        assert_eq!(philox(pi, [0xa4093822, 0x299f31d0]), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
    }

    #[test]
    fn names_indices_and_steps_give_different_draws() {
        let key = Key::new(7);
        let firsts =
            [&key, &key.named("a"), &key.named("b"), &key.index(0), &key.index(1), &key.step(1)].map(|k| k.bits(0, 0));
        let mut unique = firsts.to_vec();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), firsts.len());
        assert_eq!(key.step(3).bits(5, 0), key.bits(5, 3));
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut p = Key::new(1).permutation(1000);
        assert_ne!(p[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        p.sort();
        assert!(p.iter().enumerate().all(|(i, &v)| i == v));
    }
}
