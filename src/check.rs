//! Checks of settings: each is one line that names the key, the value and what would be right.
//!
//! Kernels compute in f32, so a number must be in its range as an f32 too: 1e300 is not finite there, 1e-300 not positive.

use crate::error::{Error, Result};
use std::fmt::{Debug, Display};
use std::ops::RangeInclusive;

/// The most bytes of one thing that settings can make large: a net, the kept chains, samples.
pub const MOST_BYTES: u64 = 1 << 31;
/// The largest number up to which an f32 holds every whole number: steps and indices travel as such.
pub const MOST_COUNTED: usize = 1 << 24;
/// The widest layer.
pub const MOST_WIDE: usize = 1 << 14;
/// The most layers or blocks in a row.
pub const MOST_LAYERS: usize = 64;
/// The most Langevin steps of one chain.
pub const MOST_STEPS: usize = 1_000_000;

/// Fails with `KEY = VALUE: WHY` unless `ok`.
pub fn ensure(ok: bool, key: impl Display, value: impl Debug, why: impl Display) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::setting(format!("{key} = {value:?}: {why}"))) }
}

/// A value of the closed interval `range`.
pub fn within<T: PartialOrd + Debug>(key: impl Display, value: T, range: RangeInclusive<T>) -> Result<()> {
    ensure(range.contains(&value), key, &value, format!("use {:?} to {:?}", range.start(), range.end()))
}

/// A number above 0.
pub fn positive(key: impl Display, x: f64) -> Result<()> {
    ensure(x as f32 > 0.0 && (x as f32).is_finite(), key, x, "use a positive number that f32 holds")
}

/// 0 or a number above it.
pub fn not_negative(key: impl Display, x: f64) -> Result<()> {
    ensure(x >= 0.0 && (x as f32).is_finite(), key, x, "use 0 or a positive number that f32 holds")
}

/// The decay of a moving average, or another number from 0 to below 1.
pub fn below_one(key: impl Display, x: f64) -> Result<()> {
    ensure((0.0..1.0).contains(&(x as f32)), key, x, "use 0 to less than 1, at most 0.9999999")
}

/// The ends of an interval, the lower one first.
pub fn interval(key: impl Display, (lo, hi): (f64, f64)) -> Result<()> {
    let (a, b) = (lo as f32, hi as f32);
    ensure(a < b && (b - a).is_finite(), key, [lo, hi], "use two finite numbers, the smaller one first")
}

/// A list with at least one entry and at most [`MOST_LAYERS`], all in `range`.
pub fn list(key: impl Display, values: &[usize], range: RangeInclusive<usize>) -> Result<()> {
    let ok = (1..=MOST_LAYERS).contains(&values.len()) && values.iter().all(|v| range.contains(v));
    let shown = &values[..values.len().min(MOST_LAYERS)];
    ensure(ok, key, shown, format!("use 1 to {MOST_LAYERS} numbers from {} to {}", range.start(), range.end()))
}

/// As many f32 arrays of shape `each` as `count` says, in no more than [`MOST_BYTES`].
pub fn memory(key: impl Display, count: usize, each: &[usize]) -> Result<()> {
    let bytes = each.iter().fold(4 * count as u128, |bytes, &d| bytes.saturating_mul(d as u128));
    let why = format!("with samples of shape {each:?} this takes {bytes} bytes, at most {MOST_BYTES} are allowed");
    ensure(bytes <= u128::from(MOST_BYTES), key, count, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_key_value_and_range() {
        let text = |result: Result<()>| result.unwrap_err().to_string();
        assert_eq!(text(within("a.b", 3, 0..=2)), "a.b = 3: use 0 to 2");
        assert_eq!(text(within("p", f64::NAN, 0.0..=1.0)), "p = NaN: use 0.0 to 1.0");
        assert_eq!(text(list("w", &[4, 0], 1..=9)), "w = [4, 0]: use 1 to 64 numbers from 1 to 9");
        assert!(text(memory("n", usize::MAX, &[usize::MAX, 2])).starts_with("n = 18446744073709551615: with samples"));
    }

    #[test]
    fn numbers_are_judged_as_f32() {
        assert!(positive("x", 1e-30).is_ok() && not_negative("x", 1e-300).is_ok() && below_one("x", 0.9999999).is_ok());
        for x in [0.0, -1.0, 1e-300, 1e300, f64::NAN, f64::INFINITY] {
            assert!(positive("x", x).is_err(), "{x}");
        }
        for x in [-1e-300, 1e300, f64::NAN, f64::INFINITY] {
            assert!(not_negative("x", x).is_err(), "{x}");
        }
        for x in [-0.1, 1.0, 0.999999999, f64::NAN] {
            assert!(below_one("x", x).is_err(), "{x}");
        }
        for ends in [(1.0, 0.0), (1.0, 1.0), (1.0, 1.0 + 1e-12), (f64::NAN, 1.0), (-3e38, 3e38), (0.0, f64::INFINITY)] {
            assert!(interval("x", ends).is_err(), "{ends:?}");
        }
    }
}
