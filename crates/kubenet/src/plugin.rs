//! Kubenet as a network plugin.

use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use crate::bridge;
use crate::config::{self, BridgeConfig};
use crate::error::Error;
use crate::node::Node;
use crate::options::KubenetOptions;
use crate::pod::{self, Pod};
use futures_util::future::BoxFuture;
use podnet_netutil::NamedLock;
use podnet_netutil::lock::LockError;
use podnet_plugin_api::{
    Error as PluginError, Event, NetworkPlugin, NotReady, NotReadyReason, PluginName, PodCidrs,
    PodNetworkStatus, PodSandbox, Settings,
};

/// The bridge of all pods.
pub const BRIDGE: &str = "cbr0";
/// The network's name, which names host-local's folder too.
pub const NETWORK: &str = "kubenet";
pub(crate) const POD_INTERFACE: &str = "eth0";
/// How long an operation waits for another on the same pod.
const POD_WAIT: Duration = Duration::from_secs(30);

/// The kubenet network plugin.
///
/// The thread that calls it must be in the host's network namespace, and the runtime must have I/O and time enabled.
pub struct Kubenet {
    name: PluginName,
    options: KubenetOptions,
    node: OnceLock<Node>,
    pod_cidrs: RwLock<Option<PodCidrs>>,
}

impl Kubenet {
    /// A kubenet with these folders, not yet initialised.
    #[must_use]
    pub fn new(options: KubenetOptions) -> Self {
        Self {
            name: PluginName::from_static("kubenet"),
            options,
            node: OnceLock::new(),
            pod_cidrs: RwLock::new(None),
        }
    }

    async fn open(&self, settings: &Settings) -> Result<(), PluginError> {
        let already = || PluginError::AlreadyInitialised { plugin: self.name.clone() };
        if self.node.get().is_some() {
            return Err(already());
        }
        let node = Node::open(&self.options, settings).await;
        let node = node.map_err(|error| PluginError::init(&self.name, error))?;
        self.node.set(node).map_err(|_| already())
    }

    fn take_pod_cidrs(&self, cidrs: PodCidrs) -> Result<(), Error> {
        self.node()?;
        *self.pod_cidrs.write().unwrap_or_else(PoisonError::into_inner) = Some(cidrs);
        Ok(())
    }

    fn node(&self) -> Result<&Node, Error> {
        self.node.get().ok_or(Error::NotInitialised)
    }

    fn pod_cidrs(&self) -> Option<PodCidrs> {
        self.pod_cidrs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn pod<'a>(
        &'a self,
        sandbox: &'a PodSandbox,
        pod_cidrs: Option<&PodCidrs>,
    ) -> Result<Pod<'a>, Error> {
        let node = self.node()?;
        let bridge = config::bridge(&BridgeConfig {
            mtu: node.mtu,
            hairpin_mode: node.hairpin_mode,
            networks_dir: &self.options.networks_dir,
            pod_cidrs,
        })?;
        Ok(Pod { node, loopback: config::loopback()?, bridge, sandbox })
    }

    /// The pod CIDRs by which a pod can be set up now.
    fn readiness(&self) -> Result<PodCidrs, NotReady> {
        let Some(node) = self.node.get() else {
            return Err(NotReady::new(
                NotReadyReason::NotInitialised,
                "kubenet is not initialised",
            ));
        };
        let Some(cidrs) = self.pod_cidrs() else {
            return Err(NotReady::new(
                NotReadyReason::NoPodCidr,
                "no pod CIDR was assigned to this node yet: kubenet needs --pod-cidr",
            ));
        };
        if cidrs.has_ipv6() && !node.mtu.carries_ipv6() {
            let error = Error::MtuTooSmallForIpv6 { mtu: node.mtu };
            return Err(NotReady::new(NotReadyReason::HostNetwork, error.to_string()));
        }
        Ok(cidrs)
    }

    async fn attach(&self, sandbox: &PodSandbox) -> Result<PodNetworkStatus, PluginError> {
        let cidrs = self.readiness().map_err(|reason| PluginError::not_ready(sandbox, reason))?;
        if sandbox.netns.is_none() {
            return Err(PluginError::no_netns(sandbox));
        }
        let attached = async {
            let pod = self.pod(sandbox, Some(&cidrs))?;
            pod.refuse_unsupported()?;
            let _lock = self.lock(sandbox).await?;
            bridge::prepare(pod.node.netlink(), pod.node.mtu, &cidrs).await?;
            pod.set_up().await
        };
        attached.await.map_err(|error| PluginError::set_up(sandbox, error))
    }

    async fn detach(&self, sandbox: &PodSandbox) -> Result<(), PluginError> {
        let detached = async {
            let _lock = self.lock_if_possible(sandbox).await?;
            self.pod(sandbox, self.pod_cidrs().as_ref())?.tear_down().await
        };
        detached.await.map_err(|error| PluginError::tear_down(sandbox, error))
    }

    /// Operations on one pod exclude each other, between processes too.
    async fn lock(&self, sandbox: &PodSandbox) -> Result<NamedLock, Error> {
        let file = format!("pod-{}.lock", pod::label(sandbox)?.host_end());
        Ok(NamedLock::acquire(self.options.runtime_dir.join(file), POD_WAIT).await?)
    }

    /// For a tear-down, which must go on where no lock file can be made.
    async fn lock_if_possible(&self, sandbox: &PodSandbox) -> Result<Option<NamedLock>, Error> {
        match self.lock(sandbox).await {
            Err(Error::Lock(error)) if !matches!(error, LockError::Held { .. }) => {
                tracing::warn!("{error}; tearing down without it");
                Ok(None)
            }
            other => other.map(Some),
        }
    }
}

impl NetworkPlugin for Kubenet {
    fn name(&self) -> &PluginName {
        &self.name
    }

    fn init<'a>(&'a self, settings: &'a Settings) -> BoxFuture<'a, Result<(), PluginError>> {
        Box::pin(self.open(settings))
    }

    fn event(&self, event: Event) -> BoxFuture<'_, Result<(), PluginError>> {
        Box::pin(async move {
            match event {
                Event::PodCidrChange { cidrs } => self
                    .take_pod_cidrs(cidrs)
                    .map_err(|error| PluginError::event(&self.name, error)),
                _ => Ok(()),
            }
        })
    }

    fn set_up_pod<'a>(
        &'a self,
        pod: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, PluginError>> {
        Box::pin(async move { self.attach(pod).await.map(Some) })
    }

    fn tear_down_pod<'a>(&'a self, pod: &'a PodSandbox) -> BoxFuture<'a, Result<(), PluginError>> {
        Box::pin(self.detach(pod))
    }

    fn pod_network_status<'a>(
        &'a self,
        pod: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, PluginError>> {
        Box::pin(async move {
            let failed = |error: Error| PluginError::pod_status(pod, error);
            self.pod(pod, None).map_err(failed)?.status().await.map_err(failed)
        })
    }

    fn status(&self) -> BoxFuture<'_, Result<(), NotReady>> {
        Box::pin(async { self.readiness().map(drop) })
    }
}
