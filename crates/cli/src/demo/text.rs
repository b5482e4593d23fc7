//! The demonstration as a person reads it. Colour only on a terminal, and not with `NO_COLOR`.

use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};

use super::report::{Interface, PodView, Report};
use super::stage::Stage;

const NAME: Style = AnsiColor::Cyan.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = Style::new().dimmed();

/// More pods than this are summed up instead of listed.
const LISTED_PODS: usize = 8;

/// Everything that stands: timings, probes, the tree.
pub(super) fn built(report: &Report) -> io::Result<()> {
    let out = &mut anstream::stdout().lock();
    let topology = &report.topology;
    let pods = topology.pods.len();
    writeln!(out, "kubenet gave {pods} pods their network:")?;
    for pod in topology.pods.iter().take(LISTED_PODS) {
        writeln!(out, "  {NAME}{}{NAME:#} got {} in {:.2} ms", pod.pod, pod.ip, pod.set_up_ms)?;
    }
    summed_up(out, pods)?;
    if pods > 2 {
        let times = &report.set_up;
        writeln!(
            out,
            "  set-up: median {:.2} ms, 99th percentile {:.2} ms",
            times.median_ms, times.p99_ms
        )?;
    }
    writeln!(out, "\nprobes:")?;
    for probe in &report.probes {
        let (what, from, to, ms) = (probe.what, &probe.from, &probe.to, probe.ms);
        writeln!(out, "  {GOOD}ok{GOOD:#} {what}: {from} -> {to} in {ms:.2} ms")?;
    }
    writeln!(out, "\nthe host:")?;
    tree(out, report)
}

fn tree(out: &mut impl io::Write, report: &Report) -> io::Result<()> {
    let topology = &report.topology;
    interface(out, "├──", &topology.uplink, "uplink")?;
    interface(out, "└──", &topology.bridge, "bridge")?;
    let shown: Vec<_> = topology.pods.iter().take(LISTED_PODS).collect();
    let all_shown = shown.len() == topology.pods.len();
    for (place, pod) in shown.iter().enumerate() {
        let is_last = all_shown && place + 1 == shown.len();
        branch(out, if is_last { "└──" } else { "├──" }, pod)?;
    }
    if !all_shown {
        writeln!(out, "    └── {QUIET}{} more ports{QUIET:#}", topology.pods.len() - shown.len())?;
    }
    Ok(())
}

fn interface(
    out: &mut impl io::Write,
    edge: &str,
    interface: &Interface,
    role: &str,
) -> io::Result<()> {
    let addresses = interface.addresses.join(" ");
    let (name, mtu, mac) = (&interface.name, interface.mtu, &interface.mac);
    writeln!(
        out,
        "{edge} {NAME}{name}{NAME:#} {role}, {addresses}, MTU {mtu} {QUIET}{mac}{QUIET:#}"
    )
}

fn branch(out: &mut impl io::Write, edge: &str, pod: &PodView) -> io::Result<()> {
    let (host_end, name, inside) = (&pod.host_end, &pod.pod, &pod.interface);
    writeln!(
        out,
        "    {edge} {host_end} ── {NAME}{name}{NAME:#} {inside}, {}, MTU {} {QUIET}{}{QUIET:#}",
        pod.ip, pod.mtu, pod.mac
    )
}

fn summed_up(out: &mut impl io::Write, pods: usize) -> io::Result<()> {
    match pods.checked_sub(LISTED_PODS) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "  {QUIET}and {more} more{QUIET:#}"),
    }
}

/// How to look around while it stands. The paths lead through this process, whose mounts nobody else sees.
///
/// On stderr: it is no result.
pub(super) fn how_to_enter(stage: &Stage<'_>) -> io::Result<()> {
    let out = &mut anstream::stderr().lock();
    let process = std::process::id();
    // An ordinary user has the right to enter only inside the user namespace that was made.
    let user = match std::fs::read_to_string("/proc/self/uid_map")?.split_whitespace().nth(1) {
        Some("0") => String::new(),
        _ => format!("--user=/proc/{process}/ns/user --preserve-credentials "),
    };
    let enter = |path: &std::path::Path| {
        format!("nsenter {user}--net=/proc/{process}/root{} bash", path.display())
    };
    writeln!(out, "\nit stays up until you press Ctrl-C; enter it from another terminal with")?;
    writeln!(out, "  host: {}", enter(stage.host.netns().path()))?;
    for actor in stage.actors.iter().take(LISTED_PODS) {
        writeln!(out, "  {}: {}", actor.pod, enter(actor.sandbox.path()))?;
    }
    Ok(())
}

/// The tear-down and its proof.
pub(super) fn removed(report: &Report) -> io::Result<()> {
    let out = &mut anstream::stdout().lock();
    let (pods, all) = (report.topology.pods.len(), report.tear_down.all_ms);
    let times = &report.tear_down;
    writeln!(
        out,
        "\ntorn down {pods} pods at once in {all:.1} ms (median {:.1} ms, 99th percentile {:.1} ms)",
        times.median_ms, times.p99_ms
    )?;
    if report.left_behind.is_empty() {
        writeln!(
            out,
            "{GOOD}nothing is left{GOOD:#}: no interface of a pod or for one, no reservation"
        )?;
    } else {
        writeln!(out, "{BAD}left behind{BAD:#}: {}", report.left_behind.join(", "))?;
    }
    writeln!(out, "{QUIET}{:.2} s in all{QUIET:#}", report.seconds)
}
