//! The trait that every flavour implements and every runtime calls.

use futures_core::future::BoxFuture;

use crate::capabilities::Capabilities;
use crate::error::Error;
use crate::event::Event;
use crate::name::PluginName;
use crate::pod::PodSandbox;
use crate::settings::Settings;
use crate::status::{NotReady, PodNetworkStatus};

/// Gives pods their network, and takes it away again.
///
/// A runtime makes a network namespace for a pod and starts no container in it until the pod has an address. Between
/// the two it calls a network plugin: kubenet, CNI, a program of the operator's. This trait is all that the runtime
/// knows of it.
///
/// # The life of a plugin
///
/// ```text
///        init            event(PodCidrChange)
///  made ------> started ---------------------> ready      status() tells which of the two it is
///                                                |
///                             set_up_pod  <------+------>  tear_down_pod
///                                     pod_network_status
/// ```
///
/// [`init`](Self::init) comes first and once. Some plugins are ready at once; kubenet waits for the node's subnet,
/// which in a cluster arrives later, as an [`event`](Self::event). Until then [`status`](Self::status) says why it is
/// not ready and [`set_up_pod`](Self::set_up_pod) refuses. Tear-down works at any time after `init`: a pod of an
/// earlier process must be removable before the first event has come.
///
/// # The simplest plugin
///
/// Names and readiness have no default, since every plugin has something of its own to say there. This one leaves pods
/// in the network that they are born with:
///
/// ```
/// use podnet_plugin_api::{
///     BoxFuture, Error, Event, NetworkPlugin, NotReady, PluginName, PodNetworkStatus, PodSandbox, Settings,
/// };
///
/// struct LeaveAlone;
///
/// impl NetworkPlugin for LeaveAlone {
///     fn name(&self) -> &PluginName {
///         static NAME: PluginName = PluginName::from_static("example.org/leave-alone");
///         &NAME
///     }
///     fn init<'a>(&'a self, _: &'a Settings) -> BoxFuture<'a, Result<(), Error>> {
///         Box::pin(async { Ok(()) })
///     }
///     fn set_up_pod<'a>(
///         &'a self,
///         _: &'a PodSandbox,
///     ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>> {
///         Box::pin(async { Ok(None) })
///     }
///     fn tear_down_pod<'a>(&'a self, _: &'a PodSandbox) -> BoxFuture<'a, Result<(), Error>> {
///         Box::pin(async { Ok(()) })
///     }
///     fn pod_network_status<'a>(
///         &'a self,
///         _: &'a PodSandbox,
///     ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>> {
///         Box::pin(async { Ok(None) })
///     }
///     fn status(&self) -> BoxFuture<'_, Result<(), NotReady>> {
///         Box::pin(async { Ok(()) })
///     }
/// }
///
/// // The trait is dyn-safe: a runtime holds whichever plugin its operator chose.
/// let plugin: std::sync::Arc<dyn NetworkPlugin> = std::sync::Arc::new(LeaveAlone);
/// assert_eq!(plugin.name().vendor(), Some("example.org"));
/// ```
///
/// `None` as status means "ask the runtime": the plugin knows no address of this pod that would overrule the one which
/// the runtime itself sees.
///
/// # A plugin with a subnet
///
/// The next one hands out addresses (and leaves links and routes to the reader). It shows the three things that make
/// a plugin fit for a node: it is not ready until the subnet has come, a second set-up of a pod finds the first, and
/// tear-down succeeds for a pod that it never met.
///
/// ```
/// use std::{collections::BTreeMap, net::IpAddr, sync::Mutex};
/// # use podnet_plugin_api::{BoxFuture, Error, Event, NetworkPlugin, NotReady, NotReadyReason, PluginName};
/// # use podnet_plugin_api::{PodCidr, PodNetworkStatus, PodSandbox, Settings};
///
/// #[derive(Default)]
/// struct Subnet {
///     cidr: Mutex<Option<PodCidr>>,
///     pods: Mutex<BTreeMap<String, IpAddr>>,
/// }
///
/// impl Subnet {
///     /// The pod's address, or else the lowest that is free after the gateway's.
///     fn address_of(&self, pod: &PodSandbox, cidr: &PodCidr) -> Result<IpAddr, Error> {
///         let mut pods = self.pods.lock().unwrap();
///         if let Some(known) = pods.get(pod.id()) {
///             return Ok(*known);
///         }
///         let hosts = cidr.network().iter().skip(2); // after the network's own address and the gateway's
///         let mut free = hosts.filter(|ip| !pods.values().any(|taken| taken == ip));
///         let ip = free.next().ok_or_else(|| Error::set_up(pod, format!("no address is free in {cidr}")))?;
///         pods.insert(pod.id().to_owned(), ip);
///         Ok(ip)
///     }
/// }
///
/// impl NetworkPlugin for Subnet {
///     # fn name(&self) -> &PluginName {
///     #     static NAME: PluginName = PluginName::from_static("example.org/subnet");
///     #     &NAME
///     # }
///     # fn init<'a>(&'a self, _: &'a Settings) -> BoxFuture<'a, Result<(), Error>> {
///     #     Box::pin(async { Ok(()) })
///     # }
///     // name and init as before
///     fn event(&self, event: Event) -> BoxFuture<'_, Result<(), Error>> {
///         Box::pin(async move {
///             if let Event::PodCidrChange { cidrs } = event {
///                 self.cidr.lock().unwrap().get_or_insert(*cidrs.first());
///             }
///             Ok(())
///         })
///     }
///
///     fn status(&self) -> BoxFuture<'_, Result<(), NotReady>> {
///         Box::pin(async {
///             match *self.cidr.lock().unwrap() {
///                 Some(_) => Ok(()),
///                 None => Err(NotReady::new(NotReadyReason::NoPodCidr, "no pod CIDR has been given yet")),
///             }
///         })
///     }
///
///     fn set_up_pod<'a>(
///         &'a self,
///         pod: &'a PodSandbox,
///     ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>> {
///         Box::pin(async move {
///             self.status().await.map_err(|reason| Error::not_ready(pod, reason))?;
///             let cidr = *self.cidr.lock().unwrap();
///             let ip = cidr.map(|cidr| self.address_of(pod, &cidr)).transpose()?;
///             Ok(ip.map(PodNetworkStatus::from))
///         })
///     }
///
///     fn tear_down_pod<'a>(&'a self, pod: &'a PodSandbox) -> BoxFuture<'a, Result<(), Error>> {
///         Box::pin(async move {
///             self.pods.lock().unwrap().remove(pod.id());
///             Ok(())
///         })
///     }
///
///     fn pod_network_status<'a>(
///         &'a self,
///         pod: &'a PodSandbox,
///     ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>> {
///         Box::pin(async move {
///             let ip = self.pods.lock().unwrap().get(pod.id()).copied();
///             Ok(ip.map(PodNetworkStatus::from))
///         })
///     }
/// }
///
/// # fn block_on<T>(mut future: BoxFuture<'_, T>) -> T {
/// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #     loop {
/// #         if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
/// #             return value;
/// #         }
/// #     }
/// # }
/// # block_on(Box::pin(async {
/// let plugin = Subnet::default();
/// plugin.init(&Settings::default()).await?;
/// let web = PodSandbox::new("default", "web", "a1")?.with_netns("/run/netns/web");
///
/// assert!(plugin.set_up_pod(&web).await.is_err(), "there is no subnet yet");
/// plugin.event(Event::PodCidrChange { cidrs: "10.244.0.0/24".parse()? }).await?;
///
/// let status = plugin.set_up_pod(&web).await?.ok_or("an address")?;
/// assert_eq!(status.ip().to_string(), "10.244.0.2");
/// assert_eq!(plugin.set_up_pod(&web).await?, Some(status), "a second time changes nothing");
///
/// plugin.tear_down_pod(&web).await?;
/// plugin.tear_down_pod(&web).await?;
/// assert_eq!(plugin.pod_network_status(&web).await?, None);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// # }))?;
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Data, not callbacks
///
/// The interface of the kubelet called back into it: which namespace has this sandbox, which host ports does it want?
/// Here a [`PodSandbox`] carries what a plugin needs, so that a plugin can be called from a command, a test or another
/// plugin, and cannot deadlock with its caller.
///
/// # Concurrency
///
/// All methods take `&self` and may run at the same time, for one pod too. A caller that wants operations on one pod
/// to exclude each other has to see to it; an implementation only must not break when they do not. A future that is
/// dropped before its end leaves the pod in a state that [`tear_down_pod`](Self::tear_down_pod) mends.
///
/// # Source
/// The interface `NetworkPlugin` of the kubelet, `pkg/kubelet/network/plugins.go`, Kubernetes 1.5.
pub trait NetworkPlugin: Send + Sync {
    /// The name by which an operator selects the plugin (kubelet `--network-plugin`).
    fn name(&self) -> &PluginName;

