// 7.1 - L = E(x_pos) - E(x_neg) + gamma (E(x_pos)^2 + E(x_neg)^2), E(x) = theta x^2 / 2, for one point of the data and the end
// of one chain. Return dL/dtheta; x_neg is a constant.

fn contrastive_gradient(theta: f32, gamma: f32, x_pos: f32, x_neg: f32) -> f32 {
    return 0.0;
}
