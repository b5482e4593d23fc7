//! What can be wrong with the result cache.

use std::io;
use std::path::PathBuf;

use podnet_cni_spec::{ContainerId, InterfaceName, NetworkName};
use podnet_netutil::files::FileError;
use podnet_netutil::system_text;

/// What can be wrong with the result cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A cached result cannot be read or written.
    #[error("cached result: {0}")]
    File(#[from] FileError),
    /// The folder of the cache cannot be made or read.
    #[error("cannot use the result cache {}: {}", path.display(), system_text(source))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no cached result: empty after a power failure, cut off, or foreign.
    #[error("{} is no cached result: {reason}; remove it if nothing needs it", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The names of two attachments make the same file name, and the other one has the file.
    #[error(
        "{} is the cached result of another attachment, {interface} of container {container_id} to network \
         {network}; choose another name or delete that attachment first",
        path.display()
    )]
    Taken {
        /// The file.
        path: PathBuf,
        /// The other's network.
        network: NetworkName,
        /// The other's container.
        container_id: ContainerId,
        /// The other's interface.
        interface: InterfaceName,
    },
    /// The runtime that executes our tasks is shutting down.
    #[error("cannot use the result cache: the process is shutting down")]
    ShuttingDown,
}
