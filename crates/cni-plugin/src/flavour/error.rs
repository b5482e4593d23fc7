//! Why the cni flavour could not do what it was asked.

use podnet_cni_spec::{CniError, InvalidName};
use podnet_plugin_api::InvalidBandwidth;

use crate::cache::CacheError;
use crate::conf_error::ConfError;

/// A cause that an operation of the cni flavour failed from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlavourError {
    /// Another operation on the pod did not end in time, or its lock cannot be used.
    #[error(transparent)]
    Lock(#[from] podnet_netutil::lock::LockError),
    /// A network could not be attached to or detached from.
    #[error(transparent)]
    Network(Box<crate::Error>),
    /// The network that may have attached the pod cannot be used now.
    #[error(transparent)]
    Configuration(#[from] ConfError),
    /// The result cache cannot be read.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The pod's namespace is none or the host's own, its addresses cannot be read, or another operation on the pod did
    /// not end in time.
    #[error(transparent)]
    Net(#[from] podnet_netutil::Error),
    /// The pod's annotations ask for a limit that cannot be.
    #[error(transparent)]
    Bandwidth(#[from] InvalidBandwidth),
    /// The pod's id is not one that CNI allows.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// What is known of the pod cannot be said in `CNI_ARGS`.
    #[error(transparent)]
    Args(#[from] CniError),
}

// Boxed, because an error is returned from every call and this one is large.
impl From<crate::Error> for FlavourError {
    fn from(error: crate::Error) -> Self {
        Self::Network(Box::new(error))
    }
}
