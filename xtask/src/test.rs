//! `cargo xtask test`: unit, doc and netns tests, in a network namespace of their own.
//!
//! Building happens outside of it, because a new network namespace reaches no package registry.

mod skips;
pub(crate) mod space;
mod tally;

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result};

use crate::cargo;
use crate::workspace::Workspace;
use skips::{SKIPS_VARIABLE, Skips};
use space::Space;
use tally::Tally;

/// The packages whose tests run the programs of these others.
const RUN_PROGRAMS: &[&str] = &["podnet-tests", "xtask"];
const PROGRAMS: &[&str] = &["podnet-cli", "podnet-cni-programs"];

/// Builds and runs the tests of the packages, all where none is named, and closes with `N passed, N failed`.
/// True if nothing failed.
pub(crate) fn run(workspace: &Workspace, packages: Vec<String>, filter: &[String]) -> Result<bool> {
    let mut skips = Skips::new(&workspace.target)?;
    let space = Space::probe();
    let packages = space.choose(&workspace.packages, packages, &mut skips)?;
    let build = build_arguments(&packages);
    cargo::succeed(&mut cargo::command(&workspace.root, &build))?;
    println!("xtask: running the tests {}", space.describe());
    let mut command = space.command(cargo::program());
    command
        .arg("test")
        .args(selected(&packages))
        .arg("--no-fail-fast")
        .args(filter)
        .current_dir(&workspace.root);
    command.env(SKIPS_VARIABLE, skips.path()).env("CARGO_NET_OFFLINE", "true");
    let (tally, status) = stream(&mut command, &mut io::stdout())?;
    let skipped = skips.collect(&tally)?;
    Ok(close(tally, status, &skipped, is_ci(env::var_os("CI"))))
}

/// Builds the programs too: some tests run them, and `cargo test` alone leaves them out.
fn build_arguments(packages: &[String]) -> Vec<&str> {
    let runs_programs = packages.iter().any(|package| RUN_PROGRAMS.contains(&package.as_str()));
    let programs = PROGRAMS.iter().copied().filter(|_| runs_programs);
    let programs = programs.flat_map(|package| ["--package", package]);
    let selected = selected(packages).into_iter().chain(programs);
    std::iter::once("build").chain(selected).chain(["--all-targets"]).collect()
}

fn selected(packages: &[String]) -> Vec<&str> {
    let chosen = packages.iter().flat_map(|package| ["--package", package]);
    let all = packages.is_empty().then_some("--workspace");
    all.into_iter().chain(chosen).collect()
}

/// Runs the command, passes its output on as it comes and counts along.
fn stream(command: &mut Command, out: &mut impl Write) -> Result<(Tally, ExitStatus)> {
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("cannot start {}", cargo::quoted(command)))?;
    let tally = follow(&mut child, out)?;
    let status =
        child.wait().with_context(|| format!("cannot wait for {}", cargo::quoted(command)))?;
    Ok((tally, status))
}

fn follow(child: &mut Child, out: &mut impl Write) -> Result<Tally> {
    let mut tally = Tally::default();
    let Some(stdout) = child.stdout.take() else {
        return Ok(tally);
    };
    let (mut reader, mut line) = (BufReader::new(stdout), Vec::new());
    while reader.read_until(b'\n', &mut line).context("cannot read what the tests print")? > 0 {
        out.write_all(&line)?;
        tally.count(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(tally)
}

/// Prints the skips and, last, the sum; true if the run counts as passed.
fn close(tally: Tally, status: ExitStatus, skipped: &[String], ci: bool) -> bool {
    let tally = tally.settle(status.success());
    for skip in skipped {
        println!("skipped: {skip}");
    }
    let refused = ci && !skipped.is_empty();
    if refused {
        println!("xtask: under CI=true a skip is a failure");
    }
    if !status.success() {
        println!("xtask: cargo test ended with {status}");
    }
    println!("{tally}");
    status.success() && !refused
}

fn is_ci(variable: Option<std::ffi::OsString>) -> bool {
    variable.is_some_and(|value| value == "true" || value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(script: &str) -> (Tally, ExitStatus) {
        stream(Command::new("sh").args(["-c", script]), &mut io::sink()).unwrap()
    }

    const PASSED: &str =
        "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";

    #[test]
    fn without_a_package_all_are_tested() {
        assert_eq!(selected(&[]), ["--workspace"]);
        assert_eq!(selected(&["a".into(), "b".into()]), ["--package", "a", "--package", "b"]);
    }

    #[test]
    fn the_programs_are_built_for_the_tests_that_run_them() {
        let build = |packages: &[String]| build_arguments(packages).join(" ");
        assert_eq!(build(&[]), "build --workspace --all-targets");
        assert_eq!(build(&["a".into()]), "build --package a --all-targets");
        let programs = "--package podnet-cli --package podnet-cni-programs --all-targets";
        for package in RUN_PROGRAMS {
            let line = build(&[(*package).to_owned()]);
            assert_eq!(line, format!("build --package {package} {programs}"));
        }
    }

    #[test]
    fn results_are_counted_while_they_stream_through() {
        let script = format!("echo '{PASSED}'; printf '\\377\\n{PASSED}'; exit 101");
        let mut shown = Vec::new();
        let (tally, status) = stream(Command::new("sh").args(["-c", &script]), &mut shown).unwrap();
        assert_eq!(shown, [PASSED.as_bytes(), b"\n\xff\n", PASSED.as_bytes()].concat());
        assert_eq!(tally.to_string(), "6 passed, 0 failed");
        assert_eq!(status.code(), Some(101));
    }

    #[test]
    fn failures_fail_and_under_ci_skips_do_too() {
        let skips = ["a: no program b".to_owned()];
        let cases: [(&str, &[String], bool, bool); 4] = [
            ("true", &[], true, true),
            ("true", &skips, false, true),
            ("true", &skips, true, false),
            ("false", &[], false, false),
        ];
        for (script, skipped, ci, expected) in cases {
            let (tally, status) = output(script);
            assert_eq!(close(tally, status, skipped, ci), expected, "{script} {ci}");
        }
    }

    #[test]
    fn ci_is_a_variable_that_says_true() {
        assert!(is_ci(Some("true".into())) && is_ci(Some("1".into())));
        assert!(!is_ci(None) && !is_ci(Some("false".into())));
    }
}
