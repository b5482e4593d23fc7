//! `cargo xtask bench programs`: `podnet-cni` beside the Go programs whose place it takes, in one run, with the goals.
//!
//! What is released is measured: the program that `cargo xtask dist` builds. A call is timed from its start to its end on
//! a thread that is in the host's namespace already; nothing of the harness is between but a pipe for each direction.

mod call;
mod chain;
mod empty;
mod figures;
mod goal;
mod lane;
mod peak;
mod programs;
mod rounds;
mod setting;
mod stage;
mod table;
mod who;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::Serialize;

use super::machine::{Machine, Ticks};
use super::programs::{Installed, install};
use super::{Output, installed_folder};
use crate::cargo;
use crate::dist;
use crate::test::space::Space;
use crate::workspace::Workspace;
use figures::Row;
use programs::Programs;
use setting::Setting;

/// Arguments of `cargo xtask bench programs`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many pods stand on each host at the end of the set-up
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=900))]
    pods: u32,
    /// Give each pod an address of both families
    #[arg(long)]
    dual_stack: bool,
    /// Leave `ipMasq` out of the bridge's configuration; kubenet masquerades all the same
    #[arg(long)]
    no_masquerade: bool,
    /// How the figures are written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// This process is the one that measures: this program of ours
    #[arg(long, hide = true, requires = "empty")]
    inside: Option<PathBuf>,
    /// and this one, which does nothing
    #[arg(long, hide = true)]
    empty: Option<PathBuf>,
}

/// A whole run; the JSON output is this.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    /// Pods that stood on each host once it was full.
    pods: u32,
    /// Calls under way in the rounds that have several at once.
    at_once: u32,
    /// Whether pods had an address of both families.
    dual_stack: bool,
    /// Whether the bridges were told to masquerade.
    masquerade: bool,
    /// The Go programs and their version, or that there are none.
    go: String,
    /// Ours.
    podnet_cni: String,
    rows: Vec<Row>,
}

/// Builds and measures, or only measures where this process is inside already.
pub(super) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let (Some(program), Some(empty)) = (&args.inside, &args.empty) else {
        return build_and_enter(workspace, args);
    };
    let (dual_stack, masquerade) = (args.dual_stack, !args.no_masquerade);
    let setting = Setting { dual_stack, masquerade, ..Setting::new(args.pods) };
    let podnet = Installed::MultiCall(program.clone());
    let programs = Programs { go: Installed::go(), podnet, empty: empty.clone() };
    let report = measure(Path::new(super::FOLDER), &programs, setting)?;
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
    let empty = empty::build(&released.way, &workspace.target.join("bench"))?;
    eprintln!("xtask: measuring {}", space.describe());
    let mut command = space.command(std::env::current_exe()?);
    command.args(["bench", "programs", "--output", args.output.name()]);
    command.args(["--pods", &args.pods.to_string()]);
    let [program, empty] =
        [released.path, empty].map(|built| install(&built, &installed_folder(workspace)));
    command.arg("--inside").arg(program?).arg("--empty").arg(empty?);
    let options = [(args.dual_stack, "--dual-stack"), (args.no_masquerade, "--no-masquerade")];
    command.args(options.iter().filter(|(wanted, _)| *wanted).map(|(_, option)| option));
    cargo::succeed(command.current_dir(&workspace.root))
}

fn measure(folder: &Path, programs: &Programs, setting: Setting) -> Result<Report> {
    let begin = Ticks::now()?;
    let measured = rounds::run(folder, programs, setting)?;
    let absent = "not measured: package containernetworking-plugins is not installed";
    let go = programs.go.as_ref().map(Installed::version).transpose()?;
    Ok(Report {
        machine: Machine::since(begin)?,
        pods: setting.pods,
        at_once: setting::AT_ONCE,
        dual_stack: setting.dual_stack,
        masquerade: setting.masquerade,
        go: go.unwrap_or_else(|| absent.to_owned()),
        podnet_cni: programs.podnet.version()?,
        rows: figures::rows(&measured),
    })
}

#[cfg(test)]
mod tests {
    use podnet_tests::programs::own;

    use super::*;

    fn ours(program: PathBuf) -> Programs {
        Programs { go: None, podnet: Installed::MultiCall(program), empty: "/bin/echo".into() }
    }

    #[test]
    fn a_run_proves_the_work_and_has_every_figure() {
        let folder = tempfile::tempdir().unwrap();
        let setting = Setting { dual_stack: true, rounds: 1, starts: 2, ..Setting::new(2) };
        let report = measure(folder.path(), &ours(own("podnet-cni")), setting).unwrap();
        for row in &report.rows {
            let ours = [row.podnet_cni, row.kubenet];
            assert!(ours.iter().flatten().all(|figure| *figure > 0.0), "{row:?}");
            let bridge = row.operation.contains("loopback + bridge");
            assert_eq!((ours[0].is_some(), ours[1].is_some()), (true, !bridge), "{row:?}");
        }
        let text = table::render(&report);
        assert!(text.contains(", IPv4 and IPv6, with ipMasq; "), "{text}");
        assert!(text.contains("\nGo          not measured: package"), "{text}");
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "hosts are left");
    }

    #[test]
    fn a_program_that_fails_ends_the_run_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = measure(folder.path(), &ours("/bin/false".into()), Setting::new(1));
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("/bin/false"), "{error}");
    }
}
