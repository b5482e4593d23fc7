//! Kubenet as a network plugin.

use std::sync::{OnceLock, PoisonError, RwLock};

use futures_util::future::BoxFuture;
use podnet_plugin_api::error::Causes;
use podnet_plugin_api::{
    Error as PluginError, Event, NetworkPlugin, NotReady, NotReadyReason, PluginName, PodCidrs,
    PodNetworkStatus, PodSandbox, Settings,
};
use tokio::sync::Mutex;

use crate::bridge;
use crate::config::{self, BridgeConfig};
use crate::error::Error;
use crate::node::Node;
use crate::options::KubenetOptions;
use crate::pod::{self, Pod};
use crate::pod_lock::PodLock;

/// The bridge of all pods.
pub const BRIDGE: &str = "cbr0";
/// The network's name, which names host-local's folder too.
pub const NETWORK: &str = "kubenet";
pub(crate) const POD_INTERFACE: &str = "eth0";

/// The kubenet network plugin.
///
/// The thread that calls it must be in the host's network namespace, and the runtime must have I/O and time enabled.
pub struct Kubenet {
    name: PluginName,
    options: KubenetOptions,
    node: OnceLock<Node>,
    pod_cidrs: RwLock<Option<PodCidrs>>,
    /// The pod CIDRs for which cbr0 was prepared.
    prepared_for: Mutex<Option<PodCidrs>>,
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
            prepared_for: Mutex::new(None),
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
        let node = self.node()?;
        if cidrs.has_ipv6() && !node.mtu.carries_ipv6() {
            return Err(Error::MtuTooSmallForIpv6 { mtu: node.mtu });
        }
        *self.pod_cidrs.write().unwrap_or_else(PoisonError::into_inner) = Some(cidrs);
        Ok(())
    }

    /// Prepares cbr0 for the pod CIDRs in force, once for each change of them.
    async fn prepare_bridge(&self) -> Result<(), Error> {
        let Some(cidrs) = self.pod_cidrs() else { return Ok(()) };
        let mut prepared = self.prepared_for.lock().await;
        if prepared.as_ref() != Some(&cidrs) {
            let node = self.node()?;
            bridge::prepare(node.netlink(), node.mtu, &cidrs).await?;
            *prepared = Some(cidrs);
        }
        Ok(())
    }

    fn node(&self) -> Result<&Node, Error> {
        self.node.get().ok_or(Error::NotInitialised)
    }

    fn pod_cidrs(&self) -> Option<PodCidrs> {
        self.pod_cidrs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn pod<'a>(&'a self, sandbox: &'a PodSandbox) -> Result<Pod<'a>, Error> {
        let node = self.node()?;
        let bridge = config::bridge(&BridgeConfig {
            mtu: node.mtu,
            hairpin_mode: node.hairpin_mode,
            networks_dir: &self.options.networks_dir,
            pod_cidrs: self.pod_cidrs().as_ref(),
        })?;
        Ok(Pod { node, loopback: config::loopback()?, bridge, sandbox })
    }

    fn readiness(&self) -> Result<(), NotReady> {
        if self.node.get().is_none() {
            return Err(NotReady::new(
                NotReadyReason::NotInitialised,
                "kubenet is not initialised",
            ));
        }
        if self.pod_cidrs().is_none() {
            return Err(NotReady::new(
                NotReadyReason::NoPodCidr,
                "no pod CIDR was assigned to this node yet: kubenet needs --pod-cidr",
            ));
        }
        Ok(())
    }

    async fn attach(&self, sandbox: &PodSandbox) -> Result<PodNetworkStatus, PluginError> {
        self.readiness().map_err(|reason| PluginError::not_ready(sandbox, reason))?;
        if sandbox.netns.is_none() {
            return Err(PluginError::no_netns(sandbox));
        }
        let attached = async {
            let pod = self.pod(sandbox)?;
            pod.refuse_unsupported()?;
            self.prepare_bridge().await?;
            let _lock = self.lock(sandbox).await?;
            pod.set_up().await
        };
        attached.await.map_err(|error| PluginError::set_up(sandbox, error))
    }

    async fn detach(&self, sandbox: &PodSandbox) -> Result<(), PluginError> {
        let detached = async {
            let _lock = self.lock(sandbox).await?;
            Ok::<_, Error>(self.pod(sandbox)?.tear_down().await)
        };
        let failures = detached.await.map_err(|error| PluginError::tear_down(sandbox, error))?;
        match Causes::collect(failures) {
            Some(causes) => Err(PluginError::tear_down(sandbox, causes)),
            None => Ok(()),
        }
    }

    async fn lock(&self, sandbox: &PodSandbox) -> Result<PodLock, Error> {
        // Checked here too: the folder of the lock is made at initialisation.
        self.node()?;
        PodLock::acquire(&self.options.runtime_dir, &pod::label(sandbox)?).await
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
            self.pod(pod).map_err(failed)?.status().await.map_err(failed)
        })
    }

    fn status(&self) -> BoxFuture<'_, Result<(), NotReady>> {
        Box::pin(async { self.readiness() })
    }
}
