//! `podnet cni list`: the networks of the configuration folder, and the attachments in the cache.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use podnet_cni_plugin::{CachedAttachment, Loaded, Scan, Skipped, conf_dir};
use podnet_cni_spec::{ContainerId, InterfaceName, NetworkName, PluginConfig, SpecVersion};
use serde::Serialize;

use super::setting::Setting;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::Table;

/// Prints what is configured and what is attached. Touches nothing.
pub(super) fn show(setting: &Setting, output: Output) -> Result<ExitCode, Failure> {
    let scan = conf_dir::scan(&setting.conf_dir);
    let attachments = setting.cache.attachments().inspect_err(|error| tracing::warn!("{error}"));
    let attachments = attachments.ok().map(|cached| cached.iter().map(Attached::of).collect());
    if let Some(problem) = &scan.folder_problem {
        tracing::warn!("{}: {problem}", scan.folder.display());
    }
    scan.skipped
        .iter()
        .for_each(|skipped| tracing::warn!("skipped network configuration {skipped}"));
    Ok(output.print(&Listing::of(&scan, attachments))?)
}

#[derive(Debug, Serialize)]
struct Listing<'a> {
    #[serde(skip)]
    folder: &'a Path,
    networks: Vec<Configured<'a>>,
    skipped: Vec<Broken<'a>>,
    /// None where the cache cannot be read.
    attachments: Option<Vec<Attached>>,
}

/// A network.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Configured<'a> {
    name: &'a NetworkName,
    file: &'a Path,
    cni_version: SpecVersion,
    /// The types of its chain.
    plugins: Vec<String>,
    /// Whether pods get it that name none: the first of the folder.
    default: bool,
}

/// A file that gives no network.
#[derive(Debug, Serialize)]
struct Broken<'a> {
    file: &'a Path,
    reason: String,
}

/// A cached attachment.
#[derive(Debug, Serialize)]
struct Attached {
    network: NetworkName,
    #[serde(rename = "containerID")]
    container_id: ContainerId,
    ifname: InterfaceName,
    netns: Option<PathBuf>,
    addresses: Vec<String>,
    /// False while it is being made, and where that was cut off.
    finished: bool,
}

impl<'a> Listing<'a> {
    fn of(scan: &'a Scan, attachments: Option<Vec<Attached>>) -> Self {
        let networks = scan.networks.iter().enumerate();
        let networks = networks.map(|(place, loaded)| Configured::of(loaded, place == 0));
        let skipped = scan
            .skipped
            .iter()
            .map(|Skipped { file, reason }| Broken { file, reason: reason.to_string() });
        Self {
            folder: &scan.folder,
            networks: networks.collect(),
            skipped: skipped.collect(),
            attachments,
        }
    }

    fn networks(&self) -> Table<5> {
        let rows = self.networks.iter().map(|network| {
            [
                if network.default { "*" } else { "" }.to_owned(),
                network.name.to_string(),
                network.cni_version.to_string(),
                network.plugins.join(" "),
                network.file.display().to_string(),
            ]
        });
        Table::new(["", "NETWORK", "CNI", "PLUGINS", "FILE"], rows)
    }
}

impl<'a> Configured<'a> {
    fn of(loaded: &'a Loaded, default: bool) -> Self {
        let types = loaded.list.plugins.iter().filter_map(type_of);
        Self {
            name: loaded.name(),
            file: &loaded.file,
            cni_version: loaded.list.version,
            plugins: types.collect(),
            default,
        }
    }
}

fn type_of(plugin: &PluginConfig) -> Option<String> {
    plugin.plugin_type().ok().map(|plugin| plugin.to_string())
}

impl Attached {
    fn of(cached: &CachedAttachment) -> Self {
        let attachment = cached.runtime.attachment.clone();
        let result = cached.result().ok().flatten();
        let ips = result.iter().flat_map(|result| &result.ips);
        Self {
            network: cached.network.clone(),
            container_id: attachment.container_id,
            ifname: attachment.interface,
            netns: attachment.netns,
            addresses: ips.map(|ip| ip.address.to_string()).collect(),
            finished: cached.result.is_some(),
        }
    }

    fn row(&self) -> [String; 6] {
        [
            self.network.to_string(),
            self.container_id.to_string(),
            self.ifname.to_string(),
            self.addresses.join(" "),
            self.netns.as_ref().map(|netns| netns.display().to_string()).unwrap_or_default(),
            if self.finished { "" } else { "unfinished" }.to_owned(),
        ]
    }
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.networks.is_empty() {
            write!(f, "no network in {}", self.folder.display())?;
        } else {
            write!(f, "{}", self.networks())?;
        }
        let Some(attachments) = self.attachments.as_ref().filter(|all| !all.is_empty()) else {
            return Ok(());
        };
        let heads = ["ATTACHED TO", "CONTAINER", "INTERFACE", "ADDRESSES", "NAMESPACE", "STATE"];
        write!(f, "\n\n{}", Table::new(heads, attachments.iter().map(Attached::row)))
    }
}
