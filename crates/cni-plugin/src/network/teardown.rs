//! What takes away: DEL, the undo of a failed ADD, and GC.
//!
//! None of them stops at the first failure. What failed stays in the cache, to be done again.

use std::collections::HashSet;

use podnet_cni_spec::{AddResult, Attachment, CniError, NetworkConfigList, ValidAttachment, Verb};

use super::recall::{PREV_RESULT_SINCE, Recalled};
use super::{Network, netns, plan};
use crate::attachment::RuntimeConf;
use crate::cache::{Before, CacheError, CachedAttachment};
use crate::chain::{self, Budget, Step};
use crate::error::{Error, PluginFailure, Undo};

impl Network {
    /// Detaches a container: DEL of every plugin in reverse order (CNI 1.1.0, section 3, "Deleting
    /// an attachment"), with the configuration, arguments and result of the ADD where the cache has
    /// them, with today's and without a result where it has not.
    ///
    /// A plugin that fails does not keep the others from running. Twice, never attached, a
    /// namespace that has gone: all that is success, as far as the plugins keep to the
    /// specification. A namespace that is none any more, or is the caller's own, is not passed on.
    ///
    /// # Errors
    /// [`Error::Del`] names every plugin that failed; the attachment stays in the cache.
    /// [`Error::Refused`] if there is no plugin to call, or a GC takes too long.
    pub async fn del(&self, conf: &RuntimeConf) -> Result<(), Error> {
        let turn = self.cni.turns.beside_others(self.cni.timeout).await;
        let _turn = turn.map_err(|error| self.refused(Verb::Del, conf, error))?;
        self.del_in_turn(conf).await
    }

    async fn del_in_turn(&self, conf: &RuntimeConf) -> Result<(), Error> {
        let cached = self.recollect(conf).await;
        let known = cached.is_some();
        let mut recalled = Recalled::as_far_as_possible(&self.list, conf, cached);
        let look = self.cni.check_netns;
        let path = &mut recalled.runtime.attachment.netns;
        *path = path.take().filter(|path| netns::is_alive(path, look));
        let Recalled { list, runtime, prev } = &recalled;
        let steps = plan_del(list, runtime, prev.as_ref());
        let steps = steps.map_err(|error| self.refused(Verb::Del, conf, error))?;
        let budget = Budget::of(self.cni.timeout);
        let failures = chain::all(&*self.cni.exec, steps.into_iter(), budget).await;
        if !failures.is_empty() {
            return Err(Error::Del(failures));
        }
        if known {
            self.forget(conf).await;
        }
        Ok(())
    }

    /// Takes away what a failed ADD has made, in a time of its own.
    pub(super) async fn undo(
        &self,
        conf: &RuntimeConf,
        before: Before,
        made: Option<&AddResult>,
    ) -> Undo {
        if before == Before::Attached {
            return Undo::AttachedBefore;
        }
        let failures = self.undo_all(conf, made).await;
        if !failures.is_empty() {
            return Undo::Failed(failures);
        }
        self.forget(conf).await;
        Undo::Done
    }

    async fn undo_all(&self, conf: &RuntimeConf, made: Option<&AddResult>) -> Vec<PluginFailure> {
        // What could be planned for ADD can be for DEL.
        let mut steps = plan_del(&self.list, conf, None).unwrap_or_default();
        if let Some(made) = made.filter(|_| self.list.version >= PREV_RESULT_SINCE) {
            for step in &mut steps {
                step.hand_over(made);
            }
        }
        let budget = Budget::of(self.cni.undo_timeout);
        chain::all(&*self.cni.exec, steps.into_iter(), budget).await
    }

