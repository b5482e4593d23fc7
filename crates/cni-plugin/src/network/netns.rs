//! Is the path of a namespace one that plugins can be sent to?

use std::path::Path;

use podnet_cni_spec::{CniError, ErrorCode};
use podnet_netutil::Netns;

/// Refuses a missing path and, with `look`, one that leads to no namespace or to our own.
pub(super) fn require(netns: Option<&Path>, look: bool) -> Result<(), CniError> {
    let Some(path) = netns.filter(|path| !path.as_os_str().is_empty()) else {
        let msg = "the path of the container's network namespace is missing";
        return Err(CniError::new(ErrorCode::INVALID_ENVIRONMENT, msg));
    };
    if path.to_str().is_none() {
        let msg = format!("the path of the network namespace is not UTF-8: {}", path.display());
        return Err(CniError::new(ErrorCode::INVALID_ENVIRONMENT, msg));
    }
    if look { look_at(path) } else { Ok(()) }
}

fn look_at(path: &Path) -> Result<(), CniError> {
    let refused = |msg: String| CniError::new(ErrorCode::INVALID_NETNS, msg);
    let unknown = |error: podnet_netutil::Error| refused(error.to_string());
    let netns = Netns::open(path).map_err(unknown)?;
    let own = Netns::current().map_err(unknown)?;
    if netns.is_same_as(&own).map_err(unknown)? {
        let path = path.display();
        return Err(refused(format!("{path} is the runtime's own namespace, not a container's")));
    }
    Ok(())
}

/// Whether a DEL may be sent there. A path under `/proc` may by now be another container's or the
/// host's (Kubernetes #100648), others may have gone: plugins then do without.
pub(super) fn is_alive(path: &Path, look: bool) -> bool {
    match require(Some(path), look) {
        Ok(()) => true,
        Err(error) => {
            tracing::info!(%error, "deleting without a network namespace");
            false
        }
    }
}

/// Whether the path may lead to another namespace than when it was noted down.
pub(super) fn is_reused(path: &Path) -> bool {
    path.starts_with("/proc")
}
