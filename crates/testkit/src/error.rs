//! What can go wrong with a throw-away host.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A throw-away host that could not be built, or a probe that got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a namespace or a link.
    #[error(transparent)]
    Net(#[from] podnet_netutil::Error),
    /// A folder or file of the host could not be made, or not be looked at.
    #[error("cannot make or read {path}: {source}", path = path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No thread or runtime could be started in the host's namespace.
    #[error("cannot start a runtime in the host's namespace: {0}")]
    Runtime(#[source] io::Error),
    /// A probe's socket failed.
    #[error("cannot {action} {target}: {}", podnet_netutil::system_text(source))]
    Probe {
        /// `ping`, `connect to`, `serve on`.
        action: &'static str,
        /// Whom the probe was for.
        target: String,
        /// What the system said.
        source: io::Error,
    },
    /// No echo reply came.
    #[error("no echo reply from {target} within {} ms", waited.as_millis())]
    NoReply {
        /// The address that was pinged.
        target: IpAddr,
        /// How long the probe waited.
        waited: Duration,
    },
}
