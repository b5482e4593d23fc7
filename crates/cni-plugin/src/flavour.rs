//! The cni flavour: the network plugin of a node whose network is a CNI configuration.
//!
//! A pod's `eth0` is attached to the first network of the configuration folder that can be used, and `lo` by the plugin
//! `loopback`, as the kubelet does it. Plugins are told:
//!
//! | what | how |
//! | --- | --- |
//! | which pod it is | `CNI_ARGS`: `IgnoreUnknown=1`, `K8S_POD_NAMESPACE`, `K8S_POD_NAME`, `K8S_POD_INFRA_CONTAINER_ID`, and `K8S_POD_UID` where the runtime knows it |
//! | its host ports | capability `portMappings`; an empty list where it has none |
//! | its limits | capability `bandwidth`, from the annotations `kubernetes.io/ingress-bandwidth` and `kubernetes.io/egress-bandwidth` |
//! | the node's pod CIDR | capability `ipRanges`, a range set for each family |
//!
//! A limit lets through at once what it lets through in 100 ms, but 64 KiB at least, the largest packet there is. The
//! kubelet, containerd and CRI-O say 256 MiB, whatever the limit: a pod with 10 Mbit/s then has no limit for its first
//! minutes (Kubernetes #90838).
//!
//! Nothing about a pod is remembered in the process: that it is attached, and how it is detached, is read from the
//! result cache and from its namespace. So a pod can be torn down after a restart, when its configuration or its
//! namespace has gone, and by a runtime in Go. Operations on one pod exclude each other, between processes too.
//!
//! ```
//! use std::sync::Arc;
//!
//! use podnet_cni_invoke::{ProcessExec, SearchPath};
//! use podnet_cni_plugin::{CniOptions, CniPlugin};
//! use podnet_plugin_api::{NetworkPlugin, PodSandbox, Settings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let folder = tempfile::tempdir()?;
//! let mut options = CniOptions::new(folder.path(), SearchPath::new(vec!["/opt/cni/bin".into()]));
//! options.cache_dir = folder.path().join("cache");
//! options.runtime_dir = folder.path().join("run");
//! let exec = ProcessExec::new(options.bin_dirs.clone());
//!
//! let plugin = CniPlugin::new(options, Arc::new(exec));
//! plugin.init(&Settings::default()).await?;
//! let reason = plugin.status().await.unwrap_err();
//! assert!(reason.message.starts_with("no network configuration in "));
//!
//! let unknown = PodSandbox::new("default", "web", "4f2a9c")?;
//! plugin.tear_down_pod(&unknown).await?;
//! # Ok(())
//! # }
//! ```

mod attach;
mod detach;
mod error;
mod loopback;
mod options;
mod pod;
mod readiness;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use podnet_cni_invoke::Exec;
use podnet_cni_spec::ContainerId;
use podnet_netutil::address;
use podnet_netutil::lock::{LockError, NamedLock};
use podnet_plugin_api::{
    BoxFuture, Error as PluginError, Event, NetworkPlugin, NotReady, PluginName, PodCidrs,
    PodNetworkStatus, PodSandbox, Settings,
};
use tokio::task::AbortHandle;

pub use self::error::FlavourError;
pub use self::options::CniOptions;
use crate::cache::ResultCache;
use crate::cni::Cni;
use crate::conf_store::ConfStore;
use crate::programs::Programs;

/// The interface of every pod.
const POD_INTERFACE: &str = "eth0";
/// So that the name of a lock's file fits, whatever the id: two ids that begin alike wait for each other.
const LOCKED_BY: usize = 200;

/// The cni network plugin.
///
/// The thread that calls it must be in the host's network namespace, and the runtime must have I/O and time enabled.
pub struct CniPlugin {
    name: PluginName,
    options: CniOptions,
    cni: Cni,
    networks: Arc<ConfStore>,
    programs: Arc<Programs>,
    pod_cidrs: RwLock<Option<PodCidrs>>,
    /// Ends the watching of the configurations, which begins with `init`.
    watch: OnceLock<AbortHandle>,
    /// What an operator was warned of last.
    warned: Mutex<String>,
}

