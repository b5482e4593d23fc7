//! `cargo xtask ci`: every check of a change, one after the other.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::cargo;
use crate::workspace::Workspace;
use crate::{peers, test, tidy};

/// One check: its name, and what runs it.
type Step = (&'static str, fn(&Workspace) -> Result<()>);

const STEPS: &[Step] = &[
    ("format", format),
    ("lints", lints),
    ("documentation", documentation),
    ("tidy", tidy::run),
    ("licences, bans and sources", deny),
];

/// Runs the steps in order; the first that fails ends the run.
pub(crate) fn run(workspace: &Workspace, skip_test: bool) -> Result<()> {
    // Not one of the steps: without the newest Go programs, the tests against them say so.
    peers::run(workspace);
    let last: &[Step] = if skip_test { &[] } else { &[("tests", run_tests)] };
    let steps: Vec<Step> = STEPS.iter().chain(last).copied().collect();
    run_steps(&steps, workspace)
}

fn run_steps(steps: &[Step], workspace: &Workspace) -> Result<()> {
    let mut taken = Vec::new();
    for (name, step) in steps {
        println!("ci: {name}");
        let start = Instant::now();
        let outcome = step(workspace);
        let seconds = start.elapsed().as_secs_f64();
        outcome.with_context(|| format!("{name} failed after {seconds:.1} s"))?;
        taken.push(format!("{name} {seconds:.1} s"));
    }
    println!("ci: all passed: {}", taken.join(", "));
    Ok(())
}

fn format(workspace: &Workspace) -> Result<()> {
    cargo::succeed(&mut cargo::command(&workspace.root, &["fmt", "--all", "--check"]))
}

fn lints(workspace: &Workspace) -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    cargo::succeed(&mut cargo::command(&workspace.root, &arguments))
}

fn documentation(workspace: &Workspace) -> Result<()> {
    let mut command = cargo::command(&workspace.root, &["doc", "--workspace", "--no-deps"]);
    cargo::succeed(command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny(workspace: &Workspace) -> Result<()> {
    println!(
        "ci: advisories are left out, because they come over the network: `cargo deny check advisories`"
    );
    let arguments = ["deny", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
    cargo::succeed(&mut cargo::command(&workspace.root, &arguments))
}

fn run_tests(workspace: &Workspace) -> Result<()> {
    ensure!(test::run(workspace, Vec::new(), &[])?, "see the tests' own output above");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use anyhow::bail;

    use super::*;

    fn workspace() -> Workspace {
        Workspace { root: PathBuf::new(), target: PathBuf::new(), packages: Vec::new() }
    }

    #[test]
    fn the_first_step_that_fails_ends_the_run_and_is_named() {
        let steps: [Step; 3] = [
            ("first", |_| Ok(())),
            ("second", |_| bail!("no")),
            ("third", |_| bail!("never reached")),
        ];
        let error = format!("{:#}", run_steps(&steps, &workspace()).unwrap_err());
        assert!(error.starts_with("second failed after 0.0 s: no"), "{error}");
    }

    #[test]
    fn steps_that_all_pass_are_a_success() {
        let steps: [Step; 2] = [("first", |_| Ok(())), ("second", |_| Ok(()))];
        assert!(run_steps(&steps, &workspace()).is_ok());
    }
}
