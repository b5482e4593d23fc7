//! The configuration on standard input, and whether the call may be made with it.

use std::io::Read;

use podnet_cni_spec::{CniError, ErrorCode, MAX_CONFIG_BYTES, PluginConfig, SpecVersion, Verb};

use crate::plugin::Plugin;

/// Reads a configuration, at most one byte more of it than may be.
pub(crate) fn read_config(stdin: impl Read) -> Result<PluginConfig, CniError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_CONFIG_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    if let Err(error) = stdin.take(limit).read_to_end(&mut bytes) {
        let msg = format!("cannot read the network configuration from standard input: {error}");
        return Err(CniError::new(ErrorCode::IO_FAILURE, msg));
    }
    PluginConfig::from_json(&bytes)
}

/// Refuses a version that the plugin does not speak, or that does not have the verb.
pub(crate) fn check_version(
    plugin: &Plugin,
    verb: Verb,
    version: SpecVersion,
) -> Result<(), CniError> {
    let refused = |msg: String| CniError::new(ErrorCode::INCOMPATIBLE_VERSION, msg);
    if !plugin.versions.contains(&version) {
        let spoken = plugin.spoken_versions();
        let details = format!("config is \"{version}\", plugin {} supports {spoken}", plugin.name);
        return Err(refused("incompatible CNI versions".to_owned()).with_details(details));
    }
    if version < verb.since() {
        let details = format!("config is \"{version}\", {verb} came with {}", verb.since());
        return Err(refused(format!("config version does not allow {verb}")).with_details(details));
    }
    Ok(())
}
