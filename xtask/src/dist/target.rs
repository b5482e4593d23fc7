//! The processors that are built for, and the ways in which a machine's toolchain can.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo;
use crate::workspace::Workspace;

/// A processor.
#[derive(Debug)]
pub(super) struct Target {
    /// Rust's name of it.
    pub(super) architecture: &'static str,
    /// Debian's.
    pub(super) debian: &'static str,
    musl: &'static str,
    glibc: &'static str,
}

/// Those that are built for.
pub(super) const TARGETS: [Target; 2] = [
    Target {
        architecture: "x86_64",
        debian: "amd64",
        musl: "x86_64-unknown-linux-musl",
        glibc: "x86_64-unknown-linux-gnu",
    },
    Target {
        architecture: "aarch64",
        debian: "arm64",
        musl: "aarch64-unknown-linux-musl",
        glibc: "aarch64-unknown-linux-gnu",
    },
];

/// How a target is built here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The target as rustc calls it.
    pub(super) triple: &'static str,
    /// A variable for cargo.
    variable: Option<(String, &'static str)>,
}

impl Target {
    /// Whether this machine can run it.
    pub(super) fn is_ours(&self) -> bool {
        self.architecture == ARCH
    }

    /// musl, which rustup may have to bring; where it does not, glibc linked statically, for this machine's own processor.
    pub(super) fn prepare(&self, workspace: &Workspace) -> Result<Way> {
        match bring(&workspace.root, self.musl) {
            Ok(()) => Ok(self.by_musl()),
            Err(error) if self.is_ours() => {
                println!("dist: {error:#}; linking glibc statically instead");
                Ok(self.by_glibc())
            }
            Err(error) => Err(error),
        }
    }

    /// Rust's own linker serves for a foreign processor: no C is compiled.
    fn by_musl(&self) -> Way {
        let linker = format!("CARGO_TARGET_{}_LINKER", in_capitals(self.musl));
        let variable = (!self.is_ours()).then_some((linker, "rust-lld"));
        Way { triple: self.musl, variable }
    }

    fn by_glibc(&self) -> Way {
        let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", in_capitals(self.glibc));
        Way { triple: self.glibc, variable: Some((flags, "-C target-feature=+crt-static")) }
    }
}

fn in_capitals(triple: &str) -> String {
    triple.to_uppercase().replace('-', "_")
}

impl Way {
    /// Cargo for this target.
    pub(super) fn cargo(&self, root: &Path, arguments: &[&str]) -> Command {
        let mut command = cargo::command(root, arguments);
        command.args(["--target", self.triple]);
        command.envs(self.variable.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Sees to it that the toolchain has the standard library of a target.
fn bring(root: &Path, triple: &str) -> Result<()> {
    if is_there(root, triple)? {
        return Ok(());
    }
    let output = Command::new("rustup").args(["target", "add", triple]).current_dir(root).output();
    let output =
        output.with_context(|| format!("no target {triple}, and rustup cannot be started"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    ensure!(output.status.success(), "no target {triple}, and rustup does not bring it: {said}");
    Ok(())
}

fn is_there(root: &Path, triple: &str) -> Result<bool> {
    let mut command = Command::new("rustc");
    command.args(["--print", "target-libdir", "--target", triple]).current_dir(root);
    let output = command.output().context("cannot start rustc")?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_foreign_processor_needs_another_linker() {
        for target in &TARGETS {
            assert_eq!(target.by_musl().variable.is_none(), target.is_ours());
            let (name, value) = target.by_glibc().variable.unwrap();
            assert!(
                name.starts_with("CARGO_TARGET_") && name.ends_with("_GNU_RUSTFLAGS"),
                "{name}"
            );
            assert!(value.contains("crt-static"), "{value}");
        }
    }

    #[test]
    fn a_target_that_no_toolchain_has_is_not_there() {
        assert!(!is_there(Path::new("/"), "no-such-target").unwrap());
    }
}
