//! What a check found: where, and what to do about it.

use std::fmt;

use anyhow::{Result, bail};

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The file, relative to the workspace.
    pub(crate) path: String,
    /// The line, counted from 1; 0 where the whole file is meant.
    pub(crate) line: usize,
    /// The rule that is broken, and what to do.
    pub(crate) message: String,
}

impl Violation {
    /// A breach in one line of a file.
    pub(crate) fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }

    /// A breach of a file as a whole.
    pub(crate) fn of(path: &str, message: impl Into<String>) -> Self {
        Self::at(path, 0, message)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.path, self.message),
            line => write!(formatter, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Prints the violations; one or more of them are an error.
pub(crate) fn report(check: &str, violations: &[Violation]) -> Result<()> {
    for violation in violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => println!("{check}: nothing to complain of"),
        1 => bail!("{check}: one violation"),
        many => bail!("{check}: {many} violations"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_names_its_place() {
        assert_eq!(Violation::at("a.rs", 7, "too long").to_string(), "a.rs:7: too long");
        assert_eq!(Violation::of("a.rs", "too long").to_string(), "a.rs: too long");
    }

    #[test]
    fn a_report_fails_when_anything_was_found() {
        assert!(report("tidy", &[]).is_ok());
        let error = report("tidy", &[Violation::of("a.rs", "too long")]).unwrap_err();
        assert_eq!(error.to_string(), "tidy: one violation");
    }
}
