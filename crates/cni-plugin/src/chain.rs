//! The plugins of a network, called one after the other.
//!
//! Planning makes every request of a chain, so that whatever is wrong with one is known before the
//! first plugin runs; calling only calls.

use std::time::Duration;

use podnet_cni_invoke::{Exec, ExecError};
use podnet_cni_spec::{
    AddResult, Attachment, CniError, ErrorCode, NetworkConfigList, NetworkName, PluginType,
    Request, Verb,
};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::error::PluginFailure;

/// Stands for a time that never comes.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What every plugin of a chain is told alike.
pub(crate) struct Plan<'a> {
    pub(crate) verb: Verb,
    pub(crate) attachment: Option<&'a Attachment>,
    pub(crate) prev: Option<&'a AddResult>,
    pub(crate) capability_args: &'a Map<String, Value>,
}

/// One plugin with what it will be told.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    network: NetworkName,
    index: usize,
    count: usize,
    plugin: PluginType,
    pub(crate) request: Request,
}

/// An ADD that failed half way: which plugin, and the result until then.
pub(crate) struct Halted {
    pub(crate) failure: Box<PluginFailure>,
    pub(crate) made: Option<AddResult>,
}

/// A time that the calls of a chain share.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    end: Instant,
}

impl Budget {
    pub(crate) fn of(time: Duration) -> Self {
        Self { end: Instant::now() + time.min(LONGEST) }
    }

    fn rest(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// What one of `calls` that are still to come may take, so that none of them goes without.
    fn share(self, calls: usize) -> Duration {
        self.rest() / u32::try_from(calls.max(1)).unwrap_or(u32::MAX)
    }
}

impl Plan<'_> {
    /// The requests in the order of the list.
    pub(crate) fn steps(&self, list: &NetworkConfigList) -> Result<Vec<Step>, CniError> {
        if list.plugins.is_empty() {
            let msg = format!("network {} has no plugins", list.name);
            return Err(CniError::new(ErrorCode::INVALID_NETWORK_CONFIG, msg));
        }
        let at = |index: usize| {
            move |error: CniError| CniError {
                msg: format!("plugins[{index}]: {}", error.msg),
                ..error
            }
        };
        (0..list.plugins.len()).map(|index| self.step(list, index).map_err(at(index))).collect()
    }

    fn step(&self, list: &NetworkConfigList, index: usize) -> Result<Step, CniError> {
        let config = list.plugin_request_config(index, self.prev, self.capability_args)?;
        let plugin = config.plugin_type()?;
        let attachment = self.attachment.cloned();
        Ok(Step {
            network: list.name.clone(),
            index,
            count: list.plugins.len(),
            plugin,
            request: Request { verb: self.verb, attachment, config },
        })
    }
}

impl Step {
    /// Passes on what was made before. A version that cannot say it, one before 0.3.0 a result
    /// without an address, has no `prevResult` in its specification either: then there is none.
    pub(crate) fn hand_over(&mut self, made: &AddResult) {
        match self.request.config.with_prev_result(made) {
            Ok(config) => self.request.config = config,
            Err(error) => tracing::debug!(network = %self.network, %error, "no prevResult"),
        }
    }

    async fn call(
        &self,
        exec: &dyn Exec,
        limit: Duration,
    ) -> Result<Option<AddResult>, Box<PluginFailure>> {
        let outcome = exec.run_within(&self.plugin, &self.request, limit).await;
        outcome.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: ExecError) -> Box<PluginFailure> {
        Box::new(PluginFailure {
            network: self.network.clone(),
            index: self.index,
            count: self.count,
            plugin: self.plugin.clone(),
            source,
        })
    }
}

/// ADD: in order, each with the result of the one before; the first failure ends it.
pub(crate) async fn add(
    exec: &dyn Exec,
    steps: Vec<Step>,
    budget: Budget,
) -> Result<AddResult, Halted> {
    let mut made: Option<AddResult> = None;
    for mut step in steps {
        if let Some(result) = &made {
            step.hand_over(result);
        }
        match step.call(exec, budget.rest()).await {
            Ok(result) => made = Some(result.unwrap_or_default()),
            Err(failure) => return Err(Halted { failure, made }),
        }
    }
    Ok(made.unwrap_or_default())
}

/// CHECK and STATUS: in order; the first failure ends it, so that its code is the one to report.
pub(crate) async fn until_failure(
    exec: &dyn Exec,
    steps: Vec<Step>,
    budget: Budget,
) -> Result<(), Box<PluginFailure>> {
    for step in steps {
        step.call(exec, budget.rest()).await?;
    }
    Ok(())
}

/// DEL and GC: in the order given; whatever fails, the rest goes on, and has its share of the time.
pub(crate) async fn all(
    exec: &dyn Exec,
    steps: impl ExactSizeIterator<Item = Step>,
    budget: Budget,
) -> Vec<PluginFailure> {
    let mut failures = Vec::new();
    let mut left = steps.len();
    for step in steps {
        let outcome = step.call(exec, budget.share(left)).await;
        left = left.saturating_sub(1);
        failures.extend(outcome.err().filter(|failure| !is_done(failure)).map(|failure| *failure));
    }
    failures
}

/// CNI 1.1.0, section 5: code 3 says that for an unknown container nothing needs to be cleaned up.
fn is_done(failure: &PluginFailure) -> bool {
    matches!(
        &failure.source,
        ExecError::Plugin { verb: Verb::Del, error, .. }
            if error.code == ErrorCode::UNKNOWN_CONTAINER
    )
}
