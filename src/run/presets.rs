//! The presets that are built in.

/// The presets that are built in: name and text.
pub const PRESETS: &[(&str, &str)] = &[
    ("cd/eight-gaussians", include_str!("presets/cd/eight-gaussians.toml")),
    ("cd/eight-gaussians-small", include_str!("presets/cd/eight-gaussians-small.toml")),
    ("cd/checkerboard", include_str!("presets/cd/checkerboard.toml")),
    ("cd/two-moons", include_str!("presets/cd/two-moons.toml")),
    ("cd/fashion-mnist", include_str!("presets/cd/fashion-mnist.toml")),
    ("cd/mnist", include_str!("presets/cd/mnist.toml")),
    ("cd/cifar10", include_str!("presets/cd/cifar10.toml")),
    ("improved-cd/eight-gaussians", include_str!("presets/improved-cd/eight-gaussians.toml")),
    ("improved-cd/rings", include_str!("presets/improved-cd/rings.toml")),
    ("improved-cd/mnist", include_str!("presets/improved-cd/mnist.toml")),
    ("improved-cd/fashion-mnist", include_str!("presets/improved-cd/fashion-mnist.toml")),
    ("improved-cd/cifar10", include_str!("presets/improved-cd/cifar10.toml")),
    ("improved-cd/cifar10-small", include_str!("presets/improved-cd/cifar10-small.toml")),
    ("cdrl/checkerboard", include_str!("presets/cdrl/checkerboard.toml")),
    ("cdrl/checkerboard-small", include_str!("presets/cdrl/checkerboard-small.toml")),
    ("cdrl/eight-gaussians", include_str!("presets/cdrl/eight-gaussians.toml")),
    ("cdrl/mnist", include_str!("presets/cdrl/mnist.toml")),
    ("cdrl/fashion-mnist", include_str!("presets/cdrl/fashion-mnist.toml")),
    ("cdrl/cifar10", include_str!("presets/cdrl/cifar10.toml")),
    ("cdrl/cifar10-small", include_str!("presets/cdrl/cifar10-small.toml")),
    ("drl/checkerboard-small", include_str!("presets/drl/checkerboard-small.toml")),
];
