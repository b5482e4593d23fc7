//! Delegation to the IPAM plugin that a configuration names (CNI 1.1.0, section 4).

use podnet_cni_invoke::Exec;
use podnet_cni_spec::{AddResult, PluginType, Request, Verb};

use crate::builtin::BUILTIN_TYPES;
use crate::error::Error;

/// An IPAM plugin and the request that it gets: the caller's own, with another verb.
pub(crate) struct Ipam<'a> {
    exec: &'a dyn Exec,
    plugin: Option<PluginType>,
    request: &'a Request,
}

const HOST_LOCAL: &str = "host-local";
/// The types of the IPAM plugins that this crate has itself.
const OWN: [&str; 2] = [HOST_LOCAL, "static"];

impl<'a> Ipam<'a> {
    /// The IPAM plugin that the request's configuration names, if any.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a plugin that attaches containers: as its own IPAM plugin it would call itself.
    pub(crate) fn of(exec: &'a dyn Exec, request: &'a Request) -> Result<Self, Error> {
        let plugin = request.config.ipam_type()?;
        match plugin.as_ref().map(PluginType::as_str) {
            Some(name) if !OWN.contains(&name) && BUILTIN_TYPES.contains(&name) => {
                Err(Error::InvalidOption {
                    option: "ipam.type",
                    reason: format!("{name} gives no addresses"),
                })
            }
            _ => Ok(Self { exec, plugin, request }),
        }
    }

    /// Whether the addresses come from a store that can be asked who has them.
    pub(crate) fn is_host_local(&self) -> bool {
        self.plugin.as_ref().is_some_and(|plugin| plugin.as_str() == HOST_LOCAL)
    }

    /// Asks for addresses. Without an IPAM plugin the attachment gets none.
    pub(crate) async fn add(&self) -> Result<AddResult, Error> {
        let Some(plugin) = &self.plugin else { return Ok(AddResult::default()) };
        let result = self.run(plugin, Verb::Add).await?.unwrap_or_default();
        if result.ips.is_empty() {
            return Err(Error::NoAddress { plugin: plugin.clone() });
        }
        Ok(result)
    }

    pub(crate) async fn del(&self) -> Result<(), Error> {
        match &self.plugin {
            Some(plugin) => self.run(plugin, Verb::Del).await.map(drop),
            None => Ok(()),
        }
    }

    pub(crate) async fn check(&self) -> Result<(), Error> {
        match &self.plugin {
            Some(plugin) => self.run(plugin, Verb::Check).await.map(drop),
            None => Ok(()),
        }
    }

    pub(crate) async fn gc(&self) -> Result<(), Error> {
        match &self.plugin {
            Some(plugin) => self.run(plugin, Verb::Gc).await.map(drop),
            None => Ok(()),
        }
    }

    pub(crate) async fn status(&self) -> Result<(), Error> {
        match &self.plugin {
            Some(plugin) => self.run(plugin, Verb::Status).await.map(drop),
            None => Ok(()),
        }
    }

    async fn run(&self, plugin: &PluginType, verb: Verb) -> Result<Option<AddResult>, Error> {
        let request = Request { verb, ..self.request.clone() };
        Ok(self.exec.run(plugin, &request).await?)
    }
}
