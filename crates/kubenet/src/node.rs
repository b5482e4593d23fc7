//! What kubenet has once it is initialised: the standard plugins over the host's network, and the choices for all pods.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ipnetwork::IpNetwork;
use podnet_cni_invoke::{ProcessExec, SearchPath};
use podnet_cni_plugin::ResultCache;
use podnet_cni_spec::PluginType;
use podnet_netutil::{Link, Netlink, Port, bridge_filter};
use podnet_plugin_api::{HairpinMode, Mtu, Settings};
use podnet_standard_plugins::nat::NatTable;
use podnet_standard_plugins::{ChosenExec, Host, Label, PluginChoice};
use tokio::sync::Mutex;

use crate::bridge;
use crate::error::Error;
use crate::options::KubenetOptions;
use crate::plugin::BRIDGE;

/// The standard plugins that attach a pod.
const PLUGINS: [&str; 3] = ["bridge", "host-local", "loopback"];
/// How long what was seen of the host's interfaces holds. To list them takes as long as there are pods.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The node that kubenet serves.
pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) exec: ChosenExec,
    pub(crate) nat: NatTable,
    pub(crate) records: ResultCache,
    pub(crate) networks_dir: PathBuf,
    pub(crate) hairpin_mode: HairpinMode,
    pub(crate) non_masquerade: Vec<IpNetwork>,
    wanted_mtu: Option<Mtu>,
    seen: Mutex<Option<Seen>>,
}

/// What was seen of the host's interfaces.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    at: Instant,
    /// The MTU for cbr0 and new pods.
    pub(crate) mtu: Mtu,
    /// A port of cbr0 that is no pod's.
    pub(crate) foreign_port: Option<Link>,
}

impl Node {
    pub(crate) async fn open(options: &KubenetOptions, settings: &Settings) -> Result<Self, Error> {
        let node = Self::open_unseen(options, settings).await?;
        node.look().await?;
        for warning in bridge_filter::enable() {
            tracing::warn!("{warning}");
        }
        Ok(node)
    }

    /// A node on which nothing is made: what there is of interfaces is seen only when it is asked for.
    pub(crate) async fn open_unseen(
        options: &KubenetOptions,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let host = Host::open(&options.runtime_dir)?;
        Ok(Self {
            exec: choose(options, &host).await?,
            nat: NatTable::open(&options.runtime_dir)?,
            records: ResultCache::new(&options.cache_dir),
            networks_dir: options.networks_dir.clone(),
            hairpin_mode: settings.hairpin_mode,
            non_masquerade: settings.non_masquerade_cidrs.clone(),
            wanted_mtu: settings.mtu,
            seen: Mutex::default(),
            host,
        })
    }

    pub(crate) fn netlink(&self) -> &Netlink {
        self.host.netlink()
    }

    /// What a pod's host end is to the bridge.
    pub(crate) fn port(&self, label: &Label) -> Port {
        let mut port = Port::labelled(label.alias());
        port.hairpin = self.hairpin_mode == HairpinMode::HairpinVeth;
        port
    }

    /// What there is to be seen of the host's interfaces, at most a second old.
    pub(crate) async fn look(&self) -> Result<Seen, Error> {
        let mut seen = self.seen.lock().await;
        match &*seen {
            Some(seen) if seen.at.elapsed() < LOOK_AGAIN => Ok(seen.clone()),
            _ => {
                let new = look(self.netlink(), self.wanted_mtu).await?;
                Ok(seen.insert(new).clone())
            }
        }
    }

    /// Refuses a node that lacks a program which it is to run.
    pub(crate) async fn require_plugins(&self) -> Result<(), Error> {
        for plugin in PLUGINS {
            self.exec.program(&PluginType::new(plugin)?).await?;
        }
        Ok(())
    }

    /// Whether pods are attached by an installed program.
    pub(crate) async fn runs_programs(&self) -> Result<bool, Error> {
        Ok(self.exec.program(&PluginType::new("bridge")?).await?.is_some())
    }
}

/// Who runs the plugins. They call each other, so that with one missing none of the installed ones is of use.
async fn choose(options: &KubenetOptions, host: &Host) -> Result<ChosenExec, Error> {
    let chosen = |choice| {
        let programs = ProcessExec::new(SearchPath::new(options.bin_dirs.clone()));
        ChosenExec::new(choice, programs, &options.runtime_dir).over(host.clone())
    };
    if options.plugins != PluginChoice::Auto {
        return Ok(chosen(options.plugins));
    }
    let installed = chosen(PluginChoice::Auto);
    let mut missing = Vec::new();
    for plugin in PLUGINS {
        if installed.program(&PluginType::new(plugin)?).await?.is_none() {
            missing.push(plugin);
        }
    }
    if missing.is_empty() {
        return Ok(installed);
    }
    if missing.len() < PLUGINS.len() {
        let missing = missing.join(", ");
        tracing::warn!("no usable program {missing} is installed: podnet runs all plugins itself");
    }
    Ok(chosen(PluginChoice::Builtin))
}

async fn look(netlink: &Netlink, wanted_mtu: Option<Mtu>) -> Result<Seen, Error> {
    let at = Instant::now();
    let links = netlink.links().await?;
    let mtu = bridge::choose_mtu(&links, wanted_mtu)?;
    let bridge = links.iter().find(|link| link.name == BRIDGE).map(|bridge| bridge.index);
    let is_port = |link: &&Link| bridge.is_some() && link.master == bridge;
    let foreign_port = links.iter().filter(is_port).find(|link| link.kind != "veth").cloned();
    Ok(Seen { at, mtu, foreign_port })
}
