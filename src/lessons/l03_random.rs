//! # Randomness as a function
//!
//! Training draws random numbers everywhere: initial weights, batches, the noise of every Langevin step. A textbook generator is a
//! state and a rule, `x' = a x + c mod m`: number n is there after numbers 1 to n - 1, and whoever draws next gets the next one. A
//! million work items cannot queue for one state, and a run that is stopped, split or fused draws other numbers.
//!
//! A **counter-based** generator has no state. It is a function from a counter and a key to 128 bits, as a cipher is:
//!
//! `word i = philox(counter(i), key)`
//!
//! Any element of any draw can be computed alone, by anybody, in any order. So a kernel draws its noise in registers, where it is
//! used, and no noise is ever stored (`shaders/langevin/step.wgsl`); an iteration can be repeated, resumed or replayed, and has the
//! same bits on the host and on every adapter.
//!
//! ## Philox
//!
//! This crate uses Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four words of
//! 32 bits, ten times
//!
//! `c0' = high(M1 c2) ^ c1 ^ k0`, `c1' = low(M1 c2)`, `c2' = high(M0 c0) ^ c3 ^ k1`, `c3' = low(M0 c0)`,
//!
//! where high and low are the two halves of a 64-bit product, and the key words grow by a constant every round. A multiplication
//! carries each bit into all bits above it, and taking the high half brings them down again: after ten rounds one changed bit of the
//! counter changes half the bits of the result (measured below). WGSL has no 64-bit product; exercise 3.2 builds its high half.
//!
//! ## Keys
//!
//! The counter has room for a name: words 2 and 3 say which draw this is, word 1 says which step, word 0 which four elements of the
//! draw. A [`Key`] holds these words and is split by name and index. Two parts of a program that use different names never disturb
//! each other, whatever is added between them.
//!
//! ```
//! use ebm::prelude::*;
//!
//! let device = Device::oracle();
//! let key = Key::new(7).named("langevin");
//! let noise = Tensor::normal(&device, [1000], &key.index(3)).to_f64()?;
//! // Element 500 of that draw, without the others.
//! assert_eq!(key.index(3).normal(500), noise[500]);
//! assert_ne!(key.index(4).normal(500), noise[500]);
//! // A captured step is replayed with the step number in a tensor: the draw follows it.
//! let clock = Tensor::scalar(&device, 17.0);
//! let replayed = Tensor::uniform(&device, [4], &key.clocked(&clock));
//! assert_eq!(replayed.to_vec()?, Tensor::uniform(&device, [4], &key.step(17)).to_vec()?);
//! # Ok::<(), Error>(())
//! ```
//!
//! ## A bad generator
//!
//! Uniform numbers one by one are easy; independent neighbours are not. RANDU, in wide use for years, is `x' = 65539 x mod 2^31`.
//! Since `65539 = 2^16 + 3`, its square is `6 * 65539 - 9` modulo 2^31, and so
//!
//! `u[k+2] = 6 u[k+1] - 9 u[k]`, up to a whole number.
//!
//! All triples of neighbours lie on 15 parallel planes of the unit cube (Marsaglia, "Random numbers fall mainly in the planes", PNAS
//! 1968; Knuth, The Art of Computer Programming 2, section 3.3.4). Points of three coordinates that are drawn with it fill none of
//! the space between. The picture is a thin slice of the cube: triples with u[k+1] between 0.50 and 0.51.

use super::{Attempt, Checked, Exercise, Lesson, Page, exercise::judge};
use crate::error::Result;
use crate::plot::{Bounds, Panel, panels};
use crate::tensor::{Device, Key, Tensor, philox};
use std::f32::consts::TAU;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    number: 3,
    name: "random",
    source: include_str!("l03_random.rs"),
    needs_gpu: false,
    run,
    exercises: &[
        Exercise {
            file: "3.1-box-muller.wgsl",
            task: "make two normal numbers of two uniform ones",
            stub: include_str!("exercises/3.1-box-muller.wgsl"),
            check: box_muller,
        },
        Exercise {
            file: "3.2-multiply-high.wgsl",
            task: "compute the high word of a 32 x 32-bit product from 16-bit halves",
            stub: include_str!("exercises/3.2-multiply-high.wgsl"),
            check: multiply_high,
        },
    ],
};

