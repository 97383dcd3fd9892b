//! Variational MCMC teaching: resumed runs, images with their latent vectors and known parts, published sizes.

use crate::training::{labelled_images, resumes_exactly};
use ebm::data::{Dataset, Split};
use ebm::energy::{Energy, EnergyConfig, MlpConfig, StackConfig};
use ebm::nn::{AutoencoderConfig, ConvCoderConfig, Params};
use ebm::prelude::*;
use ebm::run::{Registry, RunConfig};
use ebm::sample::Langevin;
use ebm::train::{Condition, Known, McmcTeaching, Model, SampleRequest, VaeConfig, mcmc_teaching};

fn teaching_config() -> mcmc_teaching::Config {
    let langevin = Langevin { steps: 3, step_size: 0.02, ..Default::default() };
    let energy = EnergyConfig::Mlp(MlpConfig { hidden: vec![16, 16], gain: Some(2.0), ..Default::default() });
    mcmc_teaching::Config { batch: 32, chains: Some(24), langevin, energy, ..Default::default() }
}

#[test]
fn variational_mcmc_teaching_resumes_exactly() {
    for teaching in [mcmc_teaching::Teaching::Vae, mcmc_teaching::Teaching::None] {
        let config = mcmc_teaching::Config { teaching, ..teaching_config() };
        resumes_exactly(&format!("teaching-{}", teaching.name()), &|device| {
            let data = Dataset::load("toy:eight-gaussians:500", Split::Train).unwrap();
            Box::new(McmcTeaching::new(&config, data, device, &Key::new(1)).unwrap())
        });
    }
}

fn teaching_images() -> mcmc_teaching::Config {
    let net = ConvCoderConfig {
        encoder: vec![[4, 2, 4], [3, 1, 4]],
        dropout: 0.2,
        start: 6,
        decoder: vec![[4, 2, 4]],
        last: [3, 1],
        normed: 2,
        ..Default::default()
    };
    let vae = VaeConfig { latent: 3, net: AutoencoderConfig::Conv(net), ..Default::default() };
    let stack = StackConfig { layers: vec![[3, 2, 4]], outputs: 2, ..Default::default() };
    mcmc_teaching::Config {
        batch: 8,
        reference: Some(0.5),
        langevin: Langevin { steps: 2, step_size: 0.05, ..Default::default() },
        energy: EnergyConfig::Stack(stack),
        vae,
        ..Default::default()
    }
}

/// Batch norm with its running statistics, dropout, a reference; then what the trained model can do and what it refuses.
#[test]
fn variational_mcmc_teaching_of_images_resumes_exactly_and_fills_in_known_parts() {
    let build = |config: &mcmc_teaching::Config, device: &Device| {
        McmcTeaching::new(config, labelled_images(), device, &Key::new(1)).unwrap()
    };
    resumes_exactly("teaching-images", &|device| Box::new(build(&teaching_images(), device)));

    let device = Device::open().unwrap_or(Device::Oracle);
    for steps in [0, 3] {
        let mut config = teaching_images();
        config.vae.inpainting.steps = steps;
        let model = build(&config, &device);
        let mask = Tensor::uniform(&device, [2, 4, 4, 1], &Key::new(2)).less(&Tensor::scalar(&device, 0.5));
        let values = Tensor::uniform(&device, [2, 4, 4, 1], &Key::new(3));
        let request = |known: Known| SampleRequest { known: Some(known), ..SampleRequest::new(2) };
        let known = Known { values: values.clone(), mask: mask.clone() };
        let x = model.sample(&request(known), &Key::new(4)).unwrap().x;
        let off = ((&x - &values) * &mask).abs().to_f64().unwrap().into_iter().fold(0.0, f64::max);
        assert!(off == 0.0 && x.to_vec().unwrap().iter().all(|v| (0.0..=1.0).contains(v)));
        let wrong = Known { values, mask: mask.narrow(1, 0, 3) };
        let text = model.sample(&request(wrong), &Key::new(4)).err().unwrap().to_string();
        assert!(text.contains("mask must have the samples' shape [2, 4, 4, 1]"), "{text}");
    }
    let coopnets = mcmc_teaching::Config { teaching: mcmc_teaching::Teaching::Coopnets, ..teaching_images() };
    let model = build(&coopnets, &device);
    let half = || Tensor::full(&device, [2, 4, 4, 1], 1.0);
    let request = SampleRequest { known: Some(Known { values: half(), mask: half() }), ..SampleRequest::new(2) };
    assert!(model.sample(&request, &Key::new(4)).err().unwrap().to_string().contains("need an encoder"));
    assert!(model.latents().is_none() && model.stages(3, &Key::new(5)).unwrap()[0].0 == "decoder");
}

/// Section 3 of the specification; parameters are laid out at first use, so nothing large is allocated here.
#[test]
fn the_nets_of_variational_mcmc_teaching_have_the_published_sizes() {
    let published = [
        ("mcmc-teaching/cifar10", &[32, 32, 3][..], 1_710_465, 4_393_800 + 1_104_067),
        ("mcmc-teaching/mnist", &[28, 28, 1], 1_625_188, 759_688 + 779_265),
        ("mcmc-teaching/fashion-mnist", &[28, 28, 1], 1_625_188, 759_688 + 779_265),
    ];
    for (preset, item, energy, vae) in published {
        let config = RunConfig::load(&Registry::standard(), preset, &[]).unwrap();
        let config: mcmc_teaching::Config = config.algorithm.settings().unwrap();
        let params = || Params::new(&Device::oracle(), Key::new(0));
        let (e, v) = (params(), params());
        config.energy.build(&e.root(), item, &[[-1.0, 1.0]]).unwrap();
        config.vae.net.build(&v.root(), item, &[[-1.0, 1.0]], config.vae.latent, [0, 0]).unwrap();
        assert_eq!((e.numel(), v.numel()), (energy, vae), "{preset}");
    }
}

