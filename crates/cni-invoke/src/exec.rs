//! The seam: something that executes a plugin.

use std::time::Duration;

use futures_util::future::BoxFuture;
use podnet_cni_spec::{AddResult, PluginType, PluginVersions, Request};
use tokio::time::timeout;

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

    /// The same, and over after `limit`: for whoever shares a time among several calls.
    ///
    /// Unless an implementation does better, the call is dropped then. One that runs processes can still tell what the
    /// plugin wrote to stderr, and one that hands over to another `Exec` hands the limit over, too.
    ///
    /// # Errors
    /// As [`run`](Exec::run); [`ExecError::Timeout`] after `limit`.
    fn run_within<'a>(
        &'a self,
        plugin: &'a PluginType,
        request: &'a Request,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Option<AddResult>, ExecError>> {
        Box::pin(async move {
            let outcome = timeout(limit, self.run(plugin, request)).await;
            outcome.unwrap_or_else(|_| Err(ExecError::overdue(plugin, request, limit)))
        })
    }

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
