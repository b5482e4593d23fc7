//! Kubenet as a network plugin.

use std::collections::BTreeSet;
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{OnceCell, RwLockReadGuard};

use crate::attachment;
use crate::audit;
use crate::bridge::{self, Prepared};
use crate::census::Census;
use crate::config::{self, BridgeConfig};
use crate::error::Error;
use crate::gateways::Gateways;
use crate::mend::{self, Doomed};
use crate::node::Node;
use crate::options::KubenetOptions;
use crate::pod::{Pod, SetUp};
use crate::promise::Promise;
use crate::report::{Collected, Finding, PodReport};
use crate::strangers;
use futures_util::future::BoxFuture;
use podnet_cni_spec::PluginConfig;
use podnet_netutil::lock::LockError;
use podnet_netutil::{NamedLock, Netns};
use podnet_plugin_api::error::{BoxError, Causes};
use podnet_plugin_api::{
    Error as PluginError, Event, Mtu, NetworkPlugin, NotReady, NotReadyReason, PluginName,
    PodCidrs, PodNetworkStatus, PodSandbox, Settings,
};

/// The bridge of all pods.
pub const BRIDGE: &str = "cbr0";
/// The network's name, which names host-local's folder too.
pub const NETWORK: &str = "kubenet";
pub(crate) const POD_INTERFACE: &str = "eth0";
/// How long an operation waits for another on the same pod.
const POD_WAIT: Duration = Duration::from_secs(30);

/// Keys by which a call changes the configuration of the bridge plugin.
pub(crate) type CallConfig = serde_json::Map<String, serde_json::Value>;