/// Told classes, all nets are: samples of a class differ from those of the other with the same randomness, and the energy without a
/// class is that of the mixture.
#[test]
fn conditional_variational_mcmc_teaching_resumes_exactly_and_gives_the_class_that_is_asked_for() {
    let config = mcmc_teaching::Config { conditional: true, ..teaching_images() };
    let build = |device: &Device| McmcTeaching::new(&config, labelled_images(), device, &Key::new(1)).unwrap();
    resumes_exactly("teaching-classes", &|device| Box::new(build(device)));

    let device = Device::open().unwrap_or(Device::Oracle);
    let model = build(&device);
    let class = |c| SampleRequest { conditions: vec![vec![c]], ..SampleRequest::new(3) };
    let of = |c| model.sample(&class(c), &Key::new(2)).unwrap().x.to_vec().unwrap();
    assert!(of(0) != of(1) && of(0) == of(0));
    assert!(model.sample(&class(2), &Key::new(2)).err().unwrap().to_string().contains("classes 0 to 1"));
    let turns = model.sample(&SampleRequest::new(2), &Key::new(2)).unwrap().x.to_vec().unwrap();
    let asked = SampleRequest { conditions: vec![vec![0, 1]], ..SampleRequest::new(2) };
    assert_eq!(turns, model.sample(&asked, &Key::new(2)).unwrap().x.to_vec().unwrap());
    assert!(model.latents().is_none() && !model.supports_inpainting());

    let (x, t) = (Tensor::uniform(&device, [2, 4, 4, 1], &Key::new(3)), model.temperature());
    let energies = |e: Box<dyn Energy + '_>| e.energy(&x).to_f64().unwrap();
    let [of_0, of_1] = [0, 1].map(|c| energies(model.class_energy(c).unwrap()));
    for (i, whole) in energies(model.energy().unwrap()).into_iter().enumerate() {
        let want = -t * ((-of_0[i] / t).exp() + (-of_1[i] / t).exp()).ln();
        assert!((whole - want).abs() < 1e-5, "{whole} against {want}");
    }
    assert!(model.class_energy(2).err().unwrap().to_string().contains("2 classes"));
}

/// Pairs: y depends on what x tells and on nothing else of the image that x is made of; the pixels around a hole stay as they are.
#[test]
fn variational_mcmc_teaching_of_pairs_resumes_exactly_and_sees_only_what_is_given() {
    let config = mcmc_teaching::Config { condition: Some(Condition::Hole { side: 2 }), ..teaching_images() };
    let build = |device: &Device| McmcTeaching::new(&config, labelled_images(), device, &Key::new(1)).unwrap();
    resumes_exactly("teaching-pairs", &|device| Box::new(build(device)));

    let device = Device::open().unwrap_or(Device::Oracle);
    let model = build(&device);
    let [image, other] = [2, 3].map(|key| Tensor::uniform(&device, [3, 4, 4, 1], &Key::new(key)));
    let hole = Tensor::full(&device, [1, 2, 2, 1], 1.0).pad(1, 1, 1, 0.0).pad(2, 1, 1, 0.0);
    let beyond = &image + (&other - &image) * &hole; // another image in the hole
    let around = &image + (&other - &image) * hole.affine(-1.0, 1.0); // another one around it
    let request = |given: &Tensor, steps| SampleRequest { given: Some(given.clone()), steps, ..SampleRequest::new(3) };
    let of = |given: &Tensor, steps| model.sample(&request(given, steps), &Key::new(4)).unwrap().x;
    for steps in [Some(0), None] {
        let y = of(&image, steps);
        assert_eq!(y.to_vec().unwrap(), of(&beyond, steps).to_vec().unwrap());
        let elsewhere = (of(&around, steps) - &y) * &hole;
        assert!(elsewhere.abs().to_f64().unwrap().into_iter().fold(0.0, f64::max) > 1e-4);
        let off = ((&y - &image) * hole.affine(-1.0, 1.0)).abs().to_f64().unwrap().into_iter().fold(0.0, f64::max);
        assert!(off == 0.0, "{off}");
    }

    let refusal = |request: &SampleRequest| model.sample(request, &Key::new(4)).err().unwrap().to_string();
    assert!(refusal(&SampleRequest::new(3)).contains("give it images"));
    assert!(refusal(&request(&image.narrow(1, 0, 3), None)).contains("give [3, 4, 4, 1]"));
    let known = Known { values: image.clone(), mask: image.clone() };
    assert!(refusal(&SampleRequest { known: Some(known), ..request(&image, None) }).contains("told nothing else"));
    assert!(model.energy().err().unwrap().to_string().contains("both halves"));
    let plain = McmcTeaching::new(&teaching_images(), labelled_images(), &device, &Key::new(1)).unwrap();
    let text = plain.sample(&request(&image, None), &Key::new(4)).err().unwrap().to_string();
    assert!(text.contains("none of pairs"), "{text}");
}
