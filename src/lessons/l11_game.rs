//! # Energy and sampler as a game, without MCMC
//!
//! Lesson 10 taught a net to start chains. Generalized contrastive divergence (Yoon et al. 2023; in full: Yoon et al. 2024, DxMI, arXiv
//! 2407.00626) lets the net do all of the sampling. With `q(x) ~ exp(-E(x) / tau)` and a sampler of law pi (Eq. 5 of DxMI):
//!
//! `min over E, max over pi:  KL(p || q) - KL(pi || q)`
//!
//! log Z cancels in the difference. Times tau what is left is `E_p[E] - E_pi[E] + tau H(pi)`, up to a constant, and the players want:
//!
//! - the energy: `min mean E(x_data) - mean E(x_pi)`. Contrastive divergence, with the sampler in place of chains;
//! - the sampler: `min mean E(x_pi) - tau H(pi)`. Low energy, high entropy: E is the negative of a reward, tau the price of order.
//!
//! They rest where `pi = q = p`: there `E = -tau log p` up to a constant. **tau gives the energy its scale**. With tau = 0 the sampler
//! has no reason to spread: against a fixed energy it goes to the bottom of the deepest valley and stays. In the game the energy answers by
//! filling that valley, and comes to rest only when it is flat: the samples may be right, but the energy says nothing about the
//! density. (DxMI, Table 1, eight Gaussians: tau = 0 samples nearly as well as tau = 0.1 and has AUC .707 against .898.)
//!
//! The smallest game has one number on each side: data N(0, s^2), `E = theta x^2 / 2` and `x = sigma n`, n ~ N(0, 1):
//!
//! ```
//! // The players' gradients, sigma = exp(u): energy (s^2 - sigma^2) / 2, sampler theta sigma^2 - tau. Both vanish at
//! // sigma = s, theta = tau / s^2, which is E = -tau log p.
//! let (s, tau) = (0.5f64, 0.4);
//! let (mut theta, mut u) = (0.1, 0.0f64);
//! for _ in 0..5000 {
//!     let variance = (2.0 * u).exp();
//!     (theta, u) = (theta - 0.05 * 0.5 * (s * s - variance), u - 0.05 * (theta * variance - tau));
//! }
//! assert!((u.exp() - s).abs() < 1e-3 && (theta - tau / (s * s)).abs() < 1e-3);
//! ```
//!
//! Near the fixed point small deviations follow `lambda^2 + 2 tau lambda + s^4 = 0`. The real parts are negative for tau > 0: a spiral
//! inwards. For tau = 0 they vanish: theta and sigma circle around (0, s) and never arrive; finite steps even drive them outwards. That is the
//! restlessness known of adversarial training, and entropy is what calms it.
//!
//! ## A sampler of T steps
//!
//! Real data want a stronger sampler: a short diffusion, `x_{t+1} = mu(x_t, t) + sigma_t n` with learned mu and sigma_t. The entropy of its end
//! is intractable, so the divergence of the whole path stands in for that of the end, a bound (DxMI, Eq. 8): each step pays
//!
//! `tau c_t - tau log sigma_t`, `c_t = |x_{t+1} - x_t|^2 / (2 s_t^2)`
//!
//! And no gradient goes through T steps. A **value** V(x, t), the expected cost still to come with V(x, T) = E(x), is learned by regression
//! on its own successor (Bellman),
//!
//! `V(x_t, t) <- V(x_{t+1}, t + 1) + tau c_t - tau log sigma_t`
//!
//! and each step of the sampler descends V(x_{t+1}, t + 1) plus its own cost, through that one step alone.

use super::{Attempt, Checked, Exercise, Lesson, Page, exercise::judge};
use crate::autodiff::grad;
use crate::error::Result;
use crate::plot::Curves;
use crate::tensor::{Device, Key, Tensor};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    number: 11,
    name: "game",
    source: include_str!("l11_game.rs"),
    needs_gpu: false,
    run,
    exercises: &[
        Exercise {
            file: "11.1-sampler.wgsl",
            task: "write the gradient of the sampler's loss with its entropy",
            stub: include_str!("exercises/11.1-sampler.wgsl"),
            check: sampler,
        },
        Exercise {
            file: "11.2-target.wgsl",
            task: "write what the value is regressed to",
            stub: include_str!("exercises/11.2-target.wgsl"),
            check: target,
        },
    ],
};

/// The deviation of the data.
const S: f64 = 1.0;
const RATE: f64 = 0.05;
const ROUNDS: u64 = 500;

/// Who plays, and at which price of order.
struct Game {
    name: &'static str,
    tau: f64,
    energy_learns: bool,
}

/// `(sigma, theta)` after each round: both players descend their losses, on samples of the data and of the sampler.
fn play(game: &Game, device: &Device) -> Result<[Vec<f64>; 2]> {
    let (mut theta, mut u) = (0.3, 0.3);
    let [mut sigmas, mut thetas] = [vec![f64::exp(u)], vec![theta]];
    for round in 0..ROUNDS {
        let noise = |name: &str| Tensor::normal(device, [1024], &Key::new(0).named(name).index(round));
        let [at_theta, at_u] = [theta, u].map(|v| Tensor::scalar(device, v).tracked());
        let energy = |theta: &Tensor, x: &Tensor| (x.square() * theta).mean() * 0.5;
        let (x_data, x_pi) = (noise("data") * S, noise("sampler") * at_u.exp());
        let energy_loss = energy(&at_theta, &x_data) - energy(&at_theta, &x_pi.detach());
        // The entropy of N(0, sigma^2) is log sigma = u, up to a constant.
        let sampler_loss = energy(&at_theta.detach(), &x_pi) - &at_u * game.tau;
        let slopes = [grad(&energy_loss, &[&at_theta]).remove(0), grad(&sampler_loss, &[&at_u]).remove(0)];
        theta -= if game.energy_learns { RATE * slopes[0].item()? } else { 0.0 };
        u -= RATE * slopes[1].item()?;
        sigmas.push(u.exp());
        thetas.push(theta);
    }
    Ok([sigmas, thetas])
}

