//! `podnet install`: puts the CNI programs where container runtimes look for them.
//!
//! One file is all of the programs, by the name under which it is called. Each name appears complete or not at all, so
//! that a runtime which calls it meanwhile gets the old program or the new one.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use podnet::kubenet::cni_type::program_types;
use serde::Serialize;

use crate::output::Output;

/// The program that is all of them.
const PROGRAM: &str = "podnet-cni";
/// What it says of itself in every version, by which it is told from the programs of others.
const MARK: &[u8] = b" plugin of podnet ";
/// How the names of files begin that are not in place yet.
const UNFINISHED: &str = ".podnet-install-";

/// Arguments of `podnet install`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder in which container runtimes look for CNI programs; made where it is missing
    #[arg(long, value_name = "DIR")]
    bin_dir: PathBuf,

    /// Replace programs of others that have one of these names
    #[arg(long)]
    force: bool,

    /// The program to install, where it is not beside this one
    #[arg(long, value_name = "PATH")]
    from: Option<PathBuf>,
}

/// What was put in place.
#[derive(Debug, Serialize)]
struct Installed {
    program: PathBuf,
    names: Vec<&'static str>,
    links: Links,
}

/// What the names are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Links {
    Hard,
    Symbolic,
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let links = if self.links == Links::Hard { "hard links" } else { "symbolic links" };
        let names = self.names.join(", ");
        write!(f, "installed {} and {links} to it: {names}", self.program.display())
    }
}

/// Installs the programs and prints which.
pub(crate) fn run(arguments: &Args, output: Output) -> Result<ExitCode> {
    let from = match &arguments.from {
        Some(path) => path.clone(),
        None => beside_this_program()?,
    };
    let installed = install(&from, &arguments.bin_dir, arguments.force)?;
    output.print(&installed)
}

fn beside_this_program() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell where this program is; say --from")?;
    Ok(this.with_file_name(PROGRAM))
}

/// Everything is checked before anything is touched.
fn install(from: &Path, dir: &Path, force: bool) -> Result<Installed> {
    let bytes = fs::read(from).with_context(|| {
        format!("cannot read {}; say with --from where {PROGRAM} is", from.display())
    })?;
    ensure!(has_mark(&bytes), "{} is not {PROGRAM}", from.display());
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if !force {
        refuse_foreign(dir)?;
    }
    let program = dir.join(PROGRAM);
    place(&program, |path| write_program(path, &bytes))?;
    let mut links = Links::Hard;
    for name in program_types() {
        place(&dir.join(name), |path| {
            if fs::hard_link(&program, path).is_ok() {
                return Ok(());
            }
            links = Links::Symbolic;
            symlink(PROGRAM, path)
        })?;
    }
    File::open(dir)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("cannot write {} to the disk", dir.display()))?;
    Ok(Installed { program, names: program_types().collect(), links })
}

/// Names all that are in the way.
fn refuse_foreign(dir: &Path) -> Result<()> {
    let mut foreign = Vec::new();
    for name in program_types().chain([PROGRAM]) {
        let path = dir.join(name);
        if fs::symlink_metadata(&path).is_ok() && !is_ours(&path)? {
            foreign.push(name);
        }
    }
    ensure!(
        foreign.is_empty(),
        "{} has programs of others: {}; --force replaces them",
        dir.display(),
        foreign.join(", ")
    );
    Ok(())
}

/// A link that leads nowhere is somebody else's.
fn is_ours(path: &Path) -> Result<bool> {
    match fs::read(path) {
        Ok(bytes) => Ok(has_mark(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn has_mark(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

/// Makes a file under a name of its own, then gives it the one at which others look.
fn place(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = path.with_file_name(format!("{UNFINISHED}{name}-{}", std::process::id()));
    let done = make(&unfinished).and_then(|()| fs::rename(&unfinished, path));
    // Also where a rename did nothing, because both names are of one file already.
    let _ = fs::remove_file(&unfinished);
    done.with_context(|| format!("cannot install {}", path.display()))
}

fn write_program(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))?;
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// A folder with a program of ours, and the folder to install into.
    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("new");
        fs::write(&from, "...CNI x plugin of podnet 1.2.3...").unwrap();
        let dir = folder.path().join("opt/cni/bin");
        (folder, from, dir)
    }

    #[test]
    fn every_name_is_the_one_program() {
        let (_folder, from, dir) = folders();
        let installed = install(&from, &dir, false).unwrap();
        assert_eq!(installed.links, Links::Hard);
        let program = fs::metadata(dir.join(PROGRAM)).unwrap();
        assert_eq!(program.mode() & 0o7777, 0o755);
        for name in program_types() {
            assert_eq!(fs::metadata(dir.join(name)).unwrap().ino(), program.ino());
        }
        assert_eq!(fs::read_dir(&dir).unwrap().count(), program_types().count() + 1);
        assert!(dir.join("kubenet").exists());
    }

    #[test]
    fn an_earlier_installation_is_replaced() {
        let (_folder, from, dir) = folders();
        install(&from, &dir, false).unwrap();
        fs::write(&from, "CNI x plugin of podnet 1.2.4").unwrap();
        install(&from, &dir, false).unwrap();
        let bridge = fs::read_to_string(dir.join("bridge")).unwrap();
        assert_eq!(bridge, "CNI x plugin of podnet 1.2.4");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), program_types().count() + 1);
    }

    #[test]
    fn programs_of_others_stay_unless_forced() {
        let (_folder, from, dir) = folders();
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("bridge"), "a Go program").unwrap();
        symlink("/nowhere", dir.join("loopback")).unwrap();
        let error = install(&from, &dir, false).unwrap_err().to_string();
        assert!(error.ends_with("of others: loopback, bridge; --force replaces them"), "{error}");
        assert_eq!(fs::read_to_string(dir.join("bridge")).unwrap(), "a Go program");
        assert!(!dir.join(PROGRAM).exists());
        install(&from, &dir, true).unwrap();
        assert!(is_ours(&dir.join("bridge")).unwrap() && is_ours(&dir.join("loopback")).unwrap());
    }

    #[test]
    fn what_is_not_the_program_is_not_installed() {
        let (folder, _, dir) = folders();
        let other = folder.path().join("other");
        fs::write(&other, "#!/bin/sh\n").unwrap();
        assert!(
            install(&other, &dir, true).unwrap_err().to_string().ends_with("is not podnet-cni")
        );
        let error = install(&folder.path().join("none"), &dir, true).unwrap_err().to_string();
        assert!(error.contains("say with --from"), "{error}");
        assert!(!dir.exists());
    }
}
