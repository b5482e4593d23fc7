//! What the networks of a runtime share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use podnet_cni_invoke::Exec;
use podnet_cni_spec::{CniError, ContainerId, ErrorCode, NetworkConfigList, Verb};

use crate::cache::{CacheError, CachedAttachment, ResultCache};
use crate::error::Error;
use crate::network::Network;
use crate::turns::Turns;

/// Half of the two minutes that the kubelet gives a request (`--runtime-request-timeout`), so that
/// the other half remains for an undo.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// What the networks of a runtime share: who executes plugins, where results are cached, how long
/// things may take. Cheap to clone.
///
/// What libcni calls `CNIConfig`.
#[derive(Clone)]
#[non_exhaustive]
pub struct Cni {
    /// Executes the plugins: installed ones, built-in ones, or both.
    pub exec: Arc<dyn Exec>,
    /// Where attachments are remembered.
    pub cache: ResultCache,
    /// How long an operation may take as a whole; 60 s unless set. The plugins of a DEL share it:
    /// one that hangs does not take the time of those after it.
    pub timeout: Duration,
    /// How long the undo of a failed ADD may take besides; 60 s unless set.
    pub undo_timeout: Duration,
    /// Whether the path of a namespace must lead to one, and not to the caller's own; true unless
    /// set. Not for runtimes whose plugins take something else for `CNI_NETNS`.
    pub check_netns: bool,
    /// Shared by all clones.
    pub(crate) turns: Turns,
}

impl fmt::Debug for Cni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cni")
            .field("cache", &self.cache)
            .field("timeout", &self.timeout)
            .field("undo_timeout", &self.undo_timeout)
            .field("check_netns", &self.check_netns)
            .finish_non_exhaustive()
    }
}

impl Cni {
    /// Executes plugins with `exec` and remembers attachments in `cache`.
    #[must_use]
    pub fn new(exec: Arc<dyn Exec>, cache: ResultCache) -> Self {
        Self {
            exec,
            cache,
            timeout: DEFAULT_TIMEOUT,
            undo_timeout: DEFAULT_TIMEOUT,
            check_netns: true,
            turns: Turns::default(),
        }
    }

    /// The network of a configuration.
    #[must_use]
    pub fn network(&self, list: NetworkConfigList) -> Network {
        Network::new(list, self.clone())
    }

    /// The cached attachments of a container, to all networks: what to delete when its
    /// configuration, or the list of its networks, has gone.
    ///
    /// # Errors
    /// [`CacheError::Folder`] if the cache's folder cannot be read.
    pub async fn attachments_of(
        &self,
        container: &ContainerId,
    ) -> Result<Vec<CachedAttachment>, CacheError> {
        let container = container.clone();
        self.with_cache(move |cache| cache.attachments_of(&container)).await
    }

    /// Deletes an attachment as it was made, by the configuration in the cache alone.
    ///
    /// `cached.runtime.attachment.netns` is passed on: set it to none if the namespace has gone.
    ///
    /// # Errors
    /// As [`Network::del`]; [`Error::Refused`] if the cache does not have the configuration.
    pub async fn del_cached(&self, cached: &CachedAttachment) -> Result<(), Error> {
        let unknown = || {
            let msg = "the cached result does not have the configuration";
            CniError::new(ErrorCode::INVALID_NETWORK_CONFIG, msg)
        };
        let list = cached.list().and_then(|list| list.ok_or_else(unknown));
        let list = list.map_err(|error| Error::Refused {
            network: cached.network.clone(),
            verb: Verb::Del,
            container: Some(cached.runtime.attachment.container_id.clone()),
            error,
        })?;
        self.network(list).del(&cached.runtime).await
    }

    /// Files are worked on where they may block.
    pub(crate) async fn with_cache<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ResultCache) -> Result<T, CacheError> + Send + 'static,
    ) -> Result<T, CacheError> {
        let cache = self.cache.clone();
        match tokio::task::spawn_blocking(move || work(&cache)).await {
            Ok(outcome) => outcome,
            Err(stopped) => match stopped.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(CacheError::ShuttingDown),
            },
        }
    }
}