    /// Removes what belongs to none of the attachments in `valid`, which must be all that this
    /// network is to keep: an empty list keeps none (CNI 1.1.0, section 3, "Garbage collection").
    ///
    /// First every cached attachment to this network that is not in the list is deleted, with the
    /// configuration and arguments in the cache. Then, since 1.1.0, every plugin gets a GC with the
    /// list. Nothing is done if the configuration has `disableGC`.
    ///
    /// It waits until no ADD or DEL of this [`Cni`](crate::Cni) is under way, and they wait for it. None of
    /// another process may be under way meanwhile.
    ///
    /// # Errors
    /// [`Error::Gc`] has all that failed; the rest was done. [`Error::Refused`] if there are no
    /// plugins, or an ADD or DEL takes too long.
    pub async fn gc(&self, valid: &[ValidAttachment]) -> Result<(), Error> {
        if self.list.disable_gc {
            return Ok(());
        }
        let steps = self.plan_gc(valid)?;
        let turn = self.cni.turns.alone(self.cni.timeout).await;
        let _turn = turn.map_err(|error| self.refused_for_all(Verb::Gc, error))?;
        let mut errors = Vec::new();
        match self.stale(valid).await {
            Ok(stale) => {
                for conf in &stale {
                    errors.extend(self.del_in_turn(conf).await.err());
                }
            }
            Err(error) => errors.push(error),
        }
        let budget = Budget::of(self.cni.timeout);
        let failures = chain::all(&*self.cni.exec, steps.into_iter(), budget).await;
        errors.extend(failures.into_iter().map(|failure| Error::Plugin(Box::new(failure))));
        if errors.is_empty() { Ok(()) } else { Err(Error::Gc(errors)) }
    }

    fn plan_gc(&self, valid: &[ValidAttachment]) -> Result<Vec<Step>, Error> {
        let mut steps = self.plan_for_all(Verb::Gc)?;
        if self.list.version < Verb::Gc.since() {
            return Ok(Vec::new());
        }
        for step in &mut steps {
            step.request.config = step.request.config.with_valid_attachments(valid);
        }
        Ok(steps)
    }

    /// The cached attachments to this network that are not to stay.
    async fn stale(&self, valid: &[ValidAttachment]) -> Result<Vec<RuntimeConf>, Error> {
        let listing = self.cni.with_cache(|cache| {
            cache.remove_abandoned()?;
            cache.attachments()
        });
        let cached = listing.await.map_err(|source| Error::Cache {
            network: self.list.name.clone(),
            verb: Verb::Gc,
            container: None,
            source: Box::new(source),
        })?;
        let valid: HashSet<&ValidAttachment> = valid.iter().collect();
        let stale = cached
            .into_iter()
            .filter(|cached| cached.network == self.list.name)
            .map(|cached| cached.runtime)
            .filter(|runtime| !valid.contains(&identity(runtime)))
            .map(without_reused_netns);
        Ok(stale.collect())
    }

    /// What the cache has, for a DEL, which must not fail because of it: what is corrupt is dropped.
    async fn recollect(&self, conf: &RuntimeConf) -> Option<CachedAttachment> {
        let error = match self.cached_attachment(conf).await {
            Ok(found) => return found,
            Err(error) => error,
        };
        tracing::warn!(%error, "deleting without what is cached");
        if matches!(error, CacheError::Corrupt { .. }) {
            self.forget(conf).await;
        }
        None
    }

    /// What cannot be forgotten is deleted once more by the next GC, which does no harm.
    async fn forget(&self, conf: &RuntimeConf) {
        let Attachment { container_id, interface, .. } = conf.attachment.clone();
        let network = self.list.name.clone();
        let removal =
            self.cni.with_cache(move |cache| cache.remove(&network, &container_id, &interface));
        if let Err(error) = removal.await {
            tracing::warn!(network = %self.list.name, %error, "deleted, but still cached");
        }
    }
}

/// DEL of this list in reverse order.
fn plan_del(
    list: &NetworkConfigList,
    conf: &RuntimeConf,
    prev: Option<&AddResult>,
) -> Result<Vec<Step>, CniError> {
    let mut steps = plan(Verb::Del, list, conf, prev)?;
    steps.reverse();
    Ok(steps)
}

fn identity(runtime: &RuntimeConf) -> ValidAttachment {
    let Attachment { container_id, interface, .. } = runtime.attachment.clone();
    ValidAttachment { container_id, interface }
}

/// Of a process that has ended nobody knows whose number it has now.
fn without_reused_netns(mut runtime: RuntimeConf) -> RuntimeConf {
    runtime.attachment.netns.take_if(|path| netns::is_reused(path));
    runtime
}
