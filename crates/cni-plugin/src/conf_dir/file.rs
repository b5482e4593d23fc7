//! One configuration file, as a network with all its plugins, checked.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use podnet_cni_spec::{CniError, NetworkConfigList, PluginConfig};
use serde::Deserialize;

use super::SkipReason;
use super::listing::{self, has_ending};
use super::read::read;
use super::stamp::Seen;

const LIST_ENDING: &str = ".conflist";
/// The ending of the files in a network's own folder. Lists have no place there, nor has `.json`.
const PLUGIN_ENDING: &str = ".conf";

/// Loads a file of the configuration folder; its name says what it holds.
pub(super) fn load(file: &Path, seen: &mut Seen) -> Result<NetworkConfigList, SkipReason> {
    seen.file(file);
    let bytes = read(file)?;
    if has_ending(file.as_os_str(), &[LIST_ENDING]) {
        return list(file, &bytes, seen);
    }
    let plugin = PluginConfig::from_json(&bytes).map_err(SkipReason::Invalid)?;
    if is_list(&plugin) { Err(SkipReason::ListInSingle) } else { single(plugin) }
}

/// Loads a file of any name; its content says what it holds.
pub(super) fn load_any(file: &Path) -> Result<NetworkConfigList, SkipReason> {
    let bytes = read(file)?;
    let plugin = PluginConfig::from_json(&bytes).map_err(SkipReason::Invalid)?;
    if has_ending(file.as_os_str(), &[LIST_ENDING]) || is_list(&plugin) {
        list(file, &bytes, &mut Seen::default())
    } else {
        single(plugin)
    }
}

/// A plugin may have an option of this name; a list has no type.
fn is_list(plugin: &PluginConfig) -> bool {
    let has = |key: &str| plugin.as_map().keys().any(|spelled| spelled.eq_ignore_ascii_case(key));
    has("plugins") && !has("type")
}

fn single(plugin: PluginConfig) -> Result<NetworkConfigList, SkipReason> {
    checked(NetworkConfigList::from_plugin(plugin).map_err(SkipReason::Invalid)?)
}

fn list(file: &Path, bytes: &[u8], seen: &mut Seen) -> Result<NetworkConfigList, SkipReason> {
    let mut list = NetworkConfigList::from_json(bytes).map_err(SkipReason::Invalid)?;
    if !list.load_only_inlined_plugins {
        let folder = file.with_file_name(list.name.as_str());
        list.plugins.extend(plugins_of(&folder, seen)?);
        if list.plugins.is_empty() {
            return Err(SkipReason::NoPlugins { network: list.name, folder });
        }
    }
    checked(list)
}

/// The plugins in a network's own folder, which need not exist.
fn plugins_of(folder: &Path, seen: &mut Seen) -> Result<Vec<PluginConfig>, SkipReason> {
    seen.folder(folder);
    let listing = match listing::config_files(folder, &[PLUGIN_ENDING]) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(SkipReason::unreadable(error).in_file(folder.to_owned())),
    };
    if listing.is_cut {
        return Err(SkipReason::TooManyFiles.in_file(folder.to_owned()));
    }
    let files = listing.files.into_iter().filter(|file| !file.is_dir());
    files.map(|file| plugin(&file, seen).map_err(|reason| reason.in_file(file))).collect()
}

fn plugin(file: &Path, seen: &mut Seen) -> Result<PluginConfig, SkipReason> {
    seen.file(file);
    let plugin = PluginConfig::from_json(&read(file)?).map_err(SkipReason::Invalid)?;
    plugin.plugin_type().map_err(SkipReason::Invalid)?;
    Ok(plugin)
}

/// The keys of a plugin that its runtime reads, besides those that have a method.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Common {
    #[allow(dead_code, reason = "decoded to see that it can be")]
    capabilities: BTreeMap<String, bool>,
}

fn checked(list: NetworkConfigList) -> Result<NetworkConfigList, SkipReason> {
    list.plugins.iter().try_for_each(check).map_err(SkipReason::Invalid)?;
    Ok(list)
}

/// What would fail only once the plugins before this one had run: a type that is a path, a key of another form.
fn check(plugin: &PluginConfig) -> Result<(), CniError> {
    let named = |error: CniError| {
        let plugin_type = plugin.plugin_type();
        let name = plugin_type.as_ref().map_or("", |name| name.as_str());
        CniError { msg: format!("plugin {name}: {}", error.msg), ..error }
    };
    plugin.plugin_type()?;
    plugin.ipam_type().map_err(named)?;
    plugin.dns().map_err(named)?;
    plugin.options::<Common>().map(drop).map_err(named)
}
