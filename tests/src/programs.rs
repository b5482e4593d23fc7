//! Where the programs are: ours beside the test's own, the peers' where `cargo xtask peers` or their package put them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where `cargo xtask peers` puts the Go programs, below the folder in which cargo builds.
const FETCHED: &str = "peers/usr/lib/cni";
/// Where it writes why it could not.
const NOT_FETCHED: &str = "peers/not-fetched";
/// Where Debian's package `containernetworking-plugins` and a Kubernetes node have the Go programs.
const PEER_FOLDERS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// A program of this workspace, built by `cargo xtask test`.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn own(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own program");
    let built = test.ancestors().skip(2).map(|folder| folder.join(name)).find(|path| path.exists());
    built.unwrap_or_else(|| panic!("{name} is not built: run the tests by `cargo xtask test`"))
}

/// Why `cargo xtask peers` could not fetch the newest Go programs, where it tried and could not: then the release that is
/// installed is all that there is to compare with.
#[must_use]
pub fn not_fetched() -> Option<String> {
    let program = std::env::current_exe().expect("a program knows where it is");
    let mut notes = program.ancestors().skip(1).map(|folder| folder.join(NOT_FETCHED));
    notes.find_map(|note| std::fs::read_to_string(note).ok())
}

/// A Go CNI program that nobody here wrote, the newest that is there. Where it is missing, the test that asked is noted as skipped.
#[must_use]
pub fn peer(name: &str, test: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().expect("a program knows where it is");
    let fetched = program.ancestors().skip(1).map(|folder| folder.join(FETCHED));
    let installed = PEER_FOLDERS.iter().map(PathBuf::from);
    let found = fetched.chain(installed).map(|folder| folder.join(name)).find(|path| path.exists());
    if found.is_none() {
        skip(
            test,
            &format!(
                "the Go program {name} is not installed (package containernetworking-plugins)"
            ),
        );
    }
    found
}

/// As [`peer`], where the test needs what came with release 1.9: only a program that speaks version 1.1.0 of the specification
/// counts. Where the newest could not be fetched, the test says so and is not noted as skipped.
///
/// # Panics
/// When the program cannot be asked for its versions.
#[must_use]
pub fn newest_peer(name: &str, test: &str) -> Option<PathBuf> {
    let program = peer(name, test)?;
    if speaks_newest(&program) {
        return Some(program);
    }
    match not_fetched() {
        // Nothing that this machine lacks: the archive was out of reach.
        Some(reason) => notice(test, &format!("Go 1.9.1 could not be fetched: {reason}")),
        None => skip(test, "the Go programs here are older than 1.9: run `cargo xtask peers`"),
    }
    None
}

fn speaks_newest(program: &Path) -> bool {
    let mut asked = Command::new(program);
    asked.env("CNI_COMMAND", "VERSION").stdin(Stdio::null());
    let output = asked.output().expect("a Go program can be started");
    String::from_utf8_lossy(&output.stdout).contains("\"1.1.0\"")
}

/// Says why a test compared nothing, where that is not this machine's lack.
pub fn notice(test: &str, reason: &str) {
    eprintln!("{test} compared nothing: {reason}");
}

/// Notes for `cargo xtask test` that a test could not run; under `CI=true` that is a failure.
pub fn skip(test: &str, reason: &str) {
    eprintln!("skipped {test}: {reason}");
    let Some(notes) = std::env::var_os("PODNET_SKIPS") else { return };
    let notes = std::fs::OpenOptions::new().append(true).create(true).open(notes);
    let written = notes.and_then(|mut file| writeln!(file, "{test}: {reason}"));
    written.expect("the file for skipped tests can be written");
}
