//! The standard plugins as an [`Exec`]: run in this process, without a fork.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use podnet_cni_invoke::{Exec, ExecError};
use podnet_cni_spec::{AddResult, PluginType, PluginVersions, Request, SpecVersion, Verb};
use tokio::time::timeout;

use crate::error::Error;
use crate::host::Host;
use crate::{bridge, host_local, loopback};

/// The types that [`BuiltinExec`] runs itself.
pub const BUILTIN_TYPES: [&str; 3] = ["loopback", "bridge", "host-local"];

/// Runs the standard plugins in this process and hands any other type to the `Exec` behind it.
#[derive(Clone)]
pub struct BuiltinExec {
    host: Host,
    others: Option<Arc<dyn Exec>>,
}

impl BuiltinExec {
    /// An `Exec` that acts on `host`, and on nothing for types it does not have itself.
    #[must_use]
    pub fn new(host: Host) -> Self {
        Self { host, others: None }
    }

    /// Hands types that are not built in to `others`.
    #[must_use]
    pub fn or_else(self, others: Arc<dyn Exec>) -> Self {
        Self { others: Some(others), ..self }
    }

    /// The host that it acts on.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    async fn run_builtin(
        &self,
        plugin: &PluginType,
        request: &Request,
    ) -> Result<Option<AddResult>, Error> {
        match (plugin.as_str(), request.verb) {
            ("loopback", Verb::Add) => loopback::add(request).await.map(Some),
            ("loopback", Verb::Del) => loopback::del(request).await.map(|()| None),
            ("loopback", Verb::Check) => loopback::check(request).await.map(|()| None),
            ("bridge", Verb::Add) => bridge::add(&self.host, self, request).await.map(Some),
            ("bridge", Verb::Del) => bridge::del(&self.host, self, request).await.map(|()| None),
            ("bridge", Verb::Check) => {
                bridge::check(&self.host, self, request).await.map(|()| None)
            }
            ("host-local", Verb::Add) => self.host.addresses.add(request).await.map(Some),
            ("host-local", Verb::Del) => self.host.addresses.del(request).await.map(|()| None),
            ("host-local", Verb::Check) => self.host.addresses.check(request).await.map(|()| None),
            // Nothing of it outlives a pod, and nothing could keep it from enabling an interface.
            ("loopback", Verb::Gc | Verb::Status) => Ok(None),
            ("bridge", Verb::Gc) => bridge::gc(&self.host, self, request).await.map(|()| None),
            ("host-local", Verb::Gc) => self.host.addresses.gc(request).await.map(|()| None),
            ("bridge", Verb::Status) => bridge::status(self, request).await.map(|()| None),
            ("host-local", Verb::Status) => host_local::status(request).map(|()| None),
            (_, verb) => Err(Error::VerbNotSupported { plugin: plugin.clone(), verb }),
        }
    }
}

/// Whether this type is one of the built-in ones.
#[must_use]
pub fn is_builtin(plugin: &PluginType) -> bool {
    BUILTIN_TYPES.contains(&plugin.as_str())
}

/// The spec versions of the built-in plugins.
#[must_use]
pub fn versions() -> PluginVersions {
    PluginVersions {
        cni_version: SpecVersion::LATEST.to_string(),
        supported: SpecVersion::ALL.iter().map(ToString::to_string).collect(),
    }
}

impl Exec for BuiltinExec {
    fn run<'a>(
        &'a self,
        plugin: &'a PluginType,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Option<AddResult>, ExecError>> {
        if let (false, Some(others)) = (is_builtin(plugin), &self.others) {
            return others.run(plugin, request);
        }
        Box::pin(async move {
            if !is_builtin(plugin) {
                return Err(not_found(plugin));
            }
            self.run_builtin(plugin, request)
                .await
                .map_err(|error| ExecError::reported(plugin, request, error.into()))
        })
    }

    fn run_within<'a>(
        &'a self,
        plugin: &'a PluginType,
        request: &'a Request,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Option<AddResult>, ExecError>> {
        if let (false, Some(others)) = (is_builtin(plugin), &self.others) {
            return others.run_within(plugin, request, limit);
        }
        Box::pin(async move {
            match timeout(limit, self.run(plugin, request)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(ExecError::overdue(plugin, request, limit)),
            }
        })
    }

    fn versions<'a>(
        &'a self,
        plugin: &'a PluginType,
    ) -> BoxFuture<'a, Result<PluginVersions, ExecError>> {
        match &self.others {
            _ if is_builtin(plugin) => Box::pin(async { Ok(versions()) }),
            Some(others) => others.versions(plugin),
            None => Box::pin(async { Err(not_found(plugin)) }),
        }
    }
}

fn not_found(plugin: &PluginType) -> ExecError {
    ExecError::NotFound { plugin: plugin.clone(), searched: Vec::new() }
}
