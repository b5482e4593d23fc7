//! `podnet setup` and `podnet teardown`.

use std::fmt;
use std::process::ExitCode;

use podnet::{NodeOptions, PodNetworkStatus, PodSandbox, Subnet};
use serde::Serialize;

use crate::arguments::{PodName, Setup, Teardown};
use crate::failure::Failure;
use crate::output::Output;

/// Sets a pod up and prints its addresses.
pub(crate) async fn set_up(
    options: &NodeOptions,
    arguments: &Setup,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut pod = sandbox(&arguments.pod, &arguments.id)?.with_netns(&arguments.netns);
    pod.annotations.extend(arguments.annotations.iter().cloned());
    pod.port_mappings.clone_from(&arguments.ports);
    let plugin = podnet::start(options, Subnet::Required).await?;
    let status = plugin.set_up_pod(&pod).await?;
    Ok(output.print(&Addresses { pod: &pod, status })?)
}

/// Tears a pod down; prints nothing.
pub(crate) async fn tear_down(
    options: &NodeOptions,
    arguments: &Teardown,
) -> Result<ExitCode, Failure> {
    let mut pod = sandbox(&arguments.pod, &arguments.id)?;
    pod.netns.clone_from(&arguments.netns);
    let plugin = podnet::start(options, Subnet::Optional).await?;
    plugin.tear_down_pod(&pod).await?;
    tracing::info!(%pod, "torn down");
    Ok(ExitCode::SUCCESS)
}

/// A pod as named on the command line.
pub(crate) fn sandbox(pod: &PodName, id: &str) -> Result<PodSandbox, Failure> {
    PodSandbox::new(&*pod.namespace, &*pod.name, id).map_err(Failure::usage)
}

/// What a plugin says of a pod's addresses.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Addresses<'a> {
    #[serde(skip)]
    pub(crate) pod: &'a PodSandbox,
    pub(crate) status: Option<PodNetworkStatus>,
}

impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.pod)?;
        match &self.status {
            Some(status) => status.ips().iter().try_for_each(|ip| write!(f, " {ip}")),
            None => f.write_str(" the network plugin knows no address"),
        }
    }
}
