//! Who runs the standard plugins of a node: the programs that are installed, or this process.

mod asked;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use podnet_cni_invoke::{Exec, ExecError, ProcessExec, SearchPath, accept_versions};
use podnet_cni_spec::{AddResult, PluginType, PluginVersions, Request};
use semver::Version;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use self::asked::Asked;
use crate::builtin::{self, BuiltinExec, is_builtin};
use crate::error::Error;
use crate::host::Host;

#[cfg(test)]
mod tests;

/// The oldest version that a program of a standard type must speak: the first with VERSION. The kubelet's.
const OLDEST: Version = Version::new(0, 2, 0);

/// Who runs the plugins of the standard types. Others are always programs on the search path.
///
/// ```
/// use podnet_standard_plugins::PluginChoice;
///
/// assert_eq!("installed".parse(), Ok(PluginChoice::Installed));
/// assert_eq!(PluginChoice::default().to_string(), "auto");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PluginChoice {
    /// A program where one is installed that speaks CNI 0.2.0 or newer, this process where none is.
    #[default]
    Auto,
    /// Programs only: one that is missing or too old is an error.
    Installed,
    /// This process, whatever is installed.
    Builtin,
}

impl PluginChoice {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Installed, Self::Builtin];

    /// The choice as an option has it: `auto`, `installed` or `builtin`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Installed => "installed",
            Self::Builtin => "builtin",
        }
    }
}

impl fmt::Display for PluginChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PluginChoice {
    type Err = UnknownPluginChoice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|choice| choice.as_str() == text);
        known.ok_or_else(|| UnknownPluginChoice(text.to_owned()))
    }
}

/// A text that names no [`PluginChoice`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown choice of plugins {0:?}: use auto, installed or builtin")]
pub struct UnknownPluginChoice(pub String);

/// Runs the standard plugins as [`PluginChoice`] says, and every other one as a program.
///
/// Both ways leave the same state, so that a node may change from one to the other at any time.
///
/// A program of a standard type is asked for its versions before it is run for the first time, and again when its
/// file has changed. One that does not answer is an error whatever the choice: that may be only for the moment, and
/// an operation must not change hands half way.
pub struct ChosenExec {
    choice: PluginChoice,
    runtime_dir: PathBuf,
    programs: Arc<ProcessExec>,
    asked: Asked,
    /// Opened when it is first needed, for only then is there anything to be opened.
    builtin: OnceCell<BuiltinExec>,
}

/// Who runs a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runner {
    Program,
    Builtin,
}

