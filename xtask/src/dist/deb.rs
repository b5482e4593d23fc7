//! The Debian package: the programs, and a folder with a link for each type of CNI plugin.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use podnet_kubenet::cni_type;

use super::target::Target;
use super::{COMMAND, SMALL, Way, megabytes, remove_if_there};
use crate::cargo;
use crate::workspace::Workspace;

/// What makes packages; of the versions that read our metadata.
const MAKER: &str = "cargo-deb";
const VERSION: &str = "^3";
/// The folder that the package's links are taken from, in the folder in which cargo builds: a copy of the root of a file
/// system, because a link that leads nowhere would not be packed.
const ROOT: &str = "deb-root";
/// Where a package is unpacked to be checked, likewise.
const CHECKED: &str = "deb-checked";
/// Where a node has the links. Not `/usr/lib/cni`, where Debian's `containernetworking-plugins` has programs of the same
/// names, nor `/opt/cni/bin`, because a package of Debian's leaves `/opt` alone; `podnet install` serves both.
const LINKS: &str = "usr/lib/podnet/cni";
/// From there to the program, and where that is.
const TO_PROGRAM: &str = "../../../bin";
const PROGRAMS: &str = "usr/bin";

/// Packs what was built for a target. Where nothing can, that is said, and there is no package.
pub(super) fn package(
    workspace: &Workspace,
    target: &Target,
    way: &Way,
    folder: &Path,
) -> Result<Option<PathBuf>> {
    let maker = match find_maker(workspace) {
        Ok(maker) => maker,
        Err(error) => {
            println!("dist: left out the Debian package: {error:#}");
            return Ok(None);
        }
    };
    let built = workspace.target.join(way.triple).join("release").join(SMALL.name);
    make_links(&workspace.target.join(ROOT), &built)?;
    let name = format!("podnet_{}.deb", target.debian);
    let mut command = Command::new(maker);
    command.args(["deb", "--no-build", "--no-strip", "--target", way.triple]);
    command.args(["--package", COMMAND.package, "--output"]).arg(folder.join(&name));
    cargo::succeed(command.current_dir(&workspace.root))?;
    println!("dist: {name} {}", megabytes(fs::metadata(folder.join(&name))?.len()));
    check(&folder.join(&name), &workspace.target.join(CHECKED), target.is_ours())?;
    Ok(Some(PathBuf::from(name)))
}

/// That every type in the package is the program; one for this machine's processor is started as each of them.
fn check(package: &Path, root: &Path, runs_here: bool) -> Result<()> {
    remove_if_there(root)?;
    let mut unpack = Command::new("dpkg-deb");
    match unpack.arg("--extract").arg(package).arg(root).status() {
        Ok(status) => ensure!(status.success(), "dpkg-deb cannot read {}", package.display()),
        Err(error) => {
            println!("dist: the package is not checked: cannot start dpkg-deb: {error}");
            return Ok(());
        }
    }
    let program = root.join(PROGRAMS).join(SMALL.name).canonicalize();
    let program = program.with_context(|| format!("{} lacks the program", package.display()))?;
    for kind in cni_type::program_types() {
        let link = root.join(LINKS).join(kind);
        let leads_there = link.canonicalize().is_ok_and(|path| path == program);
        ensure!(leads_there, "{kind} of {} is not the program", package.display());
        ensure!(!runs_here || answers(&link)?, "{} does not answer VERSION", link.display());
    }
    Ok(())
}

/// Whether a CNI program says which versions it knows.
fn answers(program: &Path) -> Result<bool> {
    let mut command = Command::new(program);
    let output = command.env_clear().env("CNI_COMMAND", "VERSION").stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    Ok(output.status.success())
}

/// `cargo-deb` where it is installed, or else in the folder in which cargo builds.
fn find_maker(workspace: &Workspace) -> Result<PathBuf> {
    let usual = workspace.root.join("target");
    ensure!(workspace.target == usual, "it is only made where cargo builds in {}", usual.display());
    let starts = |program: &Path| {
        let output = Command::new(program).args(["deb", "--version"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let tools = workspace.target.join("tools");
    let ours = tools.join("bin").join(MAKER);
    if let Some(found) = [PathBuf::from(MAKER), ours.clone()].into_iter().find(|it| starts(it)) {
        return Ok(found);
    }
    println!("dist: building {MAKER}, which makes the Debian packages");
    let mut command = cargo::command(&workspace.root, &["install", MAKER, "--locked"]);
    cargo::succeed(command.args(["--version", VERSION, "--root"]).arg(&tools))?;
    Ok(ours)
}

/// Makes the links below `root`, which is made anew, as they are on a node.
fn make_links(root: &Path, program: &Path) -> Result<()> {
    remove_if_there(root)?;
    let (links, programs) = (root.join(LINKS), root.join(PROGRAMS));
    for folder in [&links, &programs] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::copy(program, programs.join(SMALL.name))
        .with_context(|| format!("cannot copy {}", program.display()))?;
    for kind in cni_type::program_types() {
        symlink(Path::new(TO_PROGRAM).join(SMALL.name), links.join(kind))
            .with_context(|| format!("cannot make a link in {}", links.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn every_type_is_a_link_to_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let (root, program) = (folder.path().join("root"), folder.path().join(SMALL.name));
        fs::write(&program, "the program").unwrap();
        for _ in 0..2 {
            make_links(&root, &program).unwrap();
        }
        for kind in ["loopback", "bridge", "host-local", "portmap", "bandwidth", "kubenet"] {
            let text = fs::read_to_string(root.join(LINKS).join(kind)).unwrap();
            assert_eq!(text, "the program", "{kind}");
        }
    }

    #[test]
    fn a_package_is_refused_that_lacks_a_type() {
        let folder = tempfile::tempdir().unwrap();
        let (root, program) = (folder.path().join("root"), folder.path().join(SMALL.name));
        fs::write(&program, "#!/bin/sh\n[ $CNI_COMMAND = VERSION ] && ! [ -e $0.fails ]\n")
            .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        make_links(&root, &program).unwrap();
        let checked = || {
            fs::create_dir_all(root.join("DEBIAN")).unwrap();
            let control =
                "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: a\n";
            fs::write(root.join("DEBIAN/control"), control).unwrap();
            let package = folder.path().join("a.deb");
            let mut pack = Command::new("dpkg-deb");
            pack.args(["--root-owner-group", "--build"]).arg(&root).arg(&package);
            assert!(pack.stdout(Stdio::null()).status().unwrap().success());
            check(&package, &folder.path().join("checked"), true)
        };
        checked().unwrap();
        fs::write(root.join(LINKS).join("bridge.fails"), "").unwrap();
        let error = checked().unwrap_err().to_string();
        assert!(error.ends_with("cni/bridge does not answer VERSION"), "{error}");
        fs::remove_file(root.join(LINKS).join("kubenet")).unwrap();
        fs::remove_file(root.join(LINKS).join("bridge.fails")).unwrap();
        assert!(checked().unwrap_err().to_string().starts_with("kubenet of "));
    }
}
