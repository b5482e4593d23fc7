//! Delegation to the IPAM plugin that a configuration names (CNI 1.1.0, section 4).

use podnet_cni_invoke::Exec;
use podnet_cni_spec::{AddResult, PluginType, Request, Verb};

use crate::error::Error;

/// An IPAM plugin and the request that it gets: the caller's own, with another verb.
pub(crate) struct Ipam<'a> {
    pub(crate) exec: &'a dyn Exec,
    pub(crate) plugin: Option<PluginType>,
    pub(crate) request: &'a Request,
}

impl Ipam<'_> {
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

    async fn run(&self, plugin: &PluginType, verb: Verb) -> Result<Option<AddResult>, Error> {
        let request = Request { verb, ..self.request.clone() };
        Ok(self.exec.run(plugin, &request).await?)
    }
}