/// Plays with entropy, without, and against an energy that does not answer.
fn run(device: &Device, page: &mut Page) -> Result<()> {
    let game = |name, tau, energy_learns| Game { name, tau, energy_learns };
    let games = [
        game("tau = 0.5", 0.5, true),
        game("tau = 0.1", 0.1, true),
        game("tau = 0", 0.0, true),
        game("tau = 0, energy fixed", 0.0, false),
    ];
    let mut chart = Curves::new("theta over sigma").along("sigma");
    let mut rows = Vec::new();
    for game in &games {
        let [sigmas, thetas] = play(game, device)?;
        // The last quarter: where it rests, or how far it still swings.
        let ends = |x: &[f64]| {
            let late = &x[3 * x.len() / 4..];
            let (lo, hi) = late.iter().fold((f64::MAX, f64::MIN), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
            format!("{lo:.3} to {hi:.3}")
        };
        let rest = if game.energy_learns { format!("{S:.1}, {:.1}", game.tau / (S * S)) } else { "0, held".into() };
        rows.push(vec![game.name.to_string(), rest, ends(&sigmas), ends(&thetas)]);
        chart = chart.series(game.name, &sigmas, &thetas);
    }
    page.say(&format!("Data N(0, {S}), {ROUNDS} rounds of both players at rate {RATE}, 1024 draws a round; all start at the same point."))?;
    page.table(&["game", "fixed point: sigma, theta", "sigma, last quarter", "theta, last quarter"], &rows)?;
    page.svg(
        &chart.svg(),
        "With entropy the game spirals into its fixed point, without it goes round; alone, the sampler collapses.",
    );
    Ok(())
}

fn ramp(lo: f32, step: f32) -> Vec<f32> {
    (0..32).map(|i| lo + step * i as f32).collect()
}

fn sampler(attempt: &Attempt) -> Checked {
    let (theta, mu, u) = (ramp(0.4, 0.05), ramp(-1.0, 0.07), ramp(0.7, -0.05));
    let (eps, tau) = (ramp(1.8, -0.11), ramp(0.1, 0.02));
    let got = attempt.map("sampler_gradient(x0[i], x1[i], x2[i], x3[i], x4[i])", &[&theta, &mu, &u, &eps, &tau])?;
    // Of theta x, with x = mu + sigma eps, and of sigma, eps and tau.
    let each = |f: fn(f32, f32, f32, f32) -> f32| -> Vec<f32> {
        (0..32).map(|i| f(theta[i] * (mu[i] + u[i].exp() * eps[i]), u[i].exp(), eps[i], tau[i])).collect()
    };
    let centred = (0..32).map(|i| theta[i] * (u[i].exp() * eps[i]).powi(2) - tau[i]).collect();
    judge(
        &got,
        &each(|g, s, e, t| g * s * e - t),
        &[
            (each(|_, _, _, _| 0.0), "this is 0 everywhere: E(x) depends on u through x, and log sigma is u"),
            (each(|g, s, e, t| g * s * e + t), "a sign: L falls with tau log sigma, so entropy widens the sampler"),
            (each(|g, s, e, _| g * s * e), "the entropy is missing: this sampler collapses"),
            (each(|g, _, e, t| g * e - t), "dx/du = sigma eps, since sigma = exp(u)"),
            (
                each(|g, s, e, t| g * e - t / s),
                "this is the derivative with respect to sigma; times sigma, with respect to u",
            ),
            (centred, "dE/dx = theta x at x = mu + sigma eps: mu is missing"),
        ],
    )
}

fn target(attempt: &Attempt) -> Checked {
    let (v, x, next) = (ramp(-1.0, 0.1), ramp(1.5, -0.06), ramp(-0.9, 0.09));
    let (s, sigma, tau) = (ramp(0.5, 0.03), ramp(0.2, 0.05), ramp(0.1, 0.02));
    let got = attempt.map("target_of(x0[i], x1[i], x2[i], x3[i], x4[i], x5[i])", &[&v, &x, &next, &s, &sigma, &tau])?;
    // Of V, the step in units of s, log sigma and tau.
    let each = |f: fn(f32, f32, f32, f32) -> f32| -> Vec<f32> {
        (0..32).map(|i| f(v[i], (next[i] - x[i]) / s[i], sigma[i].ln(), tau[i])).collect()
    };
    judge(
        &got,
        &each(|v, d, l, t| v + 0.5 * t * d * d - t * l),
        &[
            (each(|_, _, _, _| 0.0), "this is 0 everywhere: begin with v_next"),
            (each(|v, _, _, _| v), "the step itself costs something: tau c - tau log sigma is missing"),
            (
                each(|_, d, l, t| 0.5 * t * d * d - t * l),
                "this is the cost of the step alone: what is still to come, v_next, is missing",
            ),
            (each(|v, d, l, t| v + 0.5 * t * d * d + t * l), "a sign: entropy is paid for, a wide step is cheap"),
            (each(|v, d, l, t| v + t * d * d - t * l), "the 1/2 of c = (x_next - x)^2 / (2 s^2) is missing"),
            (each(|v, d, l, t| v + 0.5 * d * d - t * l), "tau weighs both, the entropy and the step"),
            (each(|v, d, l, t| v + 0.5 * t * d.abs() - t * l), "the length of the step is squared"),
        ],
    )
}