impl CniPlugin {
    /// A plugin whose CNI plugins are executed by `exec`, which must find programs where the options say. It is not
    /// initialised yet, and nothing is touched.
    #[must_use]
    pub fn new(options: CniOptions, exec: Arc<dyn Exec>) -> Self {
        let programs = Arc::new(Programs::new(Arc::clone(&exec), options.bin_dirs.clone()));
        let networks = ConfStore::new(&options.conf_dir).with_programs(Arc::clone(&programs));
        let mut cni = Cni::new(exec, ResultCache::new(&options.cache_dir));
        cni.timeout = options.timeout;
        cni.undo_timeout = options.timeout;
        Self {
            name: PluginName::from_static("cni"),
            options,
            cni,
            networks: Arc::new(networks),
            programs,
            pod_cidrs: RwLock::default(),
            watch: OnceLock::new(),
            warned: Mutex::default(),
        }
    }

    /// The networks of the configuration folder, to look at.
    #[must_use]
    pub fn networks(&self) -> &ConfStore {
        &self.networks
    }

    fn start(&self) -> Result<(), PluginError> {
        let networks = Arc::clone(&self.networks);
        let watch = tokio::spawn(async move { networks.watch().await }).abort_handle();
        self.watch.set(watch).map_err(|second| {
            second.abort();
            PluginError::AlreadyInitialised { plugin: self.name.clone() }
        })
    }

    fn pod_cidrs(&self) -> Option<PodCidrs> {
        self.pod_cidrs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Operations on one pod exclude each other, between processes too.
    async fn turn(&self, id: &ContainerId) -> Result<NamedLock, FlavourError> {
        let id = id.as_str();
        let file = format!("cni-{}.lock", id.get(..LOCKED_BY).unwrap_or(id));
        let path = self.options.runtime_dir.join(file);
        Ok(NamedLock::acquire(path, self.options.timeout).await?)
    }

    /// For a tear-down, which must go on where no lock file can be made.
    async fn turn_if_possible(&self, id: &ContainerId) -> Result<Option<NamedLock>, FlavourError> {
        match self.turn(id).await {
            Err(FlavourError::Lock(error)) if !matches!(error, LockError::Held { .. }) => {
                tracing::warn!("{error}; tearing down without it");
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    async fn addresses(
        &self,
        sandbox: &PodSandbox,
    ) -> Result<Option<PodNetworkStatus>, FlavourError> {
        let Some(netns) = &sandbox.netns else { return Ok(None) };
        let addresses = address::of_pod(netns, POD_INTERFACE).await?;
        Ok(addresses.and_then(PodNetworkStatus::new))
    }
}

impl Drop for CniPlugin {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.get() {
            watch.abort();
        }
    }
}

impl NetworkPlugin for CniPlugin {
    fn name(&self) -> &PluginName {
        &self.name
    }

    fn init<'a>(&'a self, _: &'a Settings) -> BoxFuture<'a, Result<(), PluginError>> {
        Box::pin(async { self.start() })
    }

    fn event(&self, event: Event) -> BoxFuture<'_, Result<(), PluginError>> {
        Box::pin(async {
            if let Event::PodCidrChange { cidrs } = event {
                *self.pod_cidrs.write().unwrap_or_else(PoisonError::into_inner) = Some(cidrs);
            }
            Ok(())
        })
    }

    fn set_up_pod<'a>(
        &'a self,
        pod: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, PluginError>> {
        Box::pin(self.attach(pod))
    }

    fn tear_down_pod<'a>(&'a self, pod: &'a PodSandbox) -> BoxFuture<'a, Result<(), PluginError>> {
        Box::pin(self.detach(pod))
    }

    fn pod_network_status<'a>(
        &'a self,
        pod: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, PluginError>> {
        Box::pin(async move {
            self.addresses(pod).await.map_err(|error| PluginError::pod_status(pod, error))
        })
    }

    fn status(&self) -> BoxFuture<'_, Result<(), NotReady>> {
        Box::pin(self.readiness())
    }
}