    /// What the plugin can do beside giving pods an address. By default nothing.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Prepares the plugin and the node. Called once, before anything else; only the selected plugin is.
    ///
    /// # Errors
    /// [`Error::Init`] where the plugin cannot work on this node at all. What may come right by itself is no error
    /// here but a reason in [`status`](Self::status). [`Error::AlreadyInitialised`] at a second call, from plugins to
    /// which it matters.
    fn init<'a>(&'a self, settings: &'a Settings) -> BoxFuture<'a, Result<(), Error>>;

    /// Tells the plugin about a change of the node. One that it does not care about is ignored, which is the default.
    ///
    /// # Errors
    /// [`Error::Event`] where the plugin cares and cannot follow; it goes on as before.
    fn event(&self, _event: Event) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    /// Connects a pod's network namespace, before any container of the pod starts.
    ///
    /// A second call for the same sandbox returns what the first one did. `None` means that the plugin leaves the
    /// address to the runtime, as the no-op plugin does; one that assigns addresses returns them.
    ///
    /// # Errors
    /// [`Error::NotReady`], [`Error::NoNetns`] or [`Error::SetUp`]; whatever was done is undone by then, and what
    /// could not be undone is among the causes.
    fn set_up_pod<'a>(
        &'a self,
        pod: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>>;

    /// Removes everything that a set-up made, when the pod's containers have ended.
    ///
    /// Idempotent: for a pod torn down before, set up halfway or never seen it is a success. It needs no namespace;
    /// that one was removed already is normal.
    ///
    /// # Errors
    /// [`Error::TearDown`] with every cause: a failure does not stop the steps after it. The caller tries again later.
    fn tear_down_pod<'a>(&'a self, pod: &'a PodSandbox) -> BoxFuture<'a, Result<(), Error>>;

    /// The addresses of a pod, or `None` where the plugin knows none and the runtime is to be asked.
    ///
    /// # Errors
    /// [`Error::PodStatus`] where the plugin should know and cannot tell.
    fn pod_network_status<'a>(
        &'a self,
        pod: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>>;

    /// Whether the plugin can set up pods now.
    ///
    /// # Errors
    /// [`NotReady`] says why not, for a node's condition and for the operator.
    fn status(&self) -> BoxFuture<'_, Result<(), NotReady>>;
}
