//! A network: a configuration, and the operations that a runtime has.

mod netns;
mod recall;
mod teardown;

use std::collections::BTreeSet;
use std::sync::Arc;

use podnet_cni_spec::{AddResult, Attachment, CniError, ErrorCode, NetworkConfigList, Verb};
use serde_json::{Map, Value};

use self::recall::Recalled;
use crate::attachment::RuntimeConf;
use crate::cache::{CacheError, CachedAttachment};
use crate::chain::{self, Budget, Halted, Plan, Step};
use crate::cni::Cni;
use crate::error::Error;

#[cfg(test)]
mod tests;

/// A network that containers are attached to: a configuration with those who execute it.
///
/// Operations on one container must not run at the same time, not even on different interfaces (CNI
/// 1.1.0, section 3): that is the runtime's to see to. GC waits for every ADD and DEL of the networks
/// of one [`Cni`] and its clones, and they for it; other processes must be kept from it by the runtime.
///
/// Dropping a future ends the plugin that is running, with its children. What an ADD made until then
/// remains, and so does its file in the cache, until a DEL or GC.
#[derive(Debug, Clone)]
pub struct Network {
    list: Arc<NetworkConfigList>,
    cni: Cni,
}

impl Network {
    pub(crate) fn new(list: NetworkConfigList, cni: Cni) -> Self {
        Self { list: Arc::new(list), cni }
    }

    /// The configuration.
    #[must_use]
    pub fn list(&self) -> &NetworkConfigList {
        &self.list
    }

    /// The capabilities that one of its plugins declares.
    #[must_use]
    pub fn capabilities(&self) -> BTreeSet<&str> {
        self.list.plugins.iter().flat_map(|plugin| plugin.capabilities()).collect()
    }

    /// Attaches a container: ADD of every plugin in order, each with the result of the one before
    /// (CNI 1.1.0, section 3, "Adding an attachment").
    ///
    /// What fails is undone with DEL of every plugin, unless the cache says that this very
    /// attachment was there before.
    ///
    /// # Errors
    /// [`Error::Refused`] or [`Error::Cache`] before any plugin runs; [`Error::Add`] from then on.
    pub async fn add(&self, conf: &RuntimeConf) -> Result<AddResult, Error> {
        let refused = |error| self.refused(Verb::Add, conf, error);
        let steps = self.plan_add(conf).map_err(refused)?;
        let _turn = self.cni.turns.beside_others(self.cni.timeout).await.map_err(refused)?;
        let attachment = CachedAttachment::new(&self.list, conf.clone());
        let intent = attachment.clone();
        let begun = self.cni.with_cache(move |cache| cache.begin(&intent)).await;
        let before = begun.map_err(|error| self.cache_failed(Verb::Add, conf, error))?;
        let budget = Budget::of(self.cni.timeout);
        let (cause, made) = match chain::add(&*self.cni.exec, steps, budget).await {
            Ok(result) => match self.remember(conf, attachment, &result).await {
                Ok(()) => return Ok(result),
                Err(error) => (error, Some(result)),
            },
            Err(Halted { failure, made }) => (Error::Plugin(failure), made),
        };
        let undo = self.undo(conf, before, made.as_ref()).await;
        Err(Error::Add { cause: Box::new(cause), undo })
    }

    fn plan_add(&self, conf: &RuntimeConf) -> Result<Vec<Step>, CniError> {
        self.require_netns(&conf.attachment)?;
        for plugin in &self.list.plugins {
            plugin.ipam_type()?;
        }
        plan(Verb::Add, &self.list, conf, None)
    }

    async fn remember(
        &self,
        conf: &RuntimeConf,
        mut attachment: CachedAttachment,
        result: &AddResult,
    ) -> Result<(), Error> {
        attachment.set_result(result, self.list.version);
        let stored = self.cni.with_cache(move |cache| cache.store(&attachment)).await;
        stored.map_err(|error| self.cache_failed(Verb::Add, conf, error))
    }

