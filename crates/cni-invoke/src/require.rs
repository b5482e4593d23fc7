//! Refuses plugins that are too old.

use podnet_cni_spec::{PluginType, PluginVersions};
use semver::Version;

use crate::{Exec, ExecError};

/// Asks a plugin for its versions and accepts it if the highest is `at_least` that version of the
/// specification.
///
/// # Errors
/// As [`accept_versions`]; otherwise whatever [`Exec::versions`] returned.
pub async fn require_version(
    exec: &dyn Exec,
    plugin: &PluginType,
    at_least: &Version,
) -> Result<(), ExecError> {
    accept_versions(plugin, &exec.versions(plugin).await?, at_least)
}

/// Accepts what a plugin said of its versions if the highest is `at_least` that version of the
/// specification: [`require_version`] for a plugin that was asked before.
///
/// # Errors
/// [`ExecError::VersionTooOld`] says what the plugin supports and what is needed.
pub fn accept_versions(
    plugin: &PluginType,
    versions: &PluginVersions,
    at_least: &Version,
) -> Result<(), ExecError> {
    if highest(versions).is_some_and(|version| version >= *at_least) {
        return Ok(());
    }
    Err(ExecError::VersionTooOld {
        plugin: plugin.clone(),
        found: named(versions),
        needed: at_least.clone(),
    })
}

fn highest(versions: &PluginVersions) -> Option<Version> {
    versions.supported.iter().filter_map(|version| parse(version)).max()
}

/// Reads up to three numbers, as the reference implementation does: `1.0` is `1.0.0`.
fn parse(version: &str) -> Option<Version> {
    let padding = match version.split('.').count() {
        1 => ".0.0",
        2 => ".0",
        _ => "",
    };
    Version::parse(&format!("{version}{padding}")).ok()
}

fn named(versions: &PluginVersions) -> String {
    if versions.supported.is_empty() {
        return "no version".to_owned();
    }
    crate::excerpt::beginning(&versions.supported.join(", "), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_counts_whatever_the_order() {
        let cases: [(&[&str], Option<Version>); 5] = [
            (&["0.4.0", "1.10.0", "1.9.0"], Some(Version::new(1, 10, 0))),
            (&["0.1.0"], Some(Version::new(0, 1, 0))),
            (&["1.0"], Some(Version::new(1, 0, 0))),
            (&["latest"], None),
            (&[], None),
        ];
        for (supported, expected) in cases {
            let versions = PluginVersions {
                cni_version: "1.0.0".to_owned(),
                supported: supported.iter().map(ToString::to_string).collect(),
            };
            assert_eq!(highest(&versions), expected, "{supported:?}");
        }
    }
}
