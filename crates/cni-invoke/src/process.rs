//! Runs a plugin as a process.

mod capture;
mod child;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::BoxFuture;
use podnet_cni_spec::{AddResult, PluginType, PluginVersions, Request, SpecVersion, Verb};
use tokio::process::Command;

pub(crate) use self::capture::STDOUT_LIMIT;
pub(crate) use self::child::{Ended, Failure};
use crate::call::Call;
use crate::{Exec, ExecError, SearchPath, excerpt, reply};

/// Where plugins find the programs that they run themselves.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Half of the two minutes that the kubelet gives a runtime's request (`--runtime-request-timeout`),
/// so that the other half remains for an undo.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// What a plugin older than VERSION wants to see before it looks at the verb.
const DUMMY: &str = "dummy";

/// Finds a plugin's program on a search path and runs it as a process.
///
/// - The process sees `CNI_*` of the request, `CNI_PATH`, a fixed `PATH`, what `environment` adds,
///   and nothing of the caller's environment.
/// - It leads a process group of its own. The group is killed when the time is up, when the caller
///   drops the future, when more than 4 MiB come on stdout, and when the plugin fails. What a
///   successful plugin leaves running in the background stays.
/// - Reading ends a quarter of a second after the plugin ended, whoever still holds its pipes.
/// - A program that is just being written is tried again for a second.
/// - What it writes to stderr (the last 64 KiB) is logged, and is part of errors; with `inherit_stderr`
///   it goes to the caller's stderr instead.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProcessExec {
    /// The folders searched for programs; a plugin sees them as `CNI_PATH`.
    pub search_path: SearchPath,
    /// How long a plugin may take for one verb; 60 s unless set.
    pub timeout: Duration,
    /// Variables that every plugin gets besides. They may replace `PATH`, but not `CNI_*`.
    pub environment: Vec<(OsString, OsString)>,
    /// Whether plugins write to the caller's stderr, as those do to which a plugin delegates (CNI 1.1.0,
    /// section 4); no unless set.
    pub inherit_stderr: bool,
}

impl ProcessExec {
    /// Runs the programs of `search_path`, each for 60 s at most, without further variables.
    #[must_use]
    pub fn new(search_path: SearchPath) -> Self {
        let environment = Vec::new();
        Self { search_path, timeout: DEFAULT_TIMEOUT, environment, inherit_stderr: false }
    }

    async fn execute(
        &self,
        call: Call<'_>,
        variables: Vec<(&'static str, OsString)>,
        input: &[u8],
        limit: Duration,
    ) -> Result<Ended, ExecError> {
        let program = self.search_path.find(call.plugin)?;
        let mut command = self.command(&program, variables);
        tracing::debug!(%call, program = %program.display(), "executing");
        let ended =
            child::run(&mut command, input, limit).await.map_err(|failure| call.failed(failure))?;
        if !ended.stderr_tail.is_empty() {
            tracing::info!(%call, stderr = excerpt::end(&ended.stderr_tail, 4096), "plugin said");
        }
        tracing::debug!(%call, status = %ended.status, "executed");
        Ok(ended)
    }

    fn command(&self, program: &Path, variables: Vec<(&'static str, OsString)>) -> Command {
        let own = |name: &OsStr| name.as_encoded_bytes().starts_with(b"CNI_");
        let added = self.environment.iter().filter(|(name, _)| !own(name));
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", PATH)
            .envs(added.map(|(name, value)| (name, value)))
            .envs(variables)
            .env("CNI_PATH", self.search_path.to_os_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if self.inherit_stderr { Stdio::inherit() } else { Stdio::piped() })
            .process_group(0);
        command
    }

    async fn run(
        &self,
        plugin: &PluginType,
        request: &Request,
        limit: Duration,
    ) -> Result<Option<AddResult>, ExecError> {
        let call = Call::of(plugin, request);
        let version = request.config.version().map_err(|error| call.invalid(error))?;
        let input = request.config.to_json();
        let ended = self.execute(call, request.environment(), &input, limit).await?;
        match request.verb {
            Verb::Add => reply::add_result(call, &ended, version).map(Some),
            _ => reply::done(call, &ended).map(|()| None),
        }
    }

    async fn versions(&self, plugin: &PluginType) -> Result<PluginVersions, ExecError> {
        let call = Call { plugin, verb: Verb::Version, container: None };
        let input = format!(r#"{{"cniVersion":"{}"}}"#, SpecVersion::LATEST);
        let ended = self.execute(call, version_variables(), input.as_bytes(), self.timeout).await?;
        reply::versions(call, &ended)
    }
}

impl Exec for ProcessExec {
    fn run<'a>(
        &'a self,
        plugin: &'a PluginType,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Option<AddResult>, ExecError>> {
        Box::pin(ProcessExec::run(self, plugin, request, self.timeout))
    }

    fn run_within<'a>(
        &'a self,
        plugin: &'a PluginType,
        request: &'a Request,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Option<AddResult>, ExecError>> {
        Box::pin(ProcessExec::run(self, plugin, request, limit.min(self.timeout)))
    }

    fn versions<'a>(
        &'a self,
        plugin: &'a PluginType,
    ) -> BoxFuture<'a, Result<PluginVersions, ExecError>> {
        Box::pin(ProcessExec::versions(self, plugin))
    }
}

fn version_variables() -> Vec<(&'static str, OsString)> {
    let mut variables =
        vec![("CNI_COMMAND", Verb::Version.as_str().into()), ("CNI_ARGS", "".into())];
    for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"] {
        variables.push((name, DUMMY.into()));
    }
    variables
}
