//! `podnet demo`: kubenet with pods, in namespaces of its own, shown and removed again.
//!
//! The process first leaves the machine's network and mounts for new ones (and, for an ordinary user, enters a user
//! namespace), so that whatever happens to it nothing of what it made remains.

mod latency;
mod report;
mod stage;
mod text;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use podnet_netutil::netns;
use podnet_testkit::TestHost;

use crate::output::{self, Output};
use report::Report;
use stage::Stage;

/// The address of the demonstration's uplink (TEST-NET-1, RFC 5737), and its MTU, below Ethernet's so that it shows.
const UPLINK_ADDRESS: &str = "192.0.2.10/24";
const UPLINK_MTU: u32 = 1450;

/// Arguments of `podnet demo`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Leave everything up until Ctrl-C and say how to enter it
    #[arg(long)]
    keep: bool,
    /// How many pods to make: from 2, and at most 1000, since a bridge has 1023 ports
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pods: u32,
}

/// Runs the demonstration. Must be called before the process starts a thread.
pub(crate) fn run(args: &Args, output: Output) -> anyhow::Result<ExitCode> {
    netns::isolate_process().context("the demonstration needs namespaces of its own")?;
    let host = TestHost::new_in("/run".as_ref())?;
    let world = host.add_uplink(UPLINK_MTU, UPLINK_ADDRESS.parse()?)?;
    let stage = Stage::new(&host, args.pods)?;
    let report = host.run(async || perform(&stage, args, output).await)??;
    drop(world);
    if output == Output::Json {
        output::write(format!("{}\n", serde_json::to_string(&report)?).as_bytes())?;
    }
    Ok(if report.left_behind.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn perform(stage: &Stage<'_>, args: &Args, output: Output) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let links_before = stage::link_names().await?;
    let plugin = stage.start_kubenet().await?;
    let progress = progress_bar(args.pods, output);
    let set_up = stage.set_up_pods(&plugin, &progress).await?;
    progress.finish_and_clear();
    let probes = stage.probe(&set_up).await?;
    let topology = stage.topology(&set_up).await?;
    let mut report = Report::new(&set_up, topology, probes);
    if output == Output::Text {
        shown(text::built(&report))?;
    }
    if args.keep {
        text::how_to_enter(stage)?;
        stage::wait_for_interrupt().await?;
    }
    report.tear_down = stage.tear_down_pods(&plugin).await?;
    report.left_behind = stage.left_behind(&links_before).await?;
    report.seconds = begun.elapsed().as_secs_f64();
    if output == Output::Text {
        shown(text::removed(&report))?;
    }
    Ok(report)
}

/// That the reader has read enough and is gone is success.
fn shown(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Shown for more than a handful of pods, and only to a person at a terminal.
fn progress_bar(pods: u32, output: Output) -> indicatif::ProgressBar {
    if output == Output::Text && pods > 8 && std::io::stderr().is_terminal() {
        indicatif::ProgressBar::new(u64::from(pods))
    } else {
        indicatif::ProgressBar::hidden()
    }
}
