//! From a node's options to a plugin that can be used.

use std::sync::Arc;

use podnet_plugin_api::{Event, NetworkPlugin};

use crate::flavours::probe;
use crate::options::NodeOptions;
use crate::registry::SelectionError;
use crate::rules::{OptionsError, Subnet};

/// Why no network plugin could be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The options do not fit together. Nothing was touched.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The plugin that is asked for was not found. Nothing was touched.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// What is asked for is kubenet's alone, and the options choose another plugin.
    #[error(
        "only kubenet keeps its pods itself: add --network-plugin=kubenet; for a network of --cni-conf-dir use `podnet cni`"
    )]
    NotKubenet,
    /// The plugin does not work on this node.
    #[error(transparent)]
    Plugin(#[from] podnet_plugin_api::Error),
}

/// Checks the options, selects the plugin, initialises it and hands it the node's subnet.
///
/// Warnings go to `tracing`. The calling thread must be in the host's network namespace, within a tokio runtime that
/// has I/O and time enabled unless the plugin is the no-op one.
///
/// # Errors
/// [`Error`] says which of the steps ended it.
pub async fn start(options: &NodeOptions, subnet: Subnet) -> Result<Arc<dyn NetworkPlugin>, Error> {
    let plan = options.check(subnet)?;
    plan.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let found = probe(options);
    found.warnings().for_each(|warning| tracing::warn!("{warning}"));
    let selection = found.select(options.network_plugin.as_deref())?;
    selection.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let plugin = selection.chosen.plugin;
    plugin.init(&plan.settings).await?;
    if let Some(cidrs) = plan.pod_cidrs {
        plugin.event(Event::PodCidrChange { cidrs }).await?;
    }
    Ok(plugin)
}

/// As [`start`], for a node whose plugin is kubenet, and returns it as itself: for `podnet pods`, `gc` and `doctor`.
///
/// # Errors
/// As [`start`]; [`Error::NotKubenet`] where the options choose another plugin.
#[cfg(feature = "kubenet")]
pub async fn start_kubenet(
    options: &NodeOptions,
    subnet: Subnet,
) -> Result<podnet_kubenet::Kubenet, Error> {
    use podnet_plugin_api::NetworkPlugin as _;

    if options.network_plugin.as_deref() != Some("kubenet") {
        return Err(Error::NotKubenet);
    }
    let plan = options.check(subnet)?;
    plan.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let kubenet = crate::flavours::kubenet_of(options);
    kubenet.init(&plan.settings).await?;
    if let Some(cidrs) = plan.pod_cidrs {
        kubenet.event(Event::PodCidrChange { cidrs }).await?;
    }
    Ok(kubenet)
}
