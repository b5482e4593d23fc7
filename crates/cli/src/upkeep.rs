//! `podnet pods`, `podnet gc` and `podnet doctor`: what kubenet says of its pods and does for them.

use std::collections::BTreeSet;
use std::fmt;
use std::process::ExitCode;

use podnet::kubenet::{Collected, Finding, PodReport};
use podnet::{NodeOptions, Subnet, start_kubenet};
use serde::Serialize;

use crate::arguments::Gc;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::Table;

/// Lists the pods.
pub(crate) async fn pods(options: &NodeOptions, output: Output) -> Result<ExitCode, Failure> {
    let kubenet = start_kubenet(options, Subnet::Optional).await?;
    let pods = kubenet.pods().await.map_err(anyhow::Error::from)?;
    Ok(output.print(&Pods(pods.iter().map(Row::new).collect()))?)
}

/// Removes what belongs to no living pod.
pub(crate) async fn collect(
    options: &NodeOptions,
    arguments: &Gc,
    output: Output,
) -> Result<ExitCode, Failure> {
    let kubenet = start_kubenet(options, Subnet::Optional).await?;
    let keep: BTreeSet<_> = arguments.keep.iter().cloned().collect();
    let keep = (!keep.is_empty()).then_some(&keep);
    let collected = kubenet.collect(keep).await.map_err(anyhow::Error::from)?;
    let failed = !collected.left.is_empty();
    let printed = output.print(&Done::of(&collected))?;
    Ok(if failed { ExitCode::FAILURE } else { printed })
}

/// Says what is wrong.
pub(crate) async fn check(options: &NodeOptions, output: Output) -> Result<ExitCode, Failure> {
    let kubenet = start_kubenet(options, Subnet::Optional).await?;
    let findings = kubenet.findings().await.map_err(anyhow::Error::from)?;
    let failed = !findings.is_empty();
    let printed = output.print(&Findings(findings.iter().map(Wrong::of).collect()))?;
    Ok(if failed { ExitCode::FAILURE } else { printed })
}

#[derive(Debug, Serialize)]
struct Row {
    pod: Option<String>,
    id: String,
    alive: bool,
    ips: Vec<String>,
    interface: Option<String>,
    netns: Option<String>,
    ports: Vec<String>,
    ingress: Option<u64>,
    egress: Option<u64>,
    drift: Vec<String>,
}

impl Row {
    fn new(report: &PodReport) -> Self {
        let port = |it: &podnet::PortMapping| {
            let host = it.host_ip.map(|ip| format!("{ip}:")).unwrap_or_default();
            format!("{host}{}:{}/{}", it.host_port, it.container_port, it.protocol)
        };
        Self {
            pod: report.pod.as_ref().map(|(namespace, name)| format!("{namespace}/{name}")),
            id: report.container_id.clone(),
            alive: report.alive,
            ips: report.ips.iter().map(ToString::to_string).collect(),
            interface: report.host_end.clone(),
            netns: report.netns.as_ref().map(|path| path.display().to_string()),
            ports: report.ports.iter().map(port).collect(),
            ingress: report.limits.ingress,
            egress: report.limits.egress,
            drift: report.drift.clone(),
        }
    }

    fn cells(&self) -> [String; 7] {
        let rate = |name: &str, rate: Option<u64>| rate.map(|it| format!("{name} {it} bit/s"));
        let limits = [rate("in", self.ingress), rate("out", self.egress)];
        let limits: Vec<_> = limits.into_iter().flatten().collect();
        [
            self.pod.clone().unwrap_or_else(|| "?".to_owned()),
            self.id.clone(),
            self.ips.join(" "),
            self.interface.clone().unwrap_or_else(|| "gone".to_owned()),
            self.ports.join(" "),
            limits.join(", "),
            self.drift.join("; "),
        ]
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Pods(Vec<Row>);

impl fmt::Display for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["POD", "ID", "ADDRESSES", "INTERFACE", "PORTS", "LIMITS", "DRIFT"];
        Table::new(heads, self.0.iter().map(Row::cells)).fmt(f)
    }
}

#[derive(Debug, Serialize)]
struct Done<'a> {
    removed: &'a [String],
    mended: &'a [String],
    left: &'a [String],
}

impl<'a> Done<'a> {
    fn of(collected: &'a Collected) -> Self {
        Self { removed: &collected.removed, mended: &collected.mended, left: &collected.left }
    }
}

impl fmt::Display for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = |word: &str, lines: &[String]| -> Vec<String> {
            lines.iter().map(|line| format!("{word} {line}")).collect()
        };
        let all = [
            lines("removed", self.removed),
            lines("mended", self.mended),
            lines("LEFT", self.left),
        ]
        .concat();
        if all.is_empty() {
            return f.write_str("nothing to do");
        }
        f.write_str(&all.join("\n"))
    }
}

#[derive(Debug, Serialize)]
struct Wrong<'a> {
    subject: &'a str,
    problem: &'a str,
    remedy: &'a str,
}

impl<'a> Wrong<'a> {
    fn of(finding: &'a Finding) -> Self {
        let Finding { subject, problem, remedy, .. } = finding;
        Self { subject, problem, remedy }
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Findings<'a>(Vec<Wrong<'a>>);

impl fmt::Display for Findings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing is wrong");
        }
        let line = |it: &Wrong<'_>| format!("{}: {}; {}", it.subject, it.problem, it.remedy);
        f.write_str(&self.0.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}