impl ChosenExec {
    /// Runs installed programs with `programs`. `runtime_dir` is that of [`Host::open`], which is called when a built-in
    /// plugin is run for the first time.
    #[must_use]
    pub fn new(
        choice: PluginChoice,
        programs: ProcessExec,
        runtime_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            choice,
            runtime_dir: runtime_dir.into(),
            programs: Arc::new(programs),
            asked: Asked::default(),
            builtin: OnceCell::new(),
        }
    }

    /// Runs the built-in plugins over `host`, which is open already.
    #[must_use]
    pub fn over(mut self, host: Host) -> Self {
        let others: Arc<dyn Exec> = Arc::<ProcessExec>::clone(&self.programs);
        self.builtin = OnceCell::new_with(Some(BuiltinExec::new(host).or_else(others)));
        self
    }

    /// The choice.
    #[must_use]
    pub fn choice(&self) -> PluginChoice {
        self.choice
    }

    /// The folders in which programs are looked for.
    #[must_use]
    pub fn search_path(&self) -> &SearchPath {
        &self.programs.search_path
    }

    /// The program that a plugin of this type is run as; none where it runs in this process.
    ///
    /// # Errors
    /// [`ExecError::NotFound`] and [`ExecError::VersionTooOld`] where only a program will do; whatever
    /// [`Exec::versions`] returned.
    pub async fn program(&self, plugin: &PluginType) -> Result<Option<PathBuf>, ExecError> {
        match self.runner(plugin).await? {
            Runner::Program => self.search_path().find(plugin).map(Some),
            Runner::Builtin => Ok(None),
        }
    }

    async fn runner(&self, plugin: &PluginType) -> Result<Runner, ExecError> {
        if !is_builtin(plugin) {
            return Ok(Runner::Program);
        }
        if self.choice == PluginChoice::Builtin {
            return Ok(Runner::Builtin);
        }
        let spoken = match self.search_path().find(plugin) {
            Ok(program) => self.ask(plugin, &program).await?,
            Err(_) if self.choice == PluginChoice::Auto => return Ok(Runner::Builtin),
            Err(missing) => return Err(missing),
        };
        match accept_versions(plugin, &spoken, &OLDEST) {
            Ok(()) => Ok(Runner::Program),
            Err(_) if self.choice == PluginChoice::Auto => Ok(Runner::Builtin),
            Err(too_old) => Err(too_old),
        }
    }

    async fn ask(
        &self,
        plugin: &PluginType,
        program: &Path,
    ) -> Result<Arc<PluginVersions>, ExecError> {
        if let Some(spoken) = self.asked.find(plugin, program) {
            return Ok(spoken);
        }
        let file = asked::File::of(program);
        let spoken = Arc::new(self.programs.versions(plugin).await?);
        if let Err(too_old) = accept_versions(plugin, &spoken, &OLDEST) {
            tracing::warn!(program = %program.display(), "{too_old}");
        }
        self.asked.remember(plugin, file, &spoken);
        Ok(spoken)
    }

    async fn builtin(&self) -> Result<&BuiltinExec, Error> {
        let open = || async {
            let others: Arc<dyn Exec> = Arc::<ProcessExec>::clone(&self.programs);
            Ok(BuiltinExec::new(Host::open(&self.runtime_dir)?).or_else(others))
        };
        self.builtin.get_or_try_init(open).await
    }

    async fn executor(
        &self,
        plugin: &PluginType,
        request: &Request,
    ) -> Result<&dyn Exec, ExecError> {
        if self.runner(plugin).await? == Runner::Program {
            return Ok(&*self.programs);
        }
        match self.builtin().await {
            Ok(builtin) => Ok(builtin),
            Err(error) => Err(ExecError::reported(plugin, request, error.into())),
        }
    }

    async fn run_within(
        &self,
        plugin: &PluginType,
        request: &Request,
        limit: Duration,
    ) -> Result<Option<AddResult>, ExecError> {
        let started = Instant::now();
        let Ok(executor) = timeout(limit, self.executor(plugin, request)).await else {
            return Err(ExecError::overdue(plugin, request, limit));
        };
        let left = limit.saturating_sub(started.elapsed());
        executor?.run_within(plugin, request, left).await
    }

    async fn versions(&self, plugin: &PluginType) -> Result<PluginVersions, ExecError> {
        match self.runner(plugin).await {
            Ok(Runner::Builtin) => Ok(PluginVersions::new(builtin::versions(plugin.as_str()))),
            // What a program says that is too old is for the caller to judge.
            Ok(Runner::Program) | Err(ExecError::VersionTooOld { .. }) => {
                match self.search_path().find(plugin) {
                    Ok(program) => Ok((*self.ask(plugin, &program).await?).clone()),
                    Err(missing) => Err(missing),
                }
            }
            Err(error) => Err(error),
        }
    }
}

impl Exec for ChosenExec {
    fn run<'a>(
        &'a self,
        plugin: &'a PluginType,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Option<AddResult>, ExecError>> {
        Box::pin(async move { self.executor(plugin, request).await?.run(plugin, request).await })
    }

    fn run_within<'a>(
        &'a self,
        plugin: &'a PluginType,
        request: &'a Request,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Option<AddResult>, ExecError>> {
        Box::pin(ChosenExec::run_within(self, plugin, request, limit))
    }

    fn versions<'a>(
        &'a self,
        plugin: &'a PluginType,
    ) -> BoxFuture<'a, Result<PluginVersions, ExecError>> {
        Box::pin(ChosenExec::versions(self, plugin))
    }
}
