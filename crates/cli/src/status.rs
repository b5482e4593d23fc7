//! `podnet status`.

use std::fmt;
use std::process::ExitCode;

use podnet::{NodeOptions, NotReady, Subnet};
use serde::Serialize;

use crate::arguments::Status;
use crate::failure::Failure;
use crate::output::Output;
use crate::pod::{Addresses, sandbox};

/// What a command exits with when the plugin, or a CNI network, is not ready.
pub(crate) const NOT_READY: u8 = 3;

/// Prints a pod's addresses, or whether the plugin is ready.
pub(crate) async fn show(
    options: &NodeOptions,
    arguments: &Status,
    output: Output,
) -> Result<ExitCode, Failure> {
    let pod = match (&arguments.pod, &arguments.id) {
        (Some(name), Some(id)) => Some(sandbox(name, id)?),
        _ => None,
    };
    let plugin = podnet::start(options, Subnet::Optional).await?;
    match pod {
        Some(mut pod) => {
            pod.netns.clone_from(&arguments.netns);
            let status = plugin.pod_network_status(&pod).await?;
            Ok(output.print(&Addresses { pod: &pod, status })?)
        }
        None => report(plugin.name().as_str(), plugin.status().await, output),
    }
}

fn report(plugin: &str, status: Result<(), NotReady>, output: Output) -> Result<ExitCode, Failure> {
    let not_ready = status.err();
    let printed =
        output.print(&Readiness { plugin, ready: not_ready.is_none(), not_ready: &not_ready })?;
    Ok(if not_ready.is_some() { ExitCode::from(NOT_READY) } else { printed })
}

/// Whether a plugin can set up pods.
#[derive(Debug, Serialize)]
struct Readiness<'a> {
    plugin: &'a str,
    ready: bool,
    #[serde(flatten)]
    not_ready: &'a Option<NotReady>,
}

impl fmt::Display for Readiness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.not_ready {
            Some(reason) => write!(f, "{}: not ready: {reason}", self.plugin),
            None => write!(f, "{}: ready", self.plugin),
        }
    }
}
