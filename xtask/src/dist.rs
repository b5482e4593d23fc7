//! `cargo xtask dist`: what is released, in `target/dist`: static programs, manual pages, Debian packages, checksums.
//!
//! A machine's toolchain may lack a target. What cannot be built is said, and the rest is built all the same.

mod deb;
mod target;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo;
use crate::workspace::Workspace;
use target::{TARGETS, Target};

pub(crate) use target::Way;

/// A program, and the package of which it is.
#[derive(Debug, Clone, Copy)]
struct Program {
    package: &'static str,
    name: &'static str,
}

/// The command.
const COMMAND: Program = Program { package: "podnet-cli", name: "podnet" };
/// The program that every container start runs, and how large it may be.
const SMALL: Program = Program { package: "podnet-cni-programs", name: "podnet-cni" };
const LIMIT: u64 = 5_000_000;

/// A program as it is released.
#[derive(Debug)]
pub(crate) struct Released {
    pub(crate) path: PathBuf,
    pub(crate) way: Way,
}

/// Builds the CNI program for this machine's processor, as it is released.
pub(crate) fn own_program(workspace: &Workspace) -> Result<Released> {
    let ours = TARGETS.iter().find(|target| target.is_ours());
    let way = ours.context("nothing is released for this processor")?.prepare(workspace)?;
    Ok(Released { path: compile(workspace, &way, SMALL)?, way })
}

/// Builds everything that this machine can build.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target.join("dist");
    remove_if_there(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut files = Vec::new();
    let (ours, foreign): (Vec<_>, Vec<_>) = TARGETS.iter().partition(|target| target.is_ours());
    for target in ours.into_iter().chain(foreign) {
        match target.prepare(workspace) {
            Ok(way) => files.extend(build(workspace, target, &way, &folder)?),
            Err(error) => println!("dist: left out {}: {error:#}", target.architecture),
        }
    }
    ensure!(!files.is_empty(), "nothing could be built");
    write_checksums(&folder, &files)?;
    println!("dist: all of it is in {}", folder.display());
    Ok(())
}

fn remove_if_there(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))
}

/// Builds for one target; the files made, relative to the folder.
fn build(workspace: &Workspace, target: &Target, way: &Way, folder: &Path) -> Result<Vec<PathBuf>> {
    println!("dist: {} by {}", target.architecture, way.triple);
    let mut files = Vec::new();
    for program in [COMMAND, SMALL] {
        let built = compile(workspace, way, program)?;
        files.push(copy(&built, folder, Path::new(target.architecture))?);
    }
    let ours = folder.join(target.architecture);
    check_size(&ours.join(SMALL.name))?;
    if target.is_ours() {
        // Only here the command can be run; the pages are for all, and the Debian packages need them.
        let pages = folder.join("man");
        cargo::succeed(Command::new(ours.join(COMMAND.name)).arg("man").arg(&pages))?;
    }
    files.extend(deb::package(workspace, target, way, folder)?);
    Ok(files)
}

/// Each program by itself: what one needs of a crate must not make the other larger.
fn compile(workspace: &Workspace, way: &Way, program: Program) -> Result<PathBuf> {
    let mut command = way.cargo(&workspace.root, &["build", "--release"]);
    cargo::succeed(command.args(["--package", program.package]))?;
    Ok(workspace.target.join(way.triple).join("release").join(program.name))
}

fn copy(from: &Path, folder: &Path, below: &Path) -> Result<PathBuf> {
    let name = from.file_name().context("a program has a name")?;
    fs::create_dir_all(folder.join(below))?;
    let file = below.join(name);
    let size = fs::copy(from, folder.join(&file))
        .with_context(|| format!("cannot copy {}", from.display()))?;
    println!("dist: {} {}", file.display(), megabytes(size));
    Ok(file)
}

fn check_size(program: &Path) -> Result<()> {
    let size = fs::metadata(program)?.len();
    ensure!(
        size < LIMIT,
        "{} has {}, it may have {}",
        program.display(),
        megabytes(size),
        megabytes(LIMIT)
    );
    Ok(())
}

/// A size as one reads it, in hundredths of a megabyte.
fn megabytes(bytes: u64) -> String {
    let hundredths = bytes.div_ceil(10_000);
    format!("{}.{:02} MB", hundredths / 100, hundredths % 100)
}

/// `SHA256SUMS`, as `sha256sum --check` reads it.
fn write_checksums(folder: &Path, files: &[PathBuf]) -> Result<()> {
    let output = Command::new("sha256sum").args(files).current_dir(folder).output();
    let output = output.context("cannot start sha256sum, part of coreutils")?;
    if !output.status.success() {
        bail!("sha256sum: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let path = folder.join("SHA256SUMS");
    fs::write(&path, output.stdout).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(megabytes(0), "0.00 MB");
        assert_eq!(megabytes(2_345_001), "2.35 MB");
        assert_eq!(megabytes(LIMIT), "5.00 MB");
    }

    #[test]
    fn a_program_that_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(SMALL.name);
        let file = fs::File::create(&program).unwrap();
        check_size(&program).unwrap();
        file.set_len(LIMIT).unwrap();
        assert!(check_size(&program).unwrap_err().to_string().ends_with("it may have 5.00 MB"));
    }

    #[test]
    fn checksums_name_the_files_relative_to_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        write_checksums(folder.path(), &["a".into()]).unwrap();
        let sums = fs::read_to_string(folder.path().join("SHA256SUMS")).unwrap();
        assert!(sums.starts_with("e3b0c442") && sums.ends_with("  a\n"), "{sums}");
        assert!(write_checksums(folder.path(), &["b".into()]).is_err());
    }
}
