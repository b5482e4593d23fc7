//! Kubenet as a network plugin.

use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::RwLockReadGuard;

use crate::bridge;
use crate::config::{self, BridgeConfig};
use crate::error::Error;
use crate::gateways::Gateways;
use crate::node::Node;
use crate::options::KubenetOptions;
use crate::pod::{self, Pod};
use futures_util::future::BoxFuture;
use podnet_netutil::NamedLock;
use podnet_netutil::lock::LockError;
use podnet_plugin_api::error::{BoxError, Causes};
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

type InForce<'a> = RwLockReadGuard<'a, Option<PodCidrs>>;

/// The kubenet network plugin.
///
/// When the pod CIDR changes while pods run, new pods get addresses of the new one and the others keep theirs until they
/// are torn down. `cbr0` carries the gateways of both meanwhile; the earlier one goes with its last pod.
///
/// The thread that calls it must be in the host's network namespace, and the runtime must have I/O and time enabled.
pub struct Kubenet {
    name: PluginName,
    options: KubenetOptions,
    node: OnceLock<Node>,
    pod_cidrs: RwLock<Option<PodCidrs>>,
    /// The pod CIDRs by which the set-ups under way give addresses.
    in_force: tokio::sync::RwLock<Option<PodCidrs>>,
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
            in_force: tokio::sync::RwLock::new(None),
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

    /// The pod CIDRs by which a pod can be set up now. They stay the same for as long as the guard is held.
    ///
    /// Whoever comes first after a change waits for the set-ups by the earlier pod CIDRs: each would find the other's
    /// gateway on cbr0 where it expects its own alone.
    async fn enter(&self) -> Result<(PodCidrs, InForce<'_>), NotReady> {
        loop {
            let cidrs = self.readiness()?;
            let in_force = self.in_force.read().await;
            if in_force.as_ref() == Some(&cidrs) {
                return Ok((cidrs, in_force));
            }
            drop(in_force);
            *self.in_force.write().await = Some(cidrs);
        }
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

    fn gateways<'a>(&'a self, cidrs: &'a PodCidrs) -> Result<Gateways<'a>, Error> {
        let store = self.options.networks_dir.join(NETWORK);
        Ok(Gateways { netlink: self.node()?.netlink(), store, cidrs })
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
        let entered = self.enter().await;
        let (cidrs, _in_force) =
            entered.map_err(|reason| PluginError::not_ready(sandbox, reason))?;
        if sandbox.netns.is_none() {
            return Err(PluginError::no_netns(sandbox));
        }
        let attached = async {
            let pod = self.pod(sandbox, Some(&cidrs))?;
            pod.refuse_unsupported()?;
            let _lock = self.lock(sandbox).await?;
            self.set_up(pod, &cidrs).await
        };
        attached.await.map_err(|error| PluginError::set_up(sandbox, error))
    }

    async fn set_up(
        &self,
        mut pod: Pod<'_>,
        cidrs: &PodCidrs,
    ) -> Result<PodNetworkStatus, BoxError> {
        let gateways = self.gateways(cidrs)?;
        if !bridge::prepare(pod.node.mtu, &gateways).await? {
            return Ok(pod.set_up().await?);
        }
        config::leave_addresses_alone(&mut pod.bridge);
        let status = pod.set_up().await?;
        match put_back(&gateways).await {
            Ok(()) => Ok(status),
            Err(error) => {
                let mut causes = Causes::new(error);
                if let Err(failure) = pod.tear_down().await {
                    causes.push(failure);
                }
                Err(causes.into())
            }
        }
    }

    async fn detach(&self, sandbox: &PodSandbox) -> Result<(), PluginError> {
        let failed = |error: Error| PluginError::tear_down(sandbox, error);
        let _lock = self.lock_if_possible(sandbox).await.map_err(failed)?;
        let cidrs = self.pod_cidrs();
        let detached = self.pod(sandbox, cidrs.as_ref()).map_err(failed)?.tear_down().await;
        let cleared = self.clear_gateways(cidrs.as_ref()).await;
        match Causes::collect([detached, cleared].into_iter().filter_map(Result::err)) {
            Some(causes) => Err(PluginError::tear_down(sandbox, causes)),
            None => Ok(()),
        }
    }

    /// Takes the gateway of an earlier pod CIDR from cbr0 with its last pod. Without a pod CIDR nothing tells an earlier
    /// one from the one in force, and the next set-up sees to it.
    async fn clear_gateways(&self, cidrs: Option<&PodCidrs>) -> Result<(), Error> {
        let Some(cidrs) = cidrs else { return Ok(()) };
        let gateways = self.gateways(cidrs)?;
        match gateways.netlink.link_by_name(BRIDGE).await? {
            Some(bridge) => gateways.clear(&bridge).await.map(drop),
            None => Ok(()),
        }
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

/// Puts the gateways on cbr0 again, now that an address is reserved which keeps them there: before, another process
/// may have found them unused.
async fn put_back(gateways: &Gateways<'_>) -> Result<(), Error> {
    let bridge = gateways.netlink.require_link(BRIDGE).await?;
    gateways.carry(&bridge).await
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
