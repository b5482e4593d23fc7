//! Which call of which plugin, for errors and logs.

use std::fmt;

use podnet_cni_spec::{CniError, ContainerId, PluginType, Request, Verb};

use crate::process::{Ended, Failure};
use crate::{ExecError, excerpt};

/// A verb executed by a plugin, for a container where the verb concerns one.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) plugin: &'a PluginType,
    pub(crate) verb: Verb,
    pub(crate) container: Option<&'a ContainerId>,
}

impl<'a> Call<'a> {
    pub(crate) fn of(plugin: &'a PluginType, request: &'a Request) -> Self {
        let container = request.attachment.as_ref().map(|attachment| &attachment.container_id);
        Self { plugin, verb: request.verb, container }
    }

    /// The plugin's own error.
    pub(crate) fn reported(self, error: CniError, stderr_tail: String) -> ExecError {
        ExecError::Plugin {
            plugin: self.plugin.clone(),
            verb: self.verb,
            container: self.container.cloned(),
            error: Box::new(error),
            stderr_tail,
        }
    }

    /// A request that no plugin can be given.
    pub(crate) fn invalid(self, error: CniError) -> ExecError {
        ExecError::InvalidRequest {
            plugin: self.plugin.clone(),
            verb: self.verb,
            container: self.container.cloned(),
            error: Box::new(error),
        }
    }

    /// A failure without a word on stdout.
    pub(crate) fn no_message(self, ended: &Ended) -> ExecError {
        ExecError::NoMessage {
            plugin: self.plugin.clone(),
            verb: self.verb,
            container: self.container.cloned(),
            status: ended.status,
            stderr_tail: ended.stderr_tail.clone(),
        }
    }

    /// An output that is not what the verb asks for.
    pub(crate) fn bad_output(self, ended: &Ended, reason: String) -> ExecError {
        let beginning = ended.stdout.get(..1000).unwrap_or(&ended.stdout);
        ExecError::BadOutput {
            plugin: self.plugin.clone(),
            verb: self.verb,
            container: self.container.cloned(),
            status: ended.status,
            reason,
            excerpt: excerpt::beginning(&String::from_utf8_lossy(beginning), 200),
            stderr_tail: ended.stderr_tail.clone(),
        }
    }

    /// A process that did not come to its end.
    pub(crate) fn failed(self, failure: Failure) -> ExecError {
        let (plugin, verb) = (self.plugin.clone(), self.verb);
        let container = self.container.cloned();
        match failure {
            Failure::Start { program, source } => {
                ExecError::Spawn { plugin, verb, container, program, source }
            }
            Failure::Talk(source) => ExecError::Io { plugin, verb, container, source },
            Failure::Deadline { after, stderr_tail } => {
                ExecError::Timeout { plugin, verb, container, after, stderr_tail }
            }
            Failure::TooMuchOutput { limit, stderr_tail } => {
                ExecError::OutputTooLarge { plugin, verb, container, limit, stderr_tail }
            }
        }
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin {}: {}", self.plugin, self.verb.as_str())?;
        match self.container {
            Some(container) => write!(f, " of container {container}"),
            None => Ok(()),
        }
    }
}
