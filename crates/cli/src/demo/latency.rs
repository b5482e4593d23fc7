//! How long operations took, in numbers that a person compares.

use std::time::Duration;

use serde::Serialize;

/// A summary of durations, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the unit is part of the JSON's keys")]
pub(super) struct Latency {
    /// Half of them took no longer.
    pub(super) median_ms: f64,
    /// All but one in a hundred took no longer.
    pub(super) p99_ms: f64,
    /// From the first's begin to the last's end.
    pub(super) all_ms: f64,
}

impl Latency {
    pub(super) fn of(durations: &[Duration], all: Duration) -> Self {
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        Self {
            median_ms: milliseconds(rank(&sorted, 50)),
            p99_ms: milliseconds(rank(&sorted, 99)),
            all_ms: milliseconds(all),
        }
    }
}

/// The smallest duration that `percent` of them do not exceed (nearest rank).
fn rank(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest_ones() {
        let hundred: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        let latency = Latency::of(&hundred, Duration::from_secs(1));
        assert_eq!(latency, Latency { median_ms: 50.0, p99_ms: 99.0, all_ms: 1000.0 });
        let one = Latency::of(&[Duration::from_millis(7)], Duration::ZERO);
        assert_eq!((one.median_ms, one.p99_ms), (7.0, 7.0));
        assert_eq!(Latency::of(&[], Duration::ZERO), Latency::default());
    }
}
