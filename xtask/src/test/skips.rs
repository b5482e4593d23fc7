//! What was not tested, and why.
//!
//! A test that misses something, such as a peer's program, appends a line `test: reason` to the file that the
//! environment variable `PODNET_SKIPS` names, and passes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result};

use super::tally::Tally;

/// The variable by which the tests learn of the file.
pub(crate) const SKIPS_VARIABLE: &str = "PODNET_SKIPS";

/// The skips of one run; the file vanishes with the value.
#[derive(Debug)]
pub(crate) struct Skips {
    path: PathBuf,
    noted: Vec<String>,
}

impl Skips {
    /// No skips yet.
    pub(crate) fn new(target: &Path) -> Result<Self> {
        fs::create_dir_all(target).with_context(|| format!("cannot make {}", target.display()))?;
        let path = target.join(format!("skips-{}", process::id()));
        fs::write(&path, "").with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, noted: Vec::new() })
    }

    /// The file that the tests append to.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes a skip that is not a test's own.
    pub(crate) fn note(&mut self, skip: String) {
        self.noted.push(skip);
    }

    /// All skips: those noted, those in the file, and tests that are marked as ignored.
    pub(crate) fn collect(&self, tally: &Tally) -> Result<Vec<String>> {
        let written = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("cannot read {}", self.path.display()))?,
        };
        let mut skips = self.noted.clone();
        skips.extend(written.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
        if tally.ignored > 0 {
            skips.push(format!("{} tests: they are marked as ignored", tally.ignored));
        }
        Ok(skips)
    }
}

impl Drop for Skips {
    fn drop(&mut self) {
        // An empty file in the build folder is nobody's loss.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_come_from_the_runner_the_tests_and_their_marks() {
        let folder = tempfile::tempdir().unwrap();
        let mut skips = Skips::new(folder.path()).unwrap();
        skips.note("podnet-kubenet: no namespaces".to_owned());
        fs::write(skips.path(), "peers::host_local: no program\n\n").unwrap();
        let mut tally = Tally::default();
        assert_eq!(
            skips.collect(&tally).unwrap(),
            ["podnet-kubenet: no namespaces", "peers::host_local: no program"]
        );
        tally.ignored = 2;
        assert_eq!(
            skips.collect(&tally).unwrap().last().unwrap(),
            "2 tests: they are marked as ignored"
        );
        let path = skips.path().to_owned();
        drop(skips);
        assert!(!path.exists());
    }
}
