//! The parts that all algorithms share: learners that count their own updates, frozen energies, gradients through a chain,
//! hooks, host values that are fed, health.

use crate::support;
use ebm::energy::{Frozen, MlpConfig, MlpEnergy};
use ebm::io::RunDir;
use ebm::nn::{Init, Param, Params};
use ebm::ops::langevin::LangevinStep;
use ebm::optim::{AdamConfig, RateConfig};
use ebm::prelude::*;
use ebm::run::{Control, Trainer, TrainerConfig, checkpoint, restore};
use ebm::sample::Chain;
use ebm::train::{Algorithm, Iteration, Learner, Model, SampleRequest, Samples, State, Training};
use std::sync::atomic::AtomicBool;

/// Two nets of one number each, both going down p^2 / 2, the second one three times an iteration and faster.
struct TwoLearners {
    slow: (Param, Learner),
    fast: (Param, Learner),
}

/// Learning rates of the two; both fall with their own updates.
const RATES: [f64; 2] = [0.01, 0.03];
const UPDATES: [usize; 2] = [1, 3];

fn rate(lr: f64) -> RateConfig {
    RateConfig { lr, decay_from: 4, decay_until: 20, decay_to: 0.5, ..Default::default() }
}

impl TwoLearners {
    fn new(device: &Device) -> TwoLearners {
        let net = |lr| {
            let params = Params::new(device, Key::new(0));
            let p = params.root().param("p", [1], Init::Constant(1.0));
            (p, Learner::new(&params, &AdamConfig { rate: rate(lr), ..Default::default() }, 0.9))
        };
        TwoLearners { slow: net(RATES[0]), fast: net(RATES[1]) }
    }
}

impl Algorithm for TwoLearners {
    fn iteration(&self, it: &mut Iteration) {
        for ((p, learner), updates) in [&self.slow, &self.fast].into_iter().zip(UPDATES) {
            for _ in 0..updates {
                let gradients = learner.gradients(&(0.5 * p.get().square().sum()));
                learner.update(it, &gradients);
            }
            learner.average(it);
        }
        it.metric("slow", &self.slow.0.get());
        it.metric("fast", &self.fast.0.get());
        let fed = it.feed([1], |step| vec![step as f32]);
        it.metric("fed", &fed).keep_within([0.0, 50.0], 200, "too late");
    }

    fn state(&self) -> Vec<(String, State)> {
        self.slow.1.state("slow").into_iter().chain(self.fast.1.state("fast")).collect()
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        vec![("slow", 1), ("fast", 1)]
    }
}

impl Model for TwoLearners {
    fn sample_shape(&self) -> &[usize] {
        &[1]
    }

    fn energy(&self) -> Result<Box<dyn Energy + '_>> {
        unreachable!("nothing is sampled here")
    }

    fn sample(&self, _: &SampleRequest, _: &Key) -> Result<Samples> {
        unreachable!("nothing is sampled here")
    }
}

/// Adam on p^2 / 2 from p = 1 by hand: the parameter after each update.
fn by_hand(lr: f64, updates: usize) -> Vec<f64> {
    let (mut p, mut m, mut v) = (1.0f64, 0.0, 0.0);
    let update = |t: usize| {
        let g = p;
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        let (m_hat, v_hat): (f64, f64) = (m / (1.0 - 0.9f64.powi(t as i32)), v / (1.0 - 0.999f64.powi(t as i32)));
        p -= rate(lr).at(t as u64 - 1) * m_hat / (v_hat.sqrt() + 1e-8);
        p
    };
    (1..=updates).map(update).collect()
}

#[test]
fn learners_correct_their_bias_by_their_own_updates() {
    let mut devices = vec![Device::oracle()];
    devices.extend(support::gpu("learners_correct_their_bias_by_their_own_updates", false));
    for device in devices {
        for capture in [true, false] {
            let start = || Training::new(Box::new(TwoLearners::new(&device)), &device, &Key::new(1), capture);
            let mut training = start();
            let want = [0, 1].map(|i| by_hand(RATES[i], 10 * UPDATES[i]));
            for step in 0..10 {
                let report = pollster::block_on(async { training.advance().await.read().values().await }).unwrap();
                for (i, name) in ["slow", "fast"].into_iter().enumerate() {
                    let (got, want) = (report.get(name).unwrap(), want[i][(step + 1) * UPDATES[i] - 1]);
                    assert!(
                        (got - want).abs() < 2e-6,
                        "{device}, {name} after iteration {step}: {got}, by hand {want}"
                    );
                }
                assert_eq!(report.get("fed"), Some(step as f64), "{device}, captured {capture}");
                if step == 4 {
                    // A fresh training that takes the state over goes on in the same way.
                    let mut saved = checkpoint(&training).unwrap();
                    assert_eq!(saved.number("fast.adam.updates").unwrap(), 15);
                    training = start();
                    training.resume_after(restore(&mut saved, training.algorithm()).unwrap());
                }
            }
            let TwoLearners { slow, fast } = training.algorithm();
            assert_eq!((slow.1.updates(), fast.1.updates()), (10, 30));
        }
    }
}

