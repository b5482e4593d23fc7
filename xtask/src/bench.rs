//! `cargo xtask bench`: podnet beside the Go programs and the bare kernel, in one run.
//!
//! Built for release outside, measured inside namespaces that vanish with the process. Every contender has a host of its
//! own, and they take turns round by round, so that what else the machine does hits all of them.

mod contender;
mod field;
mod in_process;
mod kernel;
mod latency;
mod machine;
mod programs;
mod report;
mod rounds;
mod samples;
mod table;
mod versus;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::dist;
use crate::test::space::Space;
use crate::workspace::Workspace;
use contender::{Column, Contender};
use field::{AT_ONCE, Field};
use machine::{Machine, Ticks};
use programs::Installed;
use report::Report;
use rounds::Plan;

/// This program itself: the contender in its process must be as optimised as the others.
const BUILD: &[&str] = &["build", "--release", "--package", "xtask"];

/// Inside, `/run` is empty and vanishes with the process.
const FOLDER: &str = "/run";

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// How many pods stand at the end of the set-up: at most 1000, since a bridge has 1023 ports
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pods: u32,
    /// How the figures are written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// This process is the one that measures: this program of ours
    #[arg(long, hide = true)]
    inside: Option<PathBuf>,
}

/// What else can be measured.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// Measures podnet-cni beside the Go programs whose place it takes, and says which goals are met.
    Programs(versus::Args),
}

/// How the figures are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A table
    Text,
    /// One JSON object
    Json,
}

impl Output {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Builds and measures, or only measures where this process is inside already.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if let Some(What::Programs(args)) = &args.what {
        return versus::run(workspace, args);
    }
    let Some(program) = &args.inside else { return build_and_enter(workspace, args) };
    let report = measure(Path::new(FOLDER), program, args.pods)?;
    match args.output {
        Output::Text => print!("{}", table::render(&report)),
        Output::Json => println!("{}", serde_json::to_string(&report)?),
    }
    Ok(())
}

fn build_and_enter(workspace: &Workspace, args: &Args) -> Result<()> {
    let space = Space::probe();
    if let Space::Refused(reason) = &space {
        bail!("cannot measure outside of namespaces of our own: {reason}");
    }
    let released = dist::own_program(workspace)?;
    cargo::succeed(&mut cargo::command(&workspace.root, BUILD))?;
    eprintln!("xtask: measuring {}", space.describe());
    let mut command = space.command(workspace.target.join("release/xtask"));
    let pods = args.pods.to_string();
    command.args(["bench", "--pods", &pods, "--output", args.output.name()]);
    command.arg("--inside").arg(programs::install(&released.path, &installed_folder(workspace))?);
    cargo::succeed(command.current_dir(&workspace.root))
}

/// Where the programs of a build are installed that are measured.
fn installed_folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("bench/installed")
}

/// Measures every contender that is here, `program` being ours, with `pods` pods, on hosts below `folder`.
fn measure(folder: &Path, program: &Path, pods: u32) -> Result<Report> {
    let installed =
        [(Column::Go, Installed::go()), (Column::PodnetCni, Installed::podnet(program))];
    eprintln!("bench: making hosts and namespaces for {pods} pods each");
    let fields = Fields::make(folder, pods, &installed)?;
    let begin = Ticks::now()?;
    let measured = fields.in_process.host.run(async || {
        let contenders = fields.contenders(&installed).await?;
        rounds::run(contenders, Plan::new(pods)).await
    })??;
    let machine = Machine::since(begin)?;
    let versions = installed.iter().filter_map(|(column, installed)| {
        Some((*column, installed.as_ref().map(Installed::version)?))
    });
    Report::new(machine, Plan::new(pods), versions.collect(), &measured)
}

/// One host for each contender.
struct Fields {
    programs: Vec<(Column, Field)>,
    in_process: Field,
    kernel: Field,
}

impl Fields {
    fn make(folder: &Path, pods: u32, installed: &[(Column, Option<Installed>)]) -> Result<Self> {
        let field =
            || Field::new_in(folder, pods, AT_ONCE).context("cannot make a host to measure on");
        let present = installed.iter().filter(|(_, installed)| installed.is_some());
        let programs = present.map(|(column, _)| Ok((*column, field()?)));
        Ok(Self {
            programs: programs.collect::<Result<_>>()?,
            in_process: field()?,
            kernel: field()?,
        })
    }

    /// Must be called in the namespace of the host of what runs in this process.
    async fn contenders<'a>(
        &'a self,
        installed: &[(Column, Option<Installed>)],
    ) -> Result<Vec<Contender<'a>>> {
        let mut contenders = Vec::new();
        for (column, field) in &self.programs {
            let found = installed.iter().find(|(other, _)| other == column);
            if let Some((_, Some(installed))) = found {
                contenders.push(Contender::programs(*column, field, installed));
            }
        }
        contenders.push(Contender::in_process(&self.in_process).await?);
        contenders.push(Contender::kernel(&self.kernel).await?);
        Ok(contenders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_programs_measures_the_rest_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let report = measure(folder.path(), &folder.path().join("podnet-cni"), 2).unwrap();
        let table = table::render(&report);
        assert!(table.contains("podnet-cni  not measured: "), "{table}");
        let set_up = report.rows.first().unwrap();
        assert!(set_up.in_process.unwrap() > set_up.kernel.unwrap() / 2.0, "{table}");
        assert_eq!(set_up.podnet_cni, None);
    }
}
