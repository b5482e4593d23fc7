//! Durations in numbers that a person compares.

use std::time::Duration;

/// The smallest duration, in milliseconds, that `percent` of them do not exceed (nearest rank); none of none.
pub(super) fn rank_ms(durations: &[Duration], percent: usize) -> Option<f64> {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).map(|duration| duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest_ones() {
        let mut hundred: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        hundred.reverse();
        assert_eq!(rank_ms(&hundred, 50), Some(50.0));
        assert_eq!(rank_ms(&hundred, 99), Some(99.0));
        assert_eq!(rank_ms(&[Duration::from_millis(7)], 99), Some(7.0));
        assert_eq!(rank_ms(&[], 50), None);
    }
}
