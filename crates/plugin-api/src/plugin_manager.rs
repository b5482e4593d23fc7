//! One plugin behind the rules by which the kubelet calls it: one operation at a time on a pod, bounded and counted.
//!
//! This module has no clock that wakes anybody, because that would be a runtime: whoever wants deadlines hands in the
//! `sleep` of the runtime that he has ([`PluginManager::with_deadlines`]). Nothing else here depends on one.

mod deadline;
mod error;
#[cfg(feature = "metrics")]
mod metrics;
mod operation;
mod turns;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::deadline::{Deadline, Sleep};
use self::turns::Turns;
use crate::error::Error;
use crate::event::Event;
use crate::plugin::NetworkPlugin;
use crate::pod::PodSandbox;
use crate::status::{NotReady, PodNetworkStatus};

pub use self::deadline::Deadlines;
pub use self::error::{ManagerError, Undo};
pub use self::operation::Operation;

/// Calls one plugin as the kubelet does.
///
/// Operations on one pod exclude each other and are done in the order in which they came; operations on different pods
/// run at the same time. A pod is its namespace and name: two sandboxes of one pod take turns too, as when a restarted
/// pod is set up while its old sandbox is still being torn down. [`event`](Self::event) and [`status`](Self::status)
/// wait for nobody.
///
/// A future that is dropped while it waits gives its place up. One that is dropped later stops the plugin where it is
/// and lets the next operation on the pod begin, which should be a tear-down.
///
/// ```
/// # use podnet_plugin_api::{BoxFuture, Error, NetworkPlugin, NotReady, PluginName, PodNetworkStatus, Settings};
/// use podnet_plugin_api::{Deadlines, PluginManager, PodSandbox};
/// # struct Broken;
/// # impl NetworkPlugin for Broken {
/// #     fn name(&self) -> &PluginName {
/// #         static NAME: PluginName = PluginName::from_static("broken");
/// #         &NAME
/// #     }
/// #     fn init<'a>(&'a self, _: &'a Settings) -> BoxFuture<'a, Result<(), Error>> {
/// #         Box::pin(async { Ok(()) })
/// #     }
/// #     fn set_up_pod<'a>(&'a self, pod: &'a PodSandbox) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>> {
/// #         Box::pin(async { Err(Error::set_up(pod, "no address is free in 10.9.0.0/24")) })
/// #     }
/// #     fn tear_down_pod<'a>(&'a self, _: &'a PodSandbox) -> BoxFuture<'a, Result<(), Error>> {
/// #         Box::pin(async { Ok(()) })
/// #     }
/// #     fn pod_network_status<'a>(
/// #         &'a self,
/// #         _: &'a PodSandbox,
/// #     ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>> {
/// #         Box::pin(async { Ok(None) })
/// #     }
/// #     fn status(&self) -> BoxFuture<'_, Result<(), NotReady>> {
/// #         Box::pin(async { Ok(()) })
/// #     }
/// # }
/// # let sleep = |_: std::time::Duration| std::future::pending::<()>();
/// # let plugin = std::sync::Arc::new(Broken);
/// # let run = async {
///
/// // `sleep` is the runtime's: `tokio::time::sleep`, say.
/// let manager = PluginManager::new(plugin).with_deadlines(Deadlines::default(), sleep);
/// let web = PodSandbox::new("default", "web", "a1")?.with_netns("/run/netns/web");
///
/// let error = manager.set_up_pod(&web).await.unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "network plugin broken cannot set up pod default/web: no address is free in 10.9.0.0/24",
/// );
/// manager.tear_down_pod(&web).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # };
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # let std::task::Poll::Ready(result) = std::pin::pin!(run).poll(&mut context) else { panic!() };
/// # result?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: kubelet `PluginManager`, `pkg/kubelet/network/plugins.go`, Kubernetes 1.7.
pub struct PluginManager {
    plugin: Arc<dyn NetworkPlugin>,
    turns: Turns,
    deadlines: Deadlines,
    sleep: Option<Sleep>,
    #[cfg(feature = "metrics")]
    metrics: Option<metrics::Metrics>,
}

impl PluginManager {
    /// Manages a plugin that is initialised, without deadlines and metrics.
    #[must_use]
    pub fn new(plugin: Arc<dyn NetworkPlugin>) -> Self {
        Self {
            plugin,
            turns: Turns::default(),
            deadlines: Deadlines::default(),
            sleep: None,
            #[cfg(feature = "metrics")]
            metrics: None,
        }
    }

    /// The same with a deadline for each operation, kept by `sleep`: a function whose future ends after the time that
    /// it is given, such as `tokio::time::sleep`.
    #[must_use]
    pub fn with_deadlines<F>(
        self,
        deadlines: Deadlines,
        sleep: impl Fn(Duration) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let sleep: Sleep = Box::new(move |limit| Box::pin(sleep(limit)));
        Self { deadlines, sleep: Some(sleep), ..self }
    }

