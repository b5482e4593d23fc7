//! What one contender's operations took.

use std::time::Duration;

use super::field::AT_ONCE;
use super::latency::rank_ms;

/// Operations of one kind that were done several at once, over all rounds.
#[derive(Debug, Clone, Default)]
pub(super) struct AtOnce {
    /// How long each took.
    pub(super) each: Vec<Duration>,
    /// How long each round took.
    pub(super) rounds: Vec<Duration>,
}

impl AtOnce {
    /// Operations that end per second in the median round; none where there were none.
    pub(super) fn per_second(&self) -> Option<f64> {
        let round = rank_ms(&self.rounds, 50)?;
        Some(f64::from(AT_ONCE) / round * 1000.0)
    }

    /// The operation at this rank, in milliseconds.
    pub(super) fn rank_ms(&self, percent: usize) -> Option<f64> {
        rank_ms(&self.each, percent)
    }
}

/// Everything that was timed of one contender.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples {
    /// Set-ups one after the other, the host filling up.
    pub(super) set_up: Vec<Duration>,
    /// Tear-downs one after the other, the host emptying.
    pub(super) tear_down: Vec<Duration>,
    /// Set-ups at once, on a host that is full.
    pub(super) set_up_at_once: AtOnce,
    /// Tear-downs at once, on a host that is full.
    pub(super) tear_down_at_once: AtOnce,
    /// Starts of one program.
    pub(super) start: Vec<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_median_round() {
        let each = vec![Duration::from_millis(500); 48];
        let rounds = [1, 2, 9].map(Duration::from_secs).to_vec();
        let at_once = AtOnce { each, rounds };
        assert_eq!(at_once.per_second(), Some(8.0));
        assert_eq!(at_once.rank_ms(99), Some(500.0));
        assert_eq!(AtOnce::default().per_second(), None);
    }
}
