//! The standard plugins as an [`Exec`]: run in this process, without a fork.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use podnet_cni_invoke::{Exec, ExecError};
use podnet_cni_spec::{AddResult, PluginType, PluginVersions, Request, SpecVersion, Verb};
use tokio::time::timeout;

use crate::error::Error;
use crate::firewall::Firewall;
use crate::host::Host;
use crate::tuning::Tuning;
use crate::{bandwidth, bridge, host_local, loopback, portmap, ptp, static_ipam};

/// The types that [`BuiltinExec`] runs itself.
pub const BUILTIN_TYPES: [&str; 9] = [
    "loopback",
    "bridge",
    "ptp",
    "host-local",
    "static",
    "portmap",
    "bandwidth",
    "tuning",
    "firewall",
];

/// Runs the standard plugins in this process and hands any other type to the `Exec` behind it.
#[derive(Clone)]
pub struct BuiltinExec {
    host: Host,
    others: Option<Arc<dyn Exec>>,
    tuning: Tuning,
    firewall: Firewall,
}

impl BuiltinExec {
    /// An `Exec` that acts on `host`, and on nothing for types it does not have itself.
    #[must_use]
    pub fn new(host: Host) -> Self {
        Self { host, others: None, tuning: Tuning::default(), firewall: Firewall::default() }
    }

    /// Hands types that are not built in to `others`.
    #[must_use]
    pub fn or_else(self, others: Arc<dyn Exec>) -> Self {
        Self { others: Some(others), ..self }
    }

    /// Takes this value's paths for the plugin `tuning`.
    #[must_use]
    pub fn with_tuning(self, tuning: Tuning) -> Self {
        Self { tuning, ..self }
    }

    /// Takes this value's paths for the plugin `firewall`.
    #[must_use]
    pub fn with_firewall(self, firewall: Firewall) -> Self {
        Self { firewall, ..self }
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
        let host = &self.host;
        match (plugin.as_str(), request.verb) {
            ("loopback", Verb::Add) => loopback::add(request).await.map(Some),
            ("bridge", Verb::Add) => bridge::add(host, self, request).await.map(Some),
            ("ptp", Verb::Add) => ptp::add(host, self, request).await.map(Some),
            ("host-local", Verb::Add) => host.addresses.add(request).await.map(Some),
            ("static", Verb::Add) => static_ipam::add(request).map(Some),
            ("portmap", Verb::Add) => portmap::add(host, request).await.map(Some),
            ("bandwidth", Verb::Add) => bandwidth::add(host, request).await.map(Some),
            ("tuning", Verb::Add) => self.tuning.add(request).await.map(Some),
            ("firewall", Verb::Add) => self.firewall.add(host, request).await.map(Some),
            _ => self.run_without_result(plugin, request).await.map(|()| None),
        }
    }

    async fn run_without_result(
        &self,
        plugin: &PluginType,
        request: &Request,
    ) -> Result<(), Error> {
        let host = &self.host;
        match (plugin.as_str(), request.verb) {
            ("loopback", Verb::Del) => loopback::del(request).await,
            ("loopback", Verb::Check) => loopback::check(request).await,
            ("bridge", Verb::Del) => bridge::del(host, self, request).await,
            ("bridge", Verb::Check) => bridge::check(host, self, request).await,
            ("bridge", Verb::Gc) => bridge::gc(host, self, request).await,
            ("bridge", Verb::Status) => bridge::status(self, request).await,
            ("ptp", Verb::Del) => ptp::del(host, self, request).await,
            ("ptp", Verb::Check) => ptp::check(host, self, request).await,
            ("ptp", Verb::Gc) => ptp::gc(host, self, request).await,
            ("ptp", Verb::Status) => ptp::status(self, request).await,
            ("host-local", Verb::Del) => host.addresses.del(request).await,
            ("host-local", Verb::Check) => host.addresses.check(request).await,
            ("host-local", Verb::Gc) => host.addresses.gc(request).await,
            ("host-local", Verb::Status) => host_local::status(request),
            ("static", Verb::Check) => static_ipam::check(request),
            ("static", Verb::Status) => static_ipam::status(request),
            ("portmap", Verb::Del) => portmap::del(host, request).await,
            ("portmap", Verb::Check) => portmap::check(host, request).await,
            ("portmap", Verb::Gc) => portmap::gc(host, request).await,
            ("portmap", Verb::Status) => portmap::status(host, request).await,
            ("bandwidth", Verb::Del) => bandwidth::del(host, request).await,
            ("bandwidth", Verb::Check) => bandwidth::check(host, request).await,
            ("bandwidth", Verb::Gc) => bandwidth::gc(host, request).await,
            ("tuning", Verb::Del) => self.tuning.del(request).await,
            ("tuning", Verb::Check) => self.tuning.check(request).await,
            ("tuning", Verb::Status) => self.tuning.status(request),
            ("firewall", Verb::Del) => self.firewall.del(request).await,
            ("firewall", Verb::Check) => self.firewall.check(request).await,
            ("firewall", Verb::Gc) => self.firewall.gc(request).await,
            ("firewall", Verb::Status) => self.firewall.status(request).await,
            // Nothing of loopback outlives a pod, and nothing could keep it from enabling an interface; static reserves
            // nothing; what tuning remembers of a pod does not say of which network, and goes with the next boot.
            ("loopback", Verb::Gc | Verb::Status)
            | ("static", Verb::Del | Verb::Gc)
            | ("bandwidth", Verb::Status)
            | ("tuning", Verb::Gc) => Ok(()),
            (_, verb) => Err(Error::VerbNotSupported { plugin: plugin.clone(), verb }),
        }
    }
}

/// Whether this type is one of the built-in ones.
#[must_use]
pub fn is_builtin(plugin: &PluginType) -> bool {
    BUILTIN_TYPES.contains(&plugin.as_str())
}

/// The versions in which a result names interfaces, which some plugins have to know.
const WITH_INTERFACES: &[SpecVersion] = &[
    SpecVersion::V0_3_0,
    SpecVersion::V0_3_1,
    SpecVersion::V0_4_0,
    SpecVersion::V1_0_0,
    SpecVersion::V1_1_0,
];

/// The spec versions that a built-in plugin speaks.
#[must_use]
pub fn versions(plugin: &str) -> &'static [SpecVersion] {
    match plugin {
        "bandwidth" | "firewall" => WITH_INTERFACES,
        _ => SpecVersion::ALL,
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
            _ if is_builtin(plugin) => {
                let versions = PluginVersions::new(versions(plugin.as_str()));
                Box::pin(async { Ok(versions) })
            }
            Some(others) => others.versions(plugin),
            None => Box::pin(async { Err(not_found(plugin)) }),
        }
    }
}

fn not_found(plugin: &PluginType) -> ExecError {
    ExecError::NotFound { plugin: plugin.clone(), searched: Vec::new() }
}
