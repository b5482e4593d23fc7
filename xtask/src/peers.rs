//! `cargo xtask peers`: the newest Go programs that Debian has, fetched into `target/peers` for the tests.
//!
//! apt works in folders of its own there, so that the machine's package lists stay as they are and no root is needed.
//! The archive's address and its keys are those of the machine's own configuration.

mod archive;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo;
use crate::workspace::Workspace;
use archive::Archive;

const PACKAGE: &str = "containernetworking-plugins";
/// Where it is written which version was fetched.
const VERSION: &str = "version";
/// Where it is written why they could not be fetched.
const NOT_FETCHED: &str = "not-fetched";
/// Debian's release with the newest programs.
const RELEASE: &str = "sid";
/// Where the package has its programs, and where the machine's own release has them.
const PROGRAMS: &str = "usr/lib/cni";
const INSTALLED: &str = "/usr/lib/cni";

/// Fetches the programs and says what the tests use. That they cannot be fetched is a notice: what was fetched before,
/// or else what is installed, serves.
pub(crate) fn run(workspace: &Workspace) {
    let folder = workspace.target.join("peers");
    let note = folder.join(NOT_FETCHED);
    match fetch(&folder) {
        Ok(version) => {
            let _ = fs::remove_file(note);
            println!("peers: {PACKAGE} {version} in {}", folder.display());
        }
        Err(error) => {
            // The tests that need the newest release say so, and why.
            if let Err(refused) =
                fs::create_dir_all(&folder).and_then(|()| fs::write(&note, format!("{error:#}")))
            {
                println!("peers: cannot write {}: {refused}", note.display());
            }
            println!("peers: cannot fetch {PACKAGE} of {RELEASE}: {error:#}");
            println!("peers: {}", instead(&folder));
        }
    }
}

/// What the tests use when nothing could be fetched.
fn instead(folder: &Path) -> String {
    if folder.join(PROGRAMS).exists() {
        return format!("the tests use what was fetched before, in {}", folder.display());
    }
    match installed_version() {
        Ok(version) => format!("the tests use the installed release, {version}, in {INSTALLED}"),
        Err(_) => format!("{PACKAGE} is not installed either: tests against it are skipped"),
    }
}

/// The package and version of the programs in a folder, as far as that is known.
pub(crate) fn release(folder: &Path) -> Option<String> {
    let version = match folder.to_str() {
        Some(INSTALLED) => installed_version().ok()?,
        _ => fs::read_to_string(folder.ancestors().nth(3)?.join(VERSION)).ok()?,
    };
    Some(format!("{PACKAGE} {version}"))
}

fn installed_version() -> Result<String> {
    let mut query = Command::new("dpkg-query");
    output_of(query.args(["--show", "--showformat", "${Version}", PACKAGE]))
}

/// Downloads and unpacks the package; returns its version.
fn fetch(folder: &Path) -> Result<String> {
    let apt = Apt::new(folder.join("apt"), &Archive::configured()?)?;
    let fetched = apt.update().and_then(|()| apt.download()).and_then(|package| {
        unpack(&package, folder)?;
        output_of(Command::new("dpkg-deb").arg("--field").arg(&package).arg("Version"))
    });
    // The lists are ten times as large as the programs.
    let removed = fs::remove_dir_all(&apt.folder);
    let version = fetched?;
    removed.with_context(|| format!("cannot remove {}", apt.folder.display()))?;
    let note = folder.join(VERSION);
    fs::write(&note, &version).with_context(|| format!("cannot write {}", note.display()))?;
    Ok(version)
}

/// Replaces what was there only when the new programs are complete.
fn unpack(package: &Path, folder: &Path) -> Result<()> {
    let (new, place) = (folder.join("new"), folder.join("usr"));
    remove_if_there(&new)?;
    output_of(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&new))?;
    ensure!(new.join(PROGRAMS).is_dir(), "the package has no {PROGRAMS}");
    remove_if_there(&place)?;
    fs::rename(new.join("usr"), &place)
        .with_context(|| format!("cannot move the programs to {}", place.display()))?;
    remove_if_there(&new)
}

fn remove_if_there(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// apt with a source list and state of its own.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(folder: PathBuf, archive: &Archive) -> Result<Self> {
        for name in ["state/lists/partial", "cache/archives/partial", "download"] {
            let path = folder.join(name);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        let files = [("source.list", archive.source_line(RELEASE)), ("status", String::new())];
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(Self { folder })
    }

    fn command(&self) -> Command {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let options = [
            format!("Dir::State={}", path("state")),
            format!("Dir::State::status={}", path("status")),
            format!("Dir::Cache={}", path("cache")),
            format!("Dir::Etc::sourcelist={}", path("source.list")),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            // apt's own user may not be able to reach the target folder.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=2".to_owned(),
        ];
        let mut command = Command::new("apt-get");
        command.args(options.iter().flat_map(|option| ["--option", option.as_str()]));
        command.arg("--quiet").current_dir(self.folder.join("download"));
        command
    }

    /// Its lists; an archive that cannot be reached is an error here, where apt only warns.
    fn update(&self) -> Result<()> {
        output_of(self.command().args(["--error-on=any", "update"])).map(drop)
    }

    fn download(&self) -> Result<PathBuf> {
        output_of(self.command().args(["download", PACKAGE]))?;
        let folder = self.folder.join("download");
        let mut files = fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path());
        let package = files.find(|path| path.extension().is_some_and(|kind| kind == "deb"));
        package.with_context(|| format!("apt-get left no package in {}", folder.display()))
    }
}

/// Runs a command; its error is the last line that it wrote to stderr.
fn output_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    ensure!(
        output.status.success(),
        "`{}` ended with {}: {said}",
        cargo::quoted(command),
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_is_told_with_its_last_words() {
        let error =
            output_of(Command::new("sh").args(["-c", "echo one >&2; echo two >&2; exit 4"]));
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with("ended with exit status: 4: two"), "{error}");
    }

    #[test]
    fn what_was_fetched_before_serves_when_nothing_can_be_fetched() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(PROGRAMS)).unwrap();
        let said = instead(folder.path());
        assert!(said.starts_with("the tests use what was fetched before, in "), "{said}");
    }

    #[test]
    fn what_was_fetched_is_known_by_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join(PROGRAMS);
        assert_eq!(release(&programs), None);
        fs::write(folder.path().join(VERSION), "1.9.1+ds1-1").unwrap();
        assert_eq!(release(&programs).unwrap(), "containernetworking-plugins 1.9.1+ds1-1");
    }

    #[test]
    fn apt_works_in_folders_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive { address: "http://archive/debian".into(), keys: None };
        let apt = Apt::new(folder.path().join("apt"), &archive).unwrap();
        let list = fs::read_to_string(apt.folder.join("source.list")).unwrap();
        assert_eq!(list, "deb http://archive/debian sid main\n");
        let said = cargo::quoted(&apt.command());
        assert!(said.contains("Dir::Etc::sourceparts=/dev/null"), "{said}");
    }
}
