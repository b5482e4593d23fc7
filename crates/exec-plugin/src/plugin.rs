//! The plugin itself.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use podnet_plugin_api::{
    BoxFuture, Causes, Error as ApiError, NetworkPlugin, NotReady, NotReadyReason, PluginName,
    PodNetworkStatus, PodSandbox, Settings,
};

use crate::call::{Call, Verb};
use crate::child::Ended;
use crate::error::Error;
use crate::program::Program;
use crate::status;

/// Half of the two minutes that the kubelet gives a runtime's request (`--runtime-request-timeout`): a set-up is two
/// calls. Its undo has a time of its own.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// A program that is called for each pod; made by [`probe`](crate::probe()).
///
/// It remembers no pod, so that whatever one process set up another one can tear down. Before each call the program is
/// checked as [`check`](Self::check) does.
///
/// - [`init`](NetworkPlugin::init) runs `init`; from then on the plugin is ready. The settings are not passed on.
/// - [`set_up_pod`](NetworkPlugin::set_up_pod) runs `setup` and then `status`; where one of them fails, `teardown`.
/// - [`tear_down_pod`](NetworkPlugin::tear_down_pod) runs `teardown`, and
///   [`pod_network_status`](NetworkPlugin::pod_network_status) `status`; both also before `init`.
/// - [`event`](NetworkPlugin::event) does nothing.
#[derive(Debug)]
pub struct ExecPlugin {
    name: PluginName,
    program: Program,
    timeout: Duration,
    initialised: OnceLock<()>,
}

impl ExecPlugin {
    /// The plugin of this name in a folder of `dir`.
    pub(crate) fn new(name: PluginName, dir: &Path, folder: PathBuf) -> Self {
        let program = Program::new(dir.to_owned(), folder, name.base());
        Self { name, program, timeout: DEFAULT_TIMEOUT, initialised: OnceLock::new() }
    }

    /// The same with another limit for each call of the program; it is 60 s unless set.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The path of the program, whether it exists or not.
    #[must_use]
    pub fn program(&self) -> &Path {
        self.program.path()
    }

    /// Whether the program may be executed, found out without executing it.
    ///
    /// It must be a file that the user of this process can execute. It, its folder and the folder of plugins must
    /// belong to root or to that user and must not be writable by everybody; where links lead elsewhere, this holds
    /// for the place that they lead to.
    ///
    /// # Errors
    /// The first of these that does not hold, with what to do about it.
    pub fn check(&self) -> Result<(), Error> {
        self.program.check()
    }

    async fn call(&self, verb: Verb, pod: Option<&PodSandbox>) -> Result<Ended, Error> {
        self.check()?;
        Call { program: self.program(), verb, pod }.run(self.timeout).await
    }

    async fn start(&self) -> Result<(), ApiError> {
        let again = || ApiError::AlreadyInitialised { plugin: self.name.clone() };
        if self.initialised.get().is_some() {
            return Err(again());
        }
        let ended = self.call(Verb::Init, None).await;
        ended.map_err(|error| ApiError::init(&self.name, error))?;
        self.initialised.set(()).map_err(|()| again())
    }

    fn readiness(&self) -> Result<(), NotReady> {
        self.initialised.get().copied().ok_or_else(|| {
            let message = format!("network plugin {} has not been initialised", self.name);
            NotReady::new(NotReadyReason::NotInitialised, message)
        })
    }

    async fn set_up(&self, pod: &PodSandbox) -> Result<Option<PodNetworkStatus>, ApiError> {
        self.readiness().map_err(|reason| ApiError::not_ready(pod, reason))?;
        // A program that must not be executed has done nothing, and cannot undo it either.
        self.check().map_err(|error| ApiError::set_up(pod, error))?;
        match self.connect(pod).await {
            Ok(status) => Ok(status),
            Err(error) => Err(self.undo(pod, error).await),
        }
    }

    async fn connect(&self, pod: &PodSandbox) -> Result<Option<PodNetworkStatus>, Error> {
        self.call(Verb::Setup, Some(pod)).await?;
        self.ask(pod).await
    }

    async fn undo(&self, pod: &PodSandbox, error: Error) -> ApiError {
        let mut causes = Causes::new(error);
        if let Err(error) = self.call(Verb::Teardown, Some(pod)).await {
            causes.push(error);
        }
        ApiError::set_up(pod, causes)
    }

    async fn ask(&self, pod: &PodSandbox) -> Result<Option<PodNetworkStatus>, Error> {
        let ended = self.call(Verb::Status, Some(pod)).await?;
        status::parse(&ended.stdout)
            .map_err(|reason| Error::bad_status(self.program(), reason, &ended))
    }
}

impl NetworkPlugin for ExecPlugin {
    fn name(&self) -> &PluginName {
        &self.name
    }

    fn init<'a>(&'a self, _: &'a Settings) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(self.start())
    }

    fn set_up_pod<'a>(
        &'a self,
        pod: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, ApiError>> {
        Box::pin(self.set_up(pod))
    }

    fn tear_down_pod<'a>(&'a self, pod: &'a PodSandbox) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async move {
            let ended = self.call(Verb::Teardown, Some(pod)).await;
            ended.map(drop).map_err(|error| ApiError::tear_down(pod, error))
        })
    }

    fn pod_network_status<'a>(
        &'a self,
        pod: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, ApiError>> {
        Box::pin(
            async move { self.ask(pod).await.map_err(|error| ApiError::pod_status(pod, error)) },
        )
    }

    fn status(&self) -> BoxFuture<'_, Result<(), NotReady>> {
        Box::pin(async { self.readiness() })
    }
}
