//! The flavours that this build has, and the plugins of each on this node.

use std::fmt;
use std::sync::Arc;

use podnet_plugin_api::NetworkPlugin;

use crate::options::NodeOptions;
use crate::registry::{FoundPlugin, Registry};

/// A kind of network plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flavour {
    /// Leaves pods to the runtime.
    Noop,
    /// Runs the CNI plugins of a network configuration.
    Cni,
    /// Connects pods to the bridge `cbr0`.
    Kubenet,
    /// A program that is called for each pod.
    Exec,
}

impl Flavour {
    /// The flavour as people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Noop => "no-op",
            Self::Cni => "cni",
            Self::Kubenet => "kubenet",
            Self::Exec => "exec",
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Every network plugin that a node with these options could use, made but not initialised.
///
/// Looks into the folder of exec plugins, and changes and executes nothing.
#[must_use]
pub fn probe(options: &NodeOptions) -> Registry {
    #[cfg_attr(not(feature = "exec"), expect(unused_mut, reason = "only exec adds to it"))]
    let mut registry = Registry::new(built_in(options));
    #[cfg(feature = "exec")]
    registry.add_exec(&options.network_plugin_dir);
    registry
}

#[cfg_attr(
    not(any(feature = "cni", feature = "kubenet")),
    expect(unused_variables, reason = "the no-op plugin has no options")
)]
fn built_in(options: &NodeOptions) -> Vec<FoundPlugin> {
    let plugins: Vec<(Flavour, Arc<dyn NetworkPlugin>)> = vec![
        #[cfg(feature = "noop")]
        (Flavour::Noop, Arc::new(podnet_noop_plugin::NoopPlugin)),
        #[cfg(feature = "cni")]
        (Flavour::Cni, cni(options)),
        #[cfg(feature = "kubenet")]
        (Flavour::Kubenet, kubenet(options)),
    ];
    plugins.into_iter().map(|(flavour, plugin)| FoundPlugin::built_in(flavour, plugin)).collect()
}

#[cfg(feature = "cni")]
fn cni(options: &NodeOptions) -> Arc<dyn NetworkPlugin> {
    use podnet_cni_invoke::{ProcessExec, SearchPath};
    use podnet_cni_plugin::{CniOptions, CniPlugin};
    use podnet_standard_plugins::ChosenExec;

    let folders = options.cni_bin_dir.iter().map(ToOwned::to_owned).collect();
    let mut cni = CniOptions::new(&options.cni_conf_dir, SearchPath::new(folders));
    if let Some(dir) = &options.state_dir {
        cni.cache_dir.clone_from(dir);
        cni.runtime_dir = dir.join("run");
    }
    let programs = ProcessExec::new(cni.bin_dirs.clone());
    let exec = ChosenExec::new(options.cni_plugins, programs, &cni.runtime_dir);
    Arc::new(CniPlugin::new(cni, Arc::new(exec)))
}

#[cfg(feature = "kubenet")]
fn kubenet(options: &NodeOptions) -> Arc<dyn NetworkPlugin> {
    Arc::new(kubenet_of(options))
}

/// Kubenet by itself, not yet initialised: for what it alone can say of its pods and do for them.
#[cfg(feature = "kubenet")]
#[must_use]
pub fn kubenet_of(options: &NodeOptions) -> podnet_kubenet::Kubenet {
    use podnet_kubenet::{Kubenet, KubenetOptions};

    let folders = match &options.state_dir {
        Some(dir) => KubenetOptions::new(dir.join("networks"), dir.join("run")),
        None => KubenetOptions::default(),
    };
    let folders_of_programs = options.cni_bin_dir.iter().map(ToOwned::to_owned);
    let bin_dirs = folders_of_programs.chain([options.network_plugin_dir.clone()]).collect();
    Kubenet::new(folders.with_plugins(options.cni_plugins, bin_dirs))
}
