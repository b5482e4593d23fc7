//! An attachment is checked and deleted as it was made: with the configuration, the arguments and the
//! result of its ADD, whatever the configuration says today (CNI 1.1.0, section 3).

use std::sync::Arc;

use podnet_cni_spec::{AddResult, CniError, ErrorCode, NetworkConfigList, SpecVersion};

use crate::attachment::RuntimeConf;
use crate::cache::CachedAttachment;

/// Since when CHECK and DEL get the result of the ADD.
pub(super) const PREV_RESULT_SINCE: SpecVersion = SpecVersion::V0_4_0;

/// With what to check or delete.
pub(super) struct Recalled {
    pub(super) list: Arc<NetworkConfigList>,
    pub(super) runtime: RuntimeConf,
    pub(super) prev: Option<AddResult>,
}

impl Recalled {
    /// For CHECK: what is cached and cannot be understood is an error.
    pub(super) fn exactly(
        today: &Arc<NetworkConfigList>,
        asked: &RuntimeConf,
        cached: Option<CachedAttachment>,
    ) -> Result<Self, CniError> {
        let Some(cached) = cached else {
            return Ok(Self::today(today, asked));
        };
        if cached.result.is_none() {
            return Err(unfinished());
        }
        // A runtime in Go caches a list without the plugins of the folder beside it.
        let list = cached.list()?.filter(|list| !list.plugins.is_empty());
        Ok(Self::of(today, with_cached_args(asked, &cached), list, cached.result()?))
    }

    /// For DEL: what is cached and cannot be understood is done without.
    pub(super) fn as_far_as_possible(
        today: &Arc<NetworkConfigList>,
        asked: &RuntimeConf,
        cached: Option<CachedAttachment>,
    ) -> Self {
        let Some(cached) = cached else {
            return Self::today(today, asked);
        };
        let warn = |error: CniError| {
            tracing::warn!(network = %today.name, %error, "deleting without part of what is cached");
        };
        let list = cached.list().map_err(warn).ok().flatten();
        let list = list.filter(|list| !lacks_plugins_of_folder(list, today));
        let result = cached.result().map_err(warn).ok().flatten();
        Self::of(today, with_cached_args(asked, &cached), list, result)
    }

    fn today(today: &Arc<NetworkConfigList>, asked: &RuntimeConf) -> Self {
        Self { list: today.clone(), runtime: asked.clone(), prev: None }
    }

    fn of(
        today: &Arc<NetworkConfigList>,
        runtime: RuntimeConf,
        list: Option<NetworkConfigList>,
        result: Option<AddResult>,
    ) -> Self {
        let list = list.map_or_else(|| today.clone(), Arc::new);
        let prev = result.filter(|_| list.version >= PREV_RESULT_SINCE);
        Self { list, runtime, prev }
    }
}

fn unfinished() -> CniError {
    let msg = "its ADD is under way, or was cut off; wait for it, or DEL the attachment";
    CniError::new(ErrorCode::TRY_AGAIN_LATER, msg)
}

/// The namespace is where the caller says it is, the arguments are those of the ADD.
fn with_cached_args(asked: &RuntimeConf, cached: &CachedAttachment) -> RuntimeConf {
    let mut runtime = asked.clone();
    // The older format has no arguments.
    if !cached.config.is_empty() {
        runtime.capability_args = cached.runtime.capability_args.clone();
        if !cached.runtime.attachment.args.is_empty() {
            runtime.attachment.args = cached.runtime.attachment.args.clone();
        }
    }
    runtime
}

/// A runtime in Go caches a list without the plugins of the folder beside it: those that today's list
/// has at its end. Should they have been added since, a DEL of them does no harm.
fn lacks_plugins_of_folder(cached: &NetworkConfigList, today: &NetworkConfigList) -> bool {
    !cached.load_only_inlined_plugins
        && cached.plugins.len() < today.plugins.len()
        && today.plugins.starts_with(&cached.plugins)
}
