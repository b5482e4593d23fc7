//! Why an operation of the managed plugin did not happen.

use std::fmt;
use std::time::Duration;

use super::Call;
use super::operation::Operation;
use crate::error::Error;
use crate::name::PluginName;

/// An operation on a pod that did not happen, by its cause.
///
/// The message is one line that names plugin, operation and pod, each once.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// The plugin could not do it.
    #[error("network plugin {plugin} {}", told(*operation, pod, source))]
    Plugin {
        /// The plugin.
        plugin: PluginName,
        /// What was tried.
        operation: Operation,
        /// On which pod.
        pod: String,
        /// What the plugin says.
        source: Error,
    },
    /// The pod was busy with earlier operations until the deadline. Nothing was begun.
    #[error(
        "network plugin {plugin} cannot {} pod {pod}: earlier operations on the pod did not end within {limit:?}; try again later",
        operation.verb()
    )]
    NoTurn {
        /// The plugin.
        plugin: PluginName,
        /// What was to be done.
        operation: Operation,
        /// To which pod.
        pod: String,
        /// The operation's deadline.
        limit: Duration,
    },
    /// The plugin did not end within the deadline, and was stopped.
    #[error(
        "network plugin {plugin} cannot {} pod {pod}: it did not end within {limit:?}{undo}",
        operation.verb()
    )]
    Overran {
        /// The plugin.
        plugin: PluginName,
        /// What was tried.
        operation: Operation,
        /// On which pod.
        pod: String,
        /// The operation's deadline.
        limit: Duration,
        /// What became of that which was done already.
        undo: Undo,
    },
}

impl ManagerError {
    pub(super) fn plugin(call: &Call<'_>, source: Error) -> Self {
        let (plugin, operation, pod) = call.names();
        Self::Plugin { plugin, operation, pod, source }
    }

    pub(super) fn no_turn(call: &Call<'_>, limit: Duration) -> Self {
        let (plugin, operation, pod) = call.names();
        Self::NoTurn { plugin, operation, pod, limit }
    }

    pub(super) fn overran(call: &Call<'_>, limit: Duration, undo: Undo) -> Self {
        let (plugin, operation, pod) = call.names();
        Self::Overran { plugin, operation, pod, limit, undo }
    }

    /// The operation that did not happen.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Plugin { operation, .. }
            | Self::NoTurn { operation, .. }
            | Self::Overran { operation, .. } => *operation,
        }
    }
}

impl Call<'_> {
    fn names(&self) -> (PluginName, Operation, String) {
        (self.manager.plugin().name().clone(), self.operation, self.pod.to_string())
    }
}

/// What became of a set-up that overran its deadline. Shown as the end of a sentence.
#[derive(Debug)]
#[non_exhaustive]
pub enum Undo {
    /// There is nothing to take back: the operation is no set-up, and is to be tried again.
    NotNeeded,
    /// It is torn down.
    Done,
    /// Its tear-down failed.
    Failed(Error),
    /// Its tear-down did not end within this time either.
    Overran(Duration),
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNeeded => f.write_str("; try again"),
            Self::Done => f.write_str(" and is undone"),
            Self::Failed(error) => write!(f, ", and undoing it failed: {}", error.reason()),
            Self::Overran(limit) => {
                write!(f, ", nor its undoing within {limit:?}; tear the pod down")
            }
        }
    }
}

/// The plugin's error as the rest of a sentence that begins with the plugin's name.
fn told(operation: Operation, pod: &str, error: &Error) -> String {
    match error {
        Error::NotReady { .. }
        | Error::SetUp { .. }
        | Error::TearDown { .. }
        | Error::PodStatus { .. } => error.to_string(),
        other => format!("cannot {} pod {pod}: {}", operation.verb(), other.reason()),
    }
}
