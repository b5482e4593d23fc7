//! `cargo xtask`: the workspace's own tasks. Without an argument it explains itself.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is this program's job")]

mod bench;
mod cargo;
mod ci;
mod dist;
mod peers;
mod public_api;
mod source;
mod test;
mod tidy;
mod violation;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

use crate::workspace::Workspace;

/// The workspace's own tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs unit, doc and netns tests.
    ///
    /// They run in network and mount namespaces of their own, so that the machine's network is never touched; for an
    /// ordinary user in a user namespace. What is skipped is said; under CI=true a skip is a failure.
    Test {
        /// Only this package's tests; may be repeated.
        #[arg(short, long)]
        package: Vec<String>,
        /// Handed to `cargo test` behind `--`: a part of the tests' names, or its options.
        #[arg(last = true)]
        filter: Vec<String>,
    },
    /// Measures podnet beside the Go programs and the bare kernel, in one run.
    ///
    /// It builds for release, then measures in network and mount namespaces of its own; docs/benchmarks.md says what
    /// each row means.
    Bench(bench::Args),
    /// Runs every check of a change in turn: format, lints, documentation, tidy, licences, tests.
    ///
    /// Stops at the first that fails and says how long each took.
    Ci {
        /// All checks but the tests.
        #[arg(long)]
        skip_test: bool,
    },
    /// Fetches the newest Go CNI programs that Debian has into target/peers, for the tests.
    ///
    /// By apt, with a source list of its own. Where that fails it says so, and the installed release serves.
    Peers,
    /// Builds what is released: the programs as static files, Debian packages and checksums, in target/dist.
    Dist,
    /// Checks the rules of docs/architecture.md and CONTRIBUTING.md that a machine can check.
    Tidy,
    /// Compares the public API of every library crate with xtask/public-api.
    PublicApi {
        /// Writes the present API there instead.
        #[arg(long)]
        bless: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Option<Task>) -> Result<ExitCode> {
    let Some(task) = task else {
        Arguments::command().print_help()?;
        return Ok(ExitCode::SUCCESS);
    };
    let workspace = Workspace::open()?;
    match task {
        Task::Test { package, filter } => {
            let passed = test::run(&workspace, package, &filter)?;
            return Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Task::Bench(args) => bench::run(&workspace, &args)?,
        Task::Ci { skip_test } => ci::run(&workspace, skip_test)?,
        Task::Peers => peers::run(&workspace),
        Task::Dist => dist::run(&workspace)?,
        Task::Tidy => tidy::run(&workspace)?,
        Task::PublicApi { bless: true } => public_api::bless(&workspace)?,
        Task::PublicApi { bless: false } => {
            violation::report("public API", &public_api::check(&workspace))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