    /// The same, counting its operations in `registry`.
    ///
    /// | metric | kind |
    /// | --- | --- |
    /// | `kubelet_network_plugin_operations_total` | counter: operations, whether they succeeded or not |
    /// | `kubelet_network_plugin_operations_errors_total` | counter: those that failed or were dropped before their end |
    /// | `kubelet_network_plugin_operations_duration_seconds` | histogram: how long they took, waiting for their turn included |
    ///
    /// Each has the label `operation_type`, the text of an [`Operation`]. `prometheus_client::encoding::text::encode`
    /// writes a registry in Prometheus' text format. Names and buckets are the kubelet's.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn with_metrics(self, registry: &mut prometheus_client::registry::Registry) -> Self {
        Self { metrics: Some(metrics::Metrics::register(registry)), ..self }
    }

    /// The plugin itself, for what needs no order.
    #[must_use]
    pub fn plugin(&self) -> &Arc<dyn NetworkPlugin> {
        &self.plugin
    }

    /// Connects a pod's network namespace ([`NetworkPlugin::set_up_pod`]).
    ///
    /// A set-up that overruns its deadline is stopped and torn down before the pod's next operation begins.
    ///
    /// # Errors
    /// [`ManagerError`]: the plugin's own, or that a deadline passed.
    pub async fn set_up_pod(
        &self,
        pod: &PodSandbox,
    ) -> Result<Option<PodNetworkStatus>, ManagerError> {
        let call = Call { manager: self, operation: Operation::SetUpPod, pod };
        call.run(self.deadlines.set_up, async { self.plugin.set_up_pod(pod).await }).await
    }

    /// Removes everything that a set-up made ([`NetworkPlugin::tear_down_pod`]).
    ///
    /// # Errors
    /// [`ManagerError`]: the plugin's own, or that a deadline passed. Then it is to be tried again.
    pub async fn tear_down_pod(&self, pod: &PodSandbox) -> Result<(), ManagerError> {
        let call = Call { manager: self, operation: Operation::TearDownPod, pod };
        call.run(self.deadlines.tear_down, async { self.plugin.tear_down_pod(pod).await }).await
    }

    /// The addresses of a pod, where the plugin knows them ([`NetworkPlugin::pod_network_status`]).
    ///
    /// # Errors
    /// [`ManagerError`]: the plugin's own, or that a deadline passed.
    pub async fn pod_network_status(
        &self,
        pod: &PodSandbox,
    ) -> Result<Option<PodNetworkStatus>, ManagerError> {
        let call = Call { manager: self, operation: Operation::PodNetworkStatus, pod };
        call.run(self.deadlines.status, async { self.plugin.pod_network_status(pod).await }).await
    }

    /// Tells the plugin about a change of the node ([`NetworkPlugin::event`]).
    ///
    /// # Errors
    /// The plugin's own, which names it.
    pub async fn event(&self, event: Event) -> Result<(), Error> {
        self.plugin.event(event).await
    }

    /// Whether the plugin can set up pods now ([`NetworkPlugin::status`]).
    ///
    /// # Errors
    /// [`NotReady`] says why not.
    pub async fn status(&self) -> Result<(), NotReady> {
        self.plugin.status().await
    }
}

impl fmt::Debug for PluginManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginManager").field("plugin", self.plugin.name()).finish_non_exhaustive()
    }
}

/// One operation on one pod.
struct Call<'a> {
    manager: &'a PluginManager,
    operation: Operation,
    pod: &'a PodSandbox,
}

impl Call<'_> {
    async fn run<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, ManagerError> {
        #[cfg(feature = "metrics")]
        let running = self.manager.metrics.as_ref().map(|metrics| metrics.begin(self.operation));
        let result = self.in_turn(limit, work).await;
        #[cfg(feature = "metrics")]
        if let (Some(running), Ok(_)) = (running, &result) {
            running.succeed();
        }
        result
    }

    /// Waits for the pod and does the work, both within one deadline. The plugin is not called before the pod's turn.
    async fn in_turn<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, ManagerError> {
        let mut deadline = self.deadline(limit);
        let turn = deadline.bound(self.manager.turns.wait(self.pod)).await;
        let _turn = turn.map_err(|limit| ManagerError::no_turn(self, limit))?;
        match deadline.bound(work).await {
            Ok(result) => result.map_err(|error| ManagerError::plugin(self, error)),
            Err(limit) => Err(ManagerError::overran(self, limit, self.undo().await)),
        }
    }

    /// Takes back a set-up that overran, in a time of its own: that of the set-up is over.
    async fn undo(&self) -> Undo {
        if self.operation != Operation::SetUpPod {
            return Undo::NotNeeded;
        }
        let mut deadline = self.deadline(self.manager.deadlines.undo);
        match deadline.bound(self.manager.plugin.tear_down_pod(self.pod)).await {
            Ok(Ok(())) => Undo::Done,
            Ok(Err(error)) => Undo::Failed(error),
            Err(limit) => Undo::Overran(limit),
        }
    }

    fn deadline(&self, limit: Duration) -> Deadline {
        Deadline::new(limit, self.manager.sleep.as_ref())
    }
}

#[cfg(test)]
mod tests;