/// RANDU: x' = 65539 x mod 2^31, u = x / 2^31.
fn randu(n: usize) -> Vec<f64> {
    let mut x = 1u32;
    let mut next = || {
        x = x.wrapping_mul(65539) % (1 << 31);
        f64::from(x) / f64::from(1u32 << 31)
    };
    (0..n).map(|_| next()).collect()
}

/// The share of the result's bits that one changed bit of the counter changes.
fn avalanche() -> f64 {
    let changed = |trial: u32, bit: usize| -> u32 {
        let counter = [trial, 0, 0, 0];
        let mut other = counter;
        other[bit / 32] ^= 1 << (bit % 32);
        let (a, b) = (philox(counter, [1, 2]), philox(other, [1, 2]));
        a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
    };
    let total: u32 = (0..32).flat_map(|trial| (0..128).map(move |bit| changed(trial, bit))).sum();
    f64::from(total) / f64::from(32 * 128 * 128)
}

/// Compares the host's bits with the device's, and the neighbours of RANDU with those of Philox.
fn run(device: &Device, page: &mut Page) -> Result<()> {
    let (key, n) = (Key::new(3).named("lesson"), 1 << 18);
    let drawn = Tensor::random_bits(device, [n], &key).to_vec()?;
    let differ = drawn.iter().zip(0..).filter(|(x, i)| **x != (key.bits(*i, 0) >> 8) as f32).count();
    page.say(&format!("{n} words drawn on {device}, and each alone by the host's function: {differ} differ."))?;
    page.say(&format!("One changed bit of the counter changes {:.2} % of the bits.", 100.0 * avalanche()))?;
    let normal = Tensor::normal(device, [n], &key).to_f64()?;
    let mean = |f: fn(f64) -> f64| normal.iter().map(|x| f(*x)).sum::<f64>() / n as f64;
    let [variance, tail] = [mean(|x| x * x), 100.0 * mean(|x| f64::from(u8::from(x.abs() > 2.0)))];
    page.say(&format!("{n} normal numbers: variance {variance:.3} (law 1), {tail:.2} % beyond 2 (law 4.55 %)."))?;
    let generators = [("RANDU", randu(n)), ("Philox", (0..n as u64).map(|i| key.uniform(i)).collect())];
    let (mut rows, mut slices) = (Vec::new(), Vec::new());
    for (name, u) in &generators {
        let plane = |w: &[f64]| 9.0 * w[0] - 6.0 * w[1] + w[2];
        let off: f64 = u.windows(3).map(plane).map(|p| (p - p.round()).abs()).sum();
        rows.push(vec![name.to_string(), format!("{:.4}", off / (n - 2) as f64)]);
        let thin = u.windows(3).filter(|w| (0.50..0.51).contains(&w[1]));
        slices.push((name, thin.map(|w| [w[0] as f32, w[2] as f32]).collect::<Vec<_>>()));
    }
    page.table(&["generator", "mean distance of 9 u[k] - 6 u[k+1] + u[k+2] from a whole number (law 0.25)"], &rows)?;
    let unit = Bounds { x: [0.0, 1.0], y: [0.0, 1.0] };
    let drawn: Vec<Panel> = slices.iter().map(|(name, points)| Panel::scatter(name, unit, points)).collect();
    page.picture(&panels(&drawn), "u[k] to the right, u[k+2] up, where u[k+1] is between 0.50 and 0.51.");
    Ok(())
}

