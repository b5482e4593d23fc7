//! The node's subnet as the cluster assigns it, carried to the running plugin (kubelet `--reconcile-cidr`).

use std::sync::{Arc, Mutex, PoisonError};

use podnet_plugin_api::{Error, Event, NetworkPlugin, PodCidrs};

use crate::options::NodeOptions;

/// Tells a plugin of each change of the node's subnet.
///
/// A node agent calls [`assigned`](Self::assigned) whenever it reads its `Node` object; the plugin hears of it once.
pub struct PodCidrReconciler {
    plugin: Arc<dyn NetworkPlugin>,
    is_on: bool,
    told: Mutex<Option<PodCidrs>>,
}

impl PodCidrReconciler {
    /// For a plugin that [`start`](crate::start()) started with these options.
    #[must_use]
    pub fn new(options: &NodeOptions, plugin: Arc<dyn NetworkPlugin>) -> Self {
        Self { plugin, is_on: options.reconcile_cidr, told: Mutex::new(options.pod_cidr.clone()) }
    }

    /// Tells the plugin that the node's subnet is `cidrs`, unless it was told so last. Says whether it was told now;
    /// never, with `--reconcile-cidr=false`.
    ///
    /// # Errors
    /// The plugin's. It is told again then with the next call.
    pub async fn assigned(&self, cidrs: PodCidrs) -> Result<bool, Error> {
        let is_known = self.told().as_ref() == Some(&cidrs);
        if !self.is_on || is_known {
            return Ok(false);
        }
        self.plugin.event(Event::PodCidrChange { cidrs: cidrs.clone() }).await?;
        *self.told() = Some(cidrs);
        Ok(true)
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Option<PodCidrs>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
