// 5.1 - p(x) is proportional to 0.3 exp(-(x + 1.5)^2 / 2) + 0.7 exp(-(x - 1)^2 / 2). Return its score, d log p(x) / dx.

fn score(x: f32) -> f32 {
    let p1 = exp(-(x + 1.5) * (x + 1.5) / 2.0);
    let p2 = exp(-(x - 1.0) * (x - 1.0) / 2.0);
    return 0.0;
}