pub(crate) type InForce<'a> = RwLockReadGuard<'a, Option<PodCidrs>>;

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
    /// Whether this process has looked for pods that are gone, which it does before its first set-up.
    reconciled: OnceCell<()>,
    /// What one call of the CNI program asks for; none in a process that serves a runtime.
    call: Option<CallConfig>,
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
            reconciled: OnceCell::new(),
            call: None,
        }
    }

    /// One for a single call of the CNI program, with what it says besides.
    pub(crate) async fn for_call(
        options: KubenetOptions,
        settings: &Settings,
        call: CallConfig,
    ) -> Result<Self, Error> {
        let kubenet = Self { call: Some(call), ..Self::new(options) };
        let node = Node::open_unseen(&kubenet.options, settings).await?;
        drop(kubenet.node.set(node.for_call(&kubenet.options)));
        Ok(kubenet)
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

    pub(crate) fn take_pod_cidrs(&self, cidrs: PodCidrs) -> Result<(), Error> {
        self.node()?;
        *self.pod_cidrs.write().unwrap_or_else(PoisonError::into_inner) = Some(cidrs);
        Ok(())
    }

    /// The pod CIDRs by which a pod can be set up now. They stay the same for as long as the guard is held.
    ///
    /// Whoever comes first after a change waits for the set-ups by the earlier pod CIDRs: each would find the other's
    /// gateway on cbr0 where it expects its own alone.
    pub(crate) async fn enter(&self) -> Result<(PodCidrs, InForce<'_>), NotReady> {
        loop {
            let cidrs = self.readiness().await?;
            let in_force = self.in_force.read().await;
            if in_force.as_ref() == Some(&cidrs) {
                return Ok((cidrs, in_force));
            }
            drop(in_force);
            *self.in_force.write().await = Some(cidrs);
        }
    }

    pub(crate) fn node(&self) -> Result<&Node, Error> {
        self.node.get().ok_or(Error::NotInitialised)
    }

    fn pod_cidrs(&self) -> Option<PodCidrs> {
        self.pod_cidrs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn pod<'a>(
        &'a self,
        sandbox: &'a PodSandbox,
        mtu: Mtu,
        pod_cidrs: Option<&PodCidrs>,
    ) -> Result<Pod<'a>, Error> {
        let (node, bridge) = (self.node()?, self.bridge(mtu, pod_cidrs)?);
        let (label, once) = (attachment::label(sandbox.id())?, self.call.is_some());
        Ok(Pod { node, bridge, label, sandbox, once })
    }

    fn bridge(&self, mtu: Mtu, pod_cidrs: Option<&PodCidrs>) -> Result<PluginConfig, Error> {
        let mut config = config::bridge(&BridgeConfig {
            mtu,
            hairpin_mode: self.node()?.hairpin_mode,
            networks_dir: &self.options.networks_dir,
            pod_cidrs,
        })?;
        for (key, value) in self.call.iter().flatten() {
            config.set(key, value.clone());
        }
        Ok(config)
    }

    pub(crate) fn gateways<'a>(&'a self, cidrs: &'a PodCidrs) -> Result<Gateways<'a>, Error> {
        let store = self.options.networks_dir.join(NETWORK);
        Ok(Gateways { netlink: self.node()?.netlink(), store, cidrs })
    }

    /// The pod CIDRs by which a pod can be set up now.
    pub(crate) async fn readiness(&self) -> Result<PodCidrs, NotReady> {
        let not_ready = |reason, text: String| NotReady::new(reason, text);
        let Some(node) = self.node.get() else {
            let text = "kubenet is not initialised".to_owned();
            return Err(not_ready(NotReadyReason::NotInitialised, text));
        };
        let Some(cidrs) = self.pod_cidrs() else {
            let text = "no pod CIDR was assigned to this node yet: kubenet needs --pod-cidr";
            return Err(not_ready(NotReadyReason::NoPodCidr, text.to_owned()));
        };
        if let Err(missing) = node.require_plugins().await {
            return Err(not_ready(NotReadyReason::PluginsMissing, missing.to_string()));
        }
        let unusable = |error: Error| not_ready(NotReadyReason::HostNetwork, error.to_string());
        let mtu = node.mtu().await.map_err(unusable)?;
        if cidrs.has_ipv6() && !mtu.carries_ipv6() {
            return Err(unusable(Error::MtuTooSmallForIpv6 { mtu }));
        }
        Ok(cidrs)
    }

    async fn attach(&self, sandbox: &PodSandbox) -> Result<PodNetworkStatus, PluginError> {
        let entered = self.enter().await;
        let (cidrs, _in_force) =
            entered.map_err(|reason| PluginError::not_ready(sandbox, reason))?;
        let Some(netns) = &sandbox.netns else { return Err(PluginError::no_netns(sandbox)) };
        let attached = async {
            // Before anything is touched.
            Netns::open_other(netns)?;
            let promise = Promise::of(sandbox)?;
            self.reconciled.get_or_init(|| self.reconcile(&cidrs)).await;
            self.attach_by(sandbox, &promise, &cidrs).await
        };
        let attached = attached.await.map_err(|error| PluginError::set_up(sandbox, error))?;
        Ok(attached.status)
    }

    /// Collects what an earlier process, or the time before a reboot, left of pods that are gone. A set-up does without.
    async fn reconcile(&self, cidrs: &PodCidrs) {
        match self.collect_dead(cidrs).await {
            Ok(collected) => collected.left.iter().for_each(|line| tracing::warn!("left: {line}")),
            Err(error) => tracing::warn!("cannot collect what pods that are gone left: {error}"),
        }
        match self.forget_chains(cidrs).await {
            Ok(lines) => lines.iter().for_each(|line| tracing::info!("removed: {line}")),
            Err(error) => tracing::warn!("cannot remove rules that nobody needs: {error}"),
        }
    }

    /// Removes the rules of networks that are no more, and those that this one does not need any more.
    async fn forget_chains(&self, cidrs: &PodCidrs) -> Result<Vec<String>, Error> {
        let node = self.node()?;
        let mut lines = strangers::forget_networks(node, &self.options.runtime_dir).await?;
        if let Some(bridge) = node.netlink().link_by_name(BRIDGE).await? {
            let earlier = self.gateways(cidrs)?.earlier(&bridge).await?;
            let prepared = Prepared { bridge, earlier, made: false };
            let network = bridge::nat_network(node, cidrs, &prepared)?;
            lines.extend(node.nat.remove_unneeded(&network).await?);
        }
        Ok(lines)
    }

    /// Attaches a pod while the pod CIDRs are in force ([`enter`](Self::enter)).
    pub(crate) async fn attach_by(
        &self,
        sandbox: &PodSandbox,
        promise: &Promise,
        cidrs: &PodCidrs,
    ) -> Result<SetUp, BoxError> {
        let _lock = self.lock(sandbox).await?;
        match self.set_up(sandbox, promise, cidrs).await {
            Err(error) if is_exhausted(&*error) => {
                // The pods of before a reboot, or of a runtime that died, may hold what is needed.
                let collected = self.collect_dead(cidrs).await?;
                if collected.removed.is_empty() {
                    return Err(error);
                }
                self.set_up(sandbox, promise, cidrs).await
            }
            done => done,
        }
    }

    async fn set_up(
        &self,
        sandbox: &PodSandbox,
        promise: &Promise,
        cidrs: &PodCidrs,
    ) -> Result<SetUp, BoxError> {
        let prepared = self.prepare(cidrs).await?;
        let mtu = self.node()?.mtu().await?;
        let mut pod = self.pod(sandbox, mtu, Some(cidrs))?;
        if !prepared.earlier.is_empty() {
            config::leave_addresses_alone(&mut pod.bridge);
        }
        let made = pod.set_up(promise).await?;
        match self.settle(&prepared, cidrs).await {
            Ok(()) => Ok(made),
            // It was attached before, and what it needs is as it was.
            Err(error) if made.result.is_none() => Err(error.into()),
            Err(error) => {
                let mut causes = Causes::new(error);
                if let Err(failures) = pod.attachment().remove().await {
                    causes.push(failures);
                }
                Err(causes.into())
            }
        }
    }

    /// What can be seen to only when there is a pod with an address.
    async fn settle(&self, prepared: &Prepared, cidrs: &PodCidrs) -> Result<(), Error> {
        if !prepared.earlier.is_empty() {
            put_back(&self.gateways(cidrs)?).await?;
        }
        let node = self.node()?;
        if node.look().await?.has_ports {
            return Ok(());
        }
        // Whoever took over a cbr0 without pods in the meantime has it.
        bridge::require_mark(node).await?;
        node.saw_port().await;
        Ok(())
    }

    /// Has cbr0 and the rules as they should be, and the pods on them if they had to be made anew.
    async fn prepare(&self, cidrs: &PodCidrs) -> Result<Prepared, Error> {
        let (node, gateways) = (self.node()?, self.gateways(cidrs)?);
        let prepared = bridge::prepare(node, &gateways).await?;
        let mut mended = Vec::new();
        if prepared.made {
            mended.extend(bridge::take_back(node, &prepared.bridge).await?);
            if !mended.is_empty() {
                gateways.carry(&prepared.bridge).await?;
            }
        }
        let network = bridge::nat_network(node, cidrs, &prepared)?;
        let rules = node.nat.ensure(&network).await?;
        if !rules.is_empty() {
            let pods = mend::mend_pods(node, &self.options.runtime_dir).await?;
            pods.left.iter().for_each(|line| tracing::warn!("{line}"));
            for line in &rules {
                tracing::info!("{line}");
            }
            mended.extend(pods.mended);
        }
        for line in &mended {
            tracing::warn!("{line}");
        }
        Ok(prepared)
    }

    async fn collect_dead(&self, cidrs: &PodCidrs) -> Result<Collected, Error> {
        bridge::refuse_pods_of_another(self.node()?).await?;
        let bridge = self.bridge(self.node()?.mtu().await?, Some(cidrs))?;
        let runtime_dir = &self.options.runtime_dir;
        let collected = mend::collect(self.node()?, &bridge, runtime_dir, &Doomed::Dead).await?;
        for id in &collected.removed {
            tracing::warn!("the pod {id} was gone: what it had was collected");
        }
        Ok(collected)
    }

    /// Every pod of which there is a trace on the node, with what differs from what it was promised.
    ///
    /// # Errors
    /// [`Error`] when kubenet is not initialised, or the kernel or a file cannot be read.
    pub async fn pods(&self) -> Result<Vec<PodReport>, Error> {
        let node = self.node()?;
        audit::pods(node, &Census::take(node).await?).await
    }

    /// What is wrong with the node and its pods, and how to mend it. Changes nothing.
    ///
    /// # Errors
    /// As [`pods`](Self::pods).
    pub async fn findings(&self) -> Result<Vec<Finding>, Error> {
        let node = self.node()?;
        let census = Census::take(node).await?;
        let cidrs = self.pod_cidrs();
        let mut findings = audit::node(node, &census, cidrs.as_ref()).await?;
        if let (Some(cidrs), Some(bridge)) = (&cidrs, &census.bridge) {
            let earlier = self.gateways(cidrs)?.earlier(bridge).await?;
            let prepared = Prepared { bridge: bridge.clone(), earlier, made: false };
            let network = bridge::nat_network(node, cidrs, &prepared)?;
            findings.extend(audit::rules(node, &network).await?);
        }
        let unknown = strangers::unknown_networks(node, &self.options.runtime_dir).await?;
        findings.extend(unknown.iter().map(audit::of_network_that_is_gone));
        for report in audit::pods(node, &census).await? {
            findings.extend(audit::of_pod(&report));
        }
        Ok(findings)
    }

    /// Removes what belongs to no living pod, and puts right what living ones lack.
    ///
    /// A pod lives whose veth is there. With `keep` those alone live whose sandboxes it names.
    ///
    /// # Errors
    /// As [`pods`](Self::pods), and [`Error::BridgeOfAnother`], for then the pods are somebody else's. What fails for one pod does not keep the others from being seen to, and is in
    /// [`Collected::left`].
    pub async fn collect(&self, keep: Option<&BTreeSet<String>>) -> Result<Collected, Error> {
        let (node, cidrs) = (self.node()?, self.pod_cidrs());
        bridge::refuse_pods_of_another(node).await?;
        let bridge = self.bridge(node.mtu().await?, cidrs.as_ref())?;
        let doomed = keep.map_or(Doomed::Dead, Doomed::AllBut);
        let runtime_dir = &self.options.runtime_dir;
        let mut collected = mend::collect(node, &bridge, runtime_dir, &doomed).await?;
        if let Some(cidrs) = &cidrs {
            let findings = self.findings().await?;
            let prepared = self.prepare(cidrs).await?;
            let gateways = self.gateways(cidrs)?;
            if !Census::take(node).await?.pods.is_empty() {
                gateways.carry(&prepared.bridge).await?;
            }
            let again = self.findings().await?;
            let gone = findings.into_iter().filter(|finding| !again.contains(finding));
            collected.mended.extend(gone.map(|it| format!("{}: {}", it.subject, it.problem)));
            let network = bridge::nat_network(node, cidrs, &prepared)?;
            collected.mended.extend(node.nat.remove_unneeded(&network).await?);
        }
        collected.mended.extend(strangers::forget_networks(node, runtime_dir).await?);
        let pods = mend::mend_pods(node, runtime_dir).await?;
        collected.mended.extend(pods.mended);
        collected.left.extend(pods.left);
        Ok(collected)
    }

    pub(crate) async fn detach(&self, sandbox: &PodSandbox) -> Result<(), PluginError> {
        let failed = |error: Error| PluginError::tear_down(sandbox, error);
        let _lock = self.lock_if_possible(sandbox).await.map_err(failed)?;
        let cidrs = self.pod_cidrs();
        // Nothing is made by it.
        let pod = self.pod(sandbox, Mtu::MIN, cidrs.as_ref()).map_err(failed)?;
        let detached = pod.attachment().remove().await;
        let cleared = self.clear_gateways(cidrs.as_ref()).await.map_err(Causes::new);
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
        let file = mend::lock_file(&attachment::label(sandbox.id())?);
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

/// Whether host-local had no address to give, whoever ran it.
fn is_exhausted(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.to_string().contains("no IP addresses available in range set")
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
            self.pod(pod, Mtu::MIN, None).map_err(failed)?.status().await.map_err(failed)
        })
    }

    fn status(&self) -> BoxFuture<'_, Result<(), NotReady>> {
        Box::pin(async { self.readiness().await.map(drop) })
    }
}
