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
    not(feature = "kubenet"),
    expect(unused_variables, reason = "of the flavours only kubenet has options")
)]
pub fn probe(options: &NodeOptions) -> Vec<Candidate> {
    let plugins: Vec<Arc<dyn NetworkPlugin>> = vec![
        #[cfg(feature = "noop")]
        Arc::new(podnet_noop_plugin::NoopPlugin),
        #[cfg(feature = "kubenet")]
        kubenet(options),
    ];
    plugins.into_iter().map(|plugin| Candidate::new(BUILT_IN, plugin)).collect()
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