fn box_muller(attempt: &Attempt) -> Checked {
    let draw = |name| (0..64).map(|i| Key::new(3).named(name).uniform(i / 2) as f32).collect::<Vec<f32>>();
    let (u, v, which) = (draw("u"), draw("v"), (0..64).map(|i| (i % 2) as f32).collect::<Vec<f32>>());
    let got = attempt.map("box_muller(x0[i], x1[i])[u32(x2[i])]", &[&u, &v, &which])?;
    let each = |f: &dyn Fn(f32, f32) -> [f32; 2]| -> Vec<f32> { (0..64).map(|i| f(u[i], v[i])[i % 2]).collect() };
    let polar = |radius: f32, angle: f32| [radius * angle.cos(), radius * angle.sin()];
    let r = |u: f32| (-2.0 * u.ln()).sqrt();
    judge(
        &got,
        &each(&|u, v| polar(r(u), TAU * v)),
        &[
            (vec![0.0; 64], "both numbers are 0: a radius from u, an angle from v"),
            (each(&|u, v| polar((-u.ln()).sqrt(), TAU * v)), "the variance is 1/2: radius^2 = -2 log u"),
            (each(&|u, v| polar(-2.0 * u.ln(), TAU * v)), "this is radius^2 as the radius: take its square root"),
            (each(&|u, v| polar(r(u), v)), "the angle covers a full turn: 2 pi v, in radians"),
            (each(&|u, v| polar((-2.0 * u.log2()).sqrt(), TAU * v)), "this is the logarithm to base 2; log is natural"),
            (each(&|u, _| polar(r(u), TAU * u)), "radius and angle both come from u: take v for one"),
        ],
    )
}

fn multiply_high(attempt: &Attempt) -> Checked {
    let drawn = (0..62).map(|i| [Key::new(3).bits(2 * i, 0), Key::new(3).bits(2 * i + 1, 0)]);
    let factors: Vec<[u32; 2]> = drawn.chain([[u32::MAX; 2], [u32::MAX, 2]]).collect();
    // A float holds 24 bits: factors come as halves, and the word is looked at byte by byte.
    let column = |f: &dyn Fn([u32; 2], u32) -> u32| -> Vec<f32> {
        factors.iter().flat_map(|&ab| [0, 8, 16, 24].map(|shift| f(ab, shift) as f32)).collect()
    };
    let halves = [0, 1].map(|k| [column(&|ab, _| ab[k] >> 16), column(&|ab, _| ab[k] & 0xffff)]);
    let shift = column(&|_, shift| shift);
    let (a, b) = ("(u32(x0[i]) << 16u) | u32(x1[i])", "(u32(x2[i]) << 16u) | u32(x3[i])");
    let call = format!("f32((multiply_high({a}, {b}) >> u32(x4[i])) & 255u)");
    let got = attempt.map(&call, &[&halves[0][0], &halves[0][1], &halves[1][0], &halves[1][1], &shift])?;
    let bytes = |word: &dyn Fn([u32; 4]) -> u32| {
        column(&|[a, b], shift| (word([a >> 16, a & 0xffff, b >> 16, b & 0xffff]) >> shift) & 255)
    };
    // The word, if a part of each of the two carries is kept.
    let carry = |low: u32, middle: u32| {
        bytes(&move |[ah, al, bh, bl]| {
            let left = ah * bl + low * ((al * bl) >> 16);
            ah * bh + (left >> 16) + ((al * bh + middle * (left & 0xffff)) >> 16)
        })
    };
    let wrapped = |[ah, al, bh, bl]: [u32; 4]| (ah * bl).wrapping_add(al * bh).wrapping_add((al * bl) >> 16) >> 16;
    judge(
        &got,
        &carry(1, 1),
        &[
            (bytes(&|_| 0), "the word is 0: add up what each of the four products of halves leaves above bit 32"),
            (column(&|[a, b], shift| (a.wrapping_mul(b) >> shift) & 255), "this is a * b, the low word"),
            (bytes(&|[ah, _, bh, _]| ah * bh), "only ah * bh is there: ah * bl and al * bh reach above bit 32, too"),
            (bytes(&|h| h[0] * h[2] + wrapped(h)), "ah * bl + al * bh does not fit into 32 bits: add in two steps"),
            (carry(0, 1), "the carry out of al * bl is missing: its upper half belongs to the cross products"),
            (carry(1, 0), "the carry between the cross products is missing: the lower half of one adds to the other"),
        ],
    )
}
