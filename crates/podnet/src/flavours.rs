//! The flavours that this build has, as candidates for selection.

use std::sync::Arc;

use podnet_plugin_api::{Candidate, NetworkPlugin};

use crate::options::NodeOptions;

/// Where a flavour that is part of this build was found.
const BUILT_IN: &str = "built in";

/// Every network plugin that a node with these options could use, made but not initialised.
///
/// Touches nothing.
#[must_use]
#[cfg_attr(
    not(any(feature = "cni", feature = "kubenet")),
    expect(unused_variables, reason = "the no-op plugin has no options")
)]
pub fn probe(options: &NodeOptions) -> Vec<Candidate> {
    let plugins: Vec<Arc<dyn NetworkPlugin>> = vec![
        #[cfg(feature = "noop")]
        Arc::new(podnet_noop_plugin::NoopPlugin),
        #[cfg(feature = "cni")]
        cni(options),
        #[cfg(feature = "kubenet")]
        kubenet(options),
    ];
    plugins.into_iter().map(|plugin| Candidate::new(BUILT_IN, plugin)).collect()
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
    use podnet_kubenet::{Kubenet, KubenetOptions};

    let folders = match &options.state_dir {
        Some(dir) => KubenetOptions::new(dir.join("networks"), dir.join("run")),
        None => KubenetOptions::default(),
    };
    Arc::new(Kubenet::new(folders))
}