    /// Asks every plugin in order whether the attachment is as ADD left it (CNI 1.1.0, section 3,
    /// "Checking an attachment"), with the configuration, arguments and result of the ADD. Nothing is
    /// asked if the configuration has `disableCheck`.
    ///
    /// # Errors
    /// [`Error::VerbTooNew`] before 0.4.0; [`Error::Cache`] if what is cached is corrupt;
    /// [`Error::Refused`] if there was no ADD, or no plugin could be asked; [`Error::Plugin`] for the
    /// first that objects.
    pub async fn check(&self, conf: &RuntimeConf) -> Result<(), Error> {
        let refused = |error| self.refused(Verb::Check, conf, error);
        let cached = self.cached_attachment(conf).await;
        let cached = cached.map_err(|error| self.cache_failed(Verb::Check, conf, error))?;
        let known = cached.is_some();
        let recalled = Recalled::exactly(&self.list, conf, cached).map_err(refused)?;
        require_version(Verb::Check, &recalled.list)?;
        if self.list.disable_check || recalled.list.disable_check {
            return Ok(());
        }
        if !known {
            return Err(refused(not_attached()));
        }
        self.require_netns(&recalled.runtime.attachment).map_err(refused)?;
        let Recalled { list, runtime, prev } = &recalled;
        let steps = plan(Verb::Check, list, runtime, prev.as_ref()).map_err(refused)?;
        let budget = Budget::of(self.cni.timeout);
        Ok(chain::until_failure(&*self.cni.exec, steps, budget).await?)
    }

    /// Asks every plugin in order whether it could serve an ADD (CNI 1.1.0, section 2, STATUS).
    /// Before 1.1.0 there is nothing to ask.
    ///
    /// # Errors
    /// [`Error::Plugin`] for the first that could not, with code 50 or 51 where it follows the
    /// specification; [`Error::Refused`] if no plugin could be asked.
    pub async fn status(&self) -> Result<(), Error> {
        if self.list.version < Verb::Status.since() {
            return Ok(());
        }
        let steps = self.plan_for_all(Verb::Status)?;
        let budget = Budget::of(self.cni.timeout);
        Ok(chain::until_failure(&*self.cni.exec, steps, budget).await?)
    }

    /// What the cache knows of an attachment to this network.
    ///
    /// # Errors
    /// [`CacheError`] if what is there is no cached result or cannot be read.
    pub async fn cached_attachment(
        &self,
        conf: &RuntimeConf,
    ) -> Result<Option<CachedAttachment>, CacheError> {
        let Attachment { container_id, interface, .. } = conf.attachment.clone();
        let network = self.list.name.clone();
        self.cni.with_cache(move |cache| cache.lookup(&network, &container_id, &interface)).await
    }

    fn cache_failed(&self, verb: Verb, conf: &RuntimeConf, source: CacheError) -> Error {
        Error::Cache {
            network: self.list.name.clone(),
            verb,
            container: Some(conf.attachment.container_id.clone()),
            source: Box::new(source),
        }
    }

    fn require_netns(&self, attachment: &Attachment) -> Result<(), CniError> {
        netns::require(attachment.netns.as_deref(), self.cni.check_netns)
    }

    /// For verbs that concern no attachment.
    fn plan_for_all(&self, verb: Verb) -> Result<Vec<Step>, Error> {
        let nothing = Map::<String, Value>::new();
        let plan = Plan { verb, attachment: None, prev: None, capability_args: &nothing };
        plan.steps(&self.list).map_err(|error| self.refused_for_all(verb, error))
    }

    fn refused_for_all(&self, verb: Verb, error: CniError) -> Error {
        Error::Refused { network: self.list.name.clone(), verb, container: None, error }
    }

    fn refused(&self, verb: Verb, conf: &RuntimeConf, error: CniError) -> Error {
        Error::Refused {
            network: self.list.name.clone(),
            verb,
            container: Some(conf.attachment.container_id.clone()),
            error,
        }
    }
}

/// What was not added, or was deleted since, must not be checked (CNI 1.1.0, section 2, CHECK).
fn not_attached() -> CniError {
    let msg = "it is not attached to this network, as far as the result cache knows; ADD it first";
    CniError::new(ErrorCode::UNKNOWN_CONTAINER, msg)
}

fn plan(
    verb: Verb,
    list: &NetworkConfigList,
    conf: &RuntimeConf,
    prev: Option<&AddResult>,
) -> Result<Vec<Step>, CniError> {
    let capability_args = conf.capability_args.as_map();
    Plan { verb, attachment: Some(&conf.attachment), prev, capability_args }.steps(list)
}

fn require_version(verb: Verb, list: &NetworkConfigList) -> Result<(), Error> {
    if list.version >= verb.since() {
        return Ok(());
    }
    Err(Error::VerbTooNew { network: list.name.clone(), verb, version: list.version })
}