#[test]
fn a_metric_that_stays_outside_its_range_stops_the_run_with_its_meaning() {
    let device = Device::oracle();
    let folder = std::env::temp_dir().join(format!("ebm-test-{}-health", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let run = RunDir::create(&folder, "").unwrap();
    let mut training: Training = Training::new(Box::new(TwoLearners::new(&device)), &device, &Key::new(1), true);
    let config = TrainerConfig { steps: 1000, log_every: 10, sample_every: 0, ..Default::default() };
    let control = Control { stop: &AtomicBool::new(false), progress: &mut |_| () };
    let trainer = Trainer { config: &config, run: &run, bounds: &[[0.0, 1.0]], toy: None, seed: 1, origin: "" };
    let Err(Error::Diverged { step, what, .. }) = trainer.train(&mut training, control) else {
        panic!("the run went on")
    };
    // Outside since 60, the first logged step above 50.
    assert_eq!((step, what.as_str()), (260, "too late: fed is 2.6000e2 since iteration 60"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_frozen_energy_has_the_same_values_and_no_gradient_in_its_parameters() {
    let device = Device::oracle();
    let params = Params::new(&device, Key::new(1));
    let energy = MlpEnergy::new(&params.root(), 2, &MlpConfig { hidden: vec![8], ..Default::default() });
    let x = Tensor::normal(&device, [5, 2], &Key::new(2));
    let frozen = Frozen(&energy, &params);
    assert_eq!(frozen.energy(&x).to_f64().unwrap(), energy.energy(&x).to_f64().unwrap());
    assert!(energy.energy(&x).is_tracked() && !frozen.energy(&x).is_tracked());
    assert_eq!(frozen.gradient(&x).to_f64().unwrap(), energy.gradient(&x).to_f64().unwrap());
    // A loss on x alone: what flows through x does not reach the parameters of the frozen energy.
    let leaves = params.tensors();
    let moved = Chain::new(1, LangevinStep::new(0.1, 0.0)).tracked(1).run(&frozen, &x, &Key::new(3));
    assert!(
        grad(&moved.sum(), &leaves.iter().collect::<Vec<_>>()).iter().all(|g| g
            .to_vec()
            .unwrap()
            .iter()
            .all(|v| *v == 0.0))
    );
}

/// E(x) = a x^2 / 2 with a parameter a.
struct Spring(Tensor);

impl Energy for Spring {
    fn energy(&self, x: &Tensor) -> Tensor {
        (x.square() * &self.0).sum_axes(&[1]) * 0.5
    }
}

#[test]
fn gradients_flow_through_the_tracked_steps_of_a_chain_and_no_others() {
    let device = Device::oracle();
    let (a, eta, x_0) = (0.7, 0.2, 1.5);
    let leaf = Tensor::full(&device, [1], a).tracked();
    let start = Tensor::full(&device, [1, 1], x_0);
    let run = |tracked: usize| {
        let chain = Chain::new(3, LangevinStep::new(eta, 0.0)).tracked(tracked);
        let x = chain.run(&Spring(leaf.clone()), &start, &Key::new(1));
        assert!((x.item().unwrap() - x_0 * (1.0f64 - eta * a).powi(3)).abs() < 1e-12);
        x
    };
    assert!(!run(0).is_tracked());
    for tracked in [1, 2, 3] {
        // x_K = (1 - eta a)^m x_{K-m}: only the last m factors are differentiated.
        let m = tracked as i32;
        let before = x_0 * (1.0f64 - eta * a).powi(3 - m);
        let want = -eta * m as f64 * (1.0f64 - eta * a).powi(m - 1) * before;
        let got = grad(&run(tracked), &[&leaf])[0].item().unwrap();
        assert!((got - want).abs() < 1e-12, "{tracked} tracked steps: {got}, want {want}");
    }
}

#[test]
fn a_hook_keeps_known_parts_and_coefficients_differ_by_sample() {
    let device = Device::oracle();
    let energy = Spring(Tensor::full(&device, [1], 1.0));
    let start = Tensor::new(&device, [2, 2], &[1.0, 2.0, 1.0, 2.0]);
    let mask = Tensor::new(&device, [2, 2], &[1.0, 0.0, 1.0, 0.0]);
    let step = LangevinStep::new(&Tensor::new(&device, [2], &[0.5, 0.25]), 0.0);
    let chain = Chain::new(2, step).after_each(|x| mask.where_(&start, &x));
    let x = chain.run(&energy, &start, &Key::new(1)).to_vec().unwrap();
    assert_eq!(x, [1.0, 0.5, 1.0, 1.125]);
}
