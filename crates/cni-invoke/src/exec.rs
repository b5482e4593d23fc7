//! The seam: something that executes a plugin.

use futures_util::future::BoxFuture;
use podnet_cni_spec::{AddResult, PluginType, PluginVersions, Request};

use crate::ExecError;

/// Executes a plugin of a given type with a request, and returns its result.
///
/// What libcni calls `invoke.Exec`. Whoever writes CNI configurations and hands them to an `Exec`
/// works with installed programs and with plugins linked into the process alike.
///
/// An implementation must be safe to use from many tasks at once. Dropping the future of a call
/// ends the call; whatever the plugin did until then is undone by a DEL.
pub trait Exec: Send + Sync {
    /// Executes the request's verb: `Some(result)` after ADD, `None` after any other verb.
    ///
    /// # Errors
    /// [`ExecError::Plugin`] if the plugin reported an error; the other variants if there is no
    /// such plugin, or if it could not be started, did not end in time or broke the protocol.
    fn run<'a>(
        &'a self,
        plugin: &'a PluginType,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Option<AddResult>, ExecError>>;

    /// Asks the plugin which versions of the specification it speaks (VERSION, CNI 0.2.0).
    ///
    /// A plugin older than the verb answers for version 0.1.0.
    ///
    /// # Errors
    /// As [`run`](Exec::run).
    fn versions<'a>(
        &'a self,
        plugin: &'a PluginType,
    ) -> BoxFuture<'a, Result<PluginVersions, ExecError>>;
}
