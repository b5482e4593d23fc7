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
pub(crate) struct Way {
    /// The target as rustc calls it.
    pub(super) triple: &'static str,
    /// The linker, where it is not the target's usual one.
    linker: Option<&'static str>,
    /// What rustc must be told besides.
    flags: &'static [&'static str],
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
        let linker = (!self.is_ours()).then_some("rust-lld");
        Way { triple: self.musl, linker, flags: &[] }
    }

    fn by_glibc(&self) -> Way {
        Way { triple: self.glibc, linker: None, flags: &["-C", "target-feature=+crt-static"] }
    }
}

impl Way {
    /// Cargo for this target.
    pub(super) fn cargo(&self, root: &Path, arguments: &[&str]) -> Command {
        let mut command = cargo::command(root, arguments);
        command.args(["--target", self.triple]).envs(self.variables());
        command
    }

    /// The compiler for this target, for a file that needs no package.
    pub(crate) fn rustc(&self) -> Command {
        let mut command = Command::new("rustc");
        command.args(["--target", self.triple]).args(self.flags);
        command
    }

    /// Cargo reads the flags and the linker of a target from variables.
    fn variables(&self) -> Vec<(String, String)> {
        let target = self.triple.to_uppercase().replace('-', "_");
        let linker =
            self.linker.map(|linker| (format!("CARGO_TARGET_{target}_LINKER"), linker.to_owned()));
        let flags = (!self.flags.is_empty())
            .then(|| (format!("CARGO_TARGET_{target}_RUSTFLAGS"), self.flags.join(" ")));
        linker.into_iter().chain(flags).collect()
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
            assert_eq!(target.by_musl().variables().is_empty(), target.is_ours());
            let [(name, value)] = target.by_glibc().variables().try_into().unwrap();
            let triple = target.glibc.to_uppercase().replace('-', "_");
            assert_eq!(name, format!("CARGO_TARGET_{triple}_RUSTFLAGS"));
            assert!(value.contains("crt-static"), "{value}");
        }
    }

    #[test]
    fn a_target_that_no_toolchain_has_is_not_there() {
        assert!(!is_there(Path::new("/"), "no-such-target").unwrap());
    }
}
