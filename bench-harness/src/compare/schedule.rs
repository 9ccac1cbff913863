//! In which order servers take their turns, and at which rate they are compared.

/// The servers of one round. The order turns round from one round to the next (A B, B A, …), so that a machine that grows
/// slower or faster meanwhile favours nobody.
pub(crate) fn turns(round: usize, servers: &[usize]) -> Vec<usize> {
    let mut order = servers.to_vec();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// Half of what the slowest server took at saturation, rounded down to two digits: a rate that all of them can sustain.
pub(crate) fn shared_rate(saturation_per_s: impl IntoIterator<Item = f64>) -> Option<f64> {
    let slowest = saturation_per_s.into_iter().reduce(f64::min)?;
    let half = slowest / 2.0;
    if half < 1.0 {
        return None;
    }
    let digit = 10f64.powf(half.log10().floor() - 1.0);
    Some(((half / digit).floor() * digit).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_turns_from_round_to_round() {
        let order: Vec<_> = (0..4).map(|round| turns(round, &[0, 1])).collect();
        assert_eq!(order, [[0, 1], [1, 0], [0, 1], [1, 0]]);
        assert_eq!(turns(1, &[0, 2, 3]), [3, 2, 0]);
    }

    #[test]
    fn the_shared_rate_is_half_of_the_slowest() {
        assert_eq!(shared_rate([2_000_000.0, 1_234_567.0]), Some(610_000.0));
        assert_eq!(shared_rate([84.0]), Some(42.0));
        assert_eq!(shared_rate([1.0]), None);
        assert_eq!(shared_rate([]), None);
    }
}
