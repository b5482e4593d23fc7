//! Why an operation on a network failed.

use std::fmt;

use podnet_cni_invoke::ExecError;
use podnet_cni_spec::{
    CniError, ContainerId, ErrorCode, NetworkName, PluginType, SpecVersion, Verb,
};

use crate::cache::CacheError;

/// A plugin of a network's chain that failed. `source` names the verb, the container, the code, the
/// message and the end of stderr.
#[derive(Debug, thiserror::Error)]
#[error("network {network} (plugin {} of {count}): {source}", index + 1)]
#[non_exhaustive]
pub struct PluginFailure {
    /// The network.
    pub network: NetworkName,
    /// The plugin's place in the chain, counted from 0.
    pub index: usize,
    /// How many plugins the chain has.
    pub count: usize,
    /// The plugin's type.
    pub plugin: PluginType,
    /// What happened.
    pub source: ExecError,
}

impl PluginFailure {
    /// The end of what the plugin wrote to stderr; empty if it wrote nothing or never ran.
    #[must_use]
    pub fn stderr_tail(&self) -> &str {
        match &self.source {
            ExecError::Timeout { stderr_tail, .. }
            | ExecError::Plugin { stderr_tail, .. }
            | ExecError::NoMessage { stderr_tail, .. }
            | ExecError::OutputTooLarge { stderr_tail, .. }
            | ExecError::BadOutput { stderr_tail, .. } => stderr_tail,
            _ => "",
        }
    }
}

/// What became of a failed ADD.
#[derive(Debug)]
#[non_exhaustive]
pub enum Undo {
    /// Every plugin's DEL succeeded.
    Done,
    /// These plugins' DEL failed. The attachment stays in the cache until a DEL or GC succeeds.
    Failed(Vec<PluginFailure>),
    /// Nothing was undone, because according to the cache the attachment was made before: a second
    /// ADD must not take it away.
    AttachedBefore,
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => Ok(()),
            Self::Failed(failures) => write!(f, "; undoing it failed, too: {}", listed(failures)),
            Self::AttachedBefore => {
                f.write_str("; not undone, for it was attached before; DEL it first")
            }
        }
    }
}

/// Why an operation on a network failed. Each message is one line for a person.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for cannot be done. No plugin was run.
    #[error("network {network}: {}: {error}", of(*.verb, .container.as_ref()))]
    Refused {
        /// The network.
        network: NetworkName,
        /// What was asked for.
        verb: Verb,
        /// The container it concerned.
        container: Option<ContainerId>,
        /// What is wrong.
        #[source]
        error: CniError,
    },
    /// The configuration is in a version of the specification that does not know the verb.
    #[error(
        "network {network}: {verb} needs cniVersion {} or newer; the configuration says {version}",
        verb.since()
    )]
    VerbTooNew {
        /// The network.
        network: NetworkName,
        /// What was asked for.
        verb: Verb,
        /// The configuration's version.
        version: SpecVersion,
    },
    /// The result cache cannot be used.
    #[error("network {network}: {}: {source}", of(*.verb, .container.as_ref()))]
    Cache {
        /// The network.
        network: NetworkName,
        /// What was asked for.
        verb: Verb,
        /// The container it concerned.
        container: Option<ContainerId>,
        /// What is wrong with the cache.
        source: Box<CacheError>,
    },
    /// A plugin failed; those after it were not run.
    #[error(transparent)]
    Plugin(#[from] Box<PluginFailure>),
    /// ADD failed half way.
    #[error("{cause}{undo}")]
    Add {
        /// What failed: a plugin, or the cache.
        #[source]
        cause: Box<Error>,
        /// What became of that which was made until then.
        undo: Undo,
    },
    /// These plugins' DEL failed; all the others were run. At least one.
    #[error("{}", listed(.0))]
    Del(Vec<PluginFailure>),
    /// These parts of a GC failed; all the others were done. At least one.
    #[error("{}", listed(.0))]
    Gc(Vec<Error>),
}

impl Error {
    /// The specification's code: the plugin's own where it reported one; of several the first.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused { error, .. } => error.code,
            Self::VerbTooNew { .. } => ErrorCode::INCOMPATIBLE_VERSION,
            Self::Cache { source, .. } if matches!(**source, CacheError::Corrupt { .. }) => {
                ErrorCode::DECODING_FAILURE
            }
            Self::Cache { .. } => ErrorCode::IO_FAILURE,
            Self::Plugin(failure) => failure.source.code(),
            Self::Add { cause, .. } => cause.code(),
            Self::Del(failures) => {
                failures.first().map_or(ErrorCode::INTERNAL, |failure| failure.source.code())
            }
            Self::Gc(errors) => errors.first().map_or(ErrorCode::INTERNAL, Self::code),
        }
    }

    /// Every plugin that failed, in the order in which they did; those of an undo come last.
    #[must_use]
    pub fn plugin_failures(&self) -> Vec<&PluginFailure> {
        match self {
            Self::Refused { .. } | Self::VerbTooNew { .. } | Self::Cache { .. } => Vec::new(),
            Self::Plugin(failure) => vec![failure],
            Self::Add { cause, undo: Undo::Failed(failures) } => {
                cause.plugin_failures().into_iter().chain(failures).collect()
            }
            Self::Add { cause, .. } => cause.plugin_failures(),
            Self::Del(failures) => failures.iter().collect(),
            Self::Gc(errors) => errors.iter().flat_map(Self::plugin_failures).collect(),
        }
    }
}

impl From<Error> for CniError {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

fn of(verb: Verb, container: Option<&ContainerId>) -> String {
    container.map_or_else(|| verb.to_string(), |id| format!("{verb} of container {id}"))
}

fn listed<E: fmt::Display>(errors: &[E]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
