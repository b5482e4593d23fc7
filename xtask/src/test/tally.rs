//! Sums over what every test program prints at its end.

use std::fmt;

/// How many tests passed, failed and were ignored so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    /// Tests marked so that they are not run.
    pub(crate) ignored: u64,
}

impl Tally {
    /// Adds a line if it is a test program's summary: `test result: ok. 3 passed; 0 failed; ...`.
    pub(crate) fn count(&mut self, line: &str) {
        let Some((_, counts)) =
            line.trim().strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split(';') {
            match count.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                Some((number, "ignored")) => self.ignored += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }

    /// The final count: a run that ended badly without a failed test lost a whole test program, which counts as one.
    pub(crate) fn settle(self, success: bool) -> Self {
        let lost = u64::from(!success && self.failed == 0);
        Self { failed: self.failed + lost, ..self }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_added_and_other_lines_are_not() {
        let mut tally = Tally::default();
        for line in [
            "running 5 tests",
            "test a ... ok",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s\n",
            "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            "the test result: ok. 9 passed",
            "",
        ] {
            tally.count(line);
        }
        assert_eq!(tally, Tally { passed: 7, failed: 2, ignored: 1 });
        assert_eq!(tally.to_string(), "7 passed, 2 failed");
    }

    #[test]
    fn a_test_program_that_crashed_counts_as_a_failure() {
        let tally = Tally { passed: 7, ..Tally::default() };
        assert_eq!(tally.settle(false).to_string(), "7 passed, 1 failed");
        assert_eq!(tally.settle(true), tally);
        let failed = Tally { failed: 2, ..tally };
        assert_eq!(failed.settle(false), failed);
    }
}
