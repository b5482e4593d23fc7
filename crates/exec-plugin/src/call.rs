//! One call of a program: arguments, environment, exit status.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use podnet_plugin_api::PodSandbox;
use tokio::process::Command;

use crate::child::{self, Ended, Failure};
use crate::error::Error;
use crate::excerpt;

/// Where a program finds the programs that it runs itself.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of what a program wrote is logged, in characters.
const LOGGED: usize = 4096;

/// What a program is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Init,
    Setup,
    Teardown,
    Status,
}

impl Verb {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Setup => "setup",
            Self::Teardown => "teardown",
            Self::Status => "status",
        }
    }
}

/// One call; all but `init` are about a pod.
pub(crate) struct Call<'a> {
    pub(crate) program: &'a Path,
    pub(crate) verb: Verb,
    pub(crate) pod: Option<&'a PodSandbox>,
}

impl Call<'_> {
    /// Executes the program; what it wrote is returned if its exit status is 0.
    pub(crate) async fn run(&self, timeout: Duration) -> Result<Ended, Error> {
        let ended = child::run(&mut self.command(), timeout).await;
        let ended = ended.map_err(|failure| self.error(failure))?;
        self.log(&ended);
        if ended.status.success() { Ok(ended) } else { Err(self.failed(&ended)) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.arg(self.verb.as_str()).env_clear().env("PATH", PATH);
        if let Some(pod) = self.pod {
            command.args([pod.namespace(), pod.name(), pod.id()]);
            command.envs(pod.netns.as_ref().map(|path| ("PODNET_NETNS", path)));
            command.envs(pod.uid.as_ref().map(|uid| ("PODNET_POD_UID", uid)));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }

    fn log(&self, ended: &Ended) {
        let (program, verb) = (self.program.display(), self.verb.as_str());
        let pod = self.pod.map(tracing::field::display);
        let stdout = excerpt::end(&String::from_utf8_lossy(&ended.stdout), LOGGED);
        tracing::debug!(%program, verb, pod, status = %ended.status, stdout, "executed");
        if !ended.stderr_tail.is_empty() {
            let stderr = excerpt::end(&ended.stderr_tail, LOGGED);
            tracing::info!(%program, verb, pod, stderr, "program said");
        }
    }

    fn failed(&self, ended: &Ended) -> Error {
        Error::Failed {
            program: self.program.to_owned(),
            verb: self.verb.as_str(),
            status: ended.status,
            stdout_tail: excerpt::end(&String::from_utf8_lossy(&ended.stdout), LOGGED),
            stderr_tail: ended.stderr_tail.clone(),
        }
    }

    fn error(&self, failure: Failure) -> Error {
        let (program, verb) = (self.program.to_owned(), self.verb.as_str());
        match failure {
            Failure::Start(source) => Error::Start { program, source },
            Failure::Contact(source) => Error::Contact { program, verb, source },
            Failure::Deadline { after, stderr_tail } => {
                Error::Timeout { program, verb, after, stderr_tail }
            }
            Failure::TooMuchOutput { limit, stderr_tail } => {
                Error::OutputTooLarge { program, verb, limit, stderr_tail }
            }
        }
    }
}
