//! What kubenet has once it is initialised: the standard plugins over the host's network, and the choices for all pods.

use std::path::PathBuf;

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
use crate::seen::Seen;

/// The standard plugins that attach a pod.
const PLUGINS: [&str; 3] = ["bridge", "host-local", "loopback"];

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
    /// Where processes note for each other what they saw, if this is one that ends with its call.
    notes: Option<PathBuf>,
}

impl Node {
    pub(crate) async fn open(options: &KubenetOptions, settings: &Settings) -> Result<Self, Error> {
        let node = Self::open_unseen(options, settings).await?;
        node.look_anew().await?;
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
            notes: None,
            host,
        })
    }

    /// The same for one call, after which the process ends.
    pub(crate) fn for_call(self, options: &KubenetOptions) -> Self {
        Self { notes: Some(options.runtime_dir.clone()), ..self }
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

    /// The MTU for cbr0 and new pods.
    pub(crate) async fn mtu(&self) -> Result<Mtu, Error> {
        bridge::choose_mtu(&self.look().await?, self.wanted_mtu)
    }

    /// What there is to be seen of the host's interfaces, at most a second old.
    pub(crate) async fn look(&self) -> Result<Seen, Error> {
        let mut seen = self.seen.lock().await;
        if let Some(seen) = seen.as_ref().filter(|seen| seen.holds()) {
            return Ok(seen.clone());
        }
        if let Some(notes) = &self.notes
            && let Some(noted) = Seen::noted(notes, self.netlink()).await?
        {
            return Ok(seen.insert(noted).clone());
        }
        let new = Seen::of(&self.netlink().links().await?);
        self.warn_of(&new);
        if let Some(notes) = &self.notes {
            new.note(notes);
        }
        Ok(seen.insert(new).clone())
    }

    /// What there is to be seen of the host's interfaces now.
    pub(crate) async fn look_anew(&self) -> Result<Seen, Error> {
        let links = self.netlink().links().await?;
        Ok(self.saw(&links).await)
    }

    /// Remembers what there is to be seen of interfaces that were just listed.
    pub(crate) async fn saw(&self, links: &[Link]) -> Seen {
        let new = Seen::of(links);
        self.warn_of(&new);
        self.seen.lock().await.insert(new).clone()
    }

    /// Once for each look, not for each use of what was seen.
    fn warn_of(&self, seen: &Seen) {
        if seen.narrowest.is_none() && self.wanted_mtu.is_none() {
            tracing::warn!(
                "no normal interface of the host is enabled; {BRIDGE} gets an MTU of {}",
                bridge::FALLBACK_MTU
            );
        }
    }

    /// Notes that cbr0 has a port now.
    pub(crate) async fn saw_port(&self) {
        if let Some(seen) = &mut *self.seen.lock().await {
            seen.has_ports = true;
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
