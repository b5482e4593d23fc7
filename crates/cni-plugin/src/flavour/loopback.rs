//! The attachment of every pod's `lo`, as the kubelet has it.

use std::fmt::Display;

use podnet_cni_invoke::accept_versions;
use podnet_cni_spec::{CniError, InterfaceName, InvalidName, NetworkConfigList, PluginType};
use podnet_plugin_api::{NotReady, NotReadyReason};
use semver::Version;

use crate::cache::CachedAttachment;
use crate::programs::Programs;

/// Its network's name in the result cache.
const NETWORK: &str = "cni-loopback";
const PLUGIN: &str = "loopback";
const OLDEST: Version = Version::new(0, 2, 0);

pub(super) fn list() -> Result<NetworkConfigList, CniError> {
    let list = format!(
        r#"{{"cniVersion": "0.2.0", "name": "{NETWORK}", "plugins": [{{"type": "{PLUGIN}"}}]}}"#
    );
    NetworkConfigList::from_json(list.as_bytes())
}

pub(super) fn interface() -> Result<InterfaceName, InvalidName> {
    InterfaceName::new("lo")
}

/// Whether this is the attachment of an `lo`. The kubelet caches it under the name of the pod's other interface.
pub(super) fn is_it(cached: &CachedAttachment) -> bool {
    cached.network.as_str() == NETWORK
}

/// Whether the plugin is there and speaks CNI 0.2.0 or newer.
pub(super) async fn require(programs: &Programs) -> Result<(), NotReady> {
    let plugin = PluginType::new(PLUGIN).map_err(missing)?;
    let spoken = programs.versions(&plugin).await.map_err(missing)?;
    accept_versions(&plugin, &spoken, &OLDEST).map_err(missing)
}

fn missing(error: impl Display) -> NotReady {
    NotReady::new(NotReadyReason::PluginsMissing, error.to_string())
}
