//! Keeps a plugin out of its own namespace: a runtime's mistake that would reconfigure the host.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use podnet_cni_spec::{CniError, ErrorCode};

/// This process's namespace.
const OWN: &str = "/proc/self/ns/net";

/// Refuses `netns` if it is the one this process is in. A path that cannot be looked at is another's
/// to judge: an ADD will say what is wrong with it, and a DEL must not mind.
pub(crate) fn refuse_own(netns: &Path) -> Result<(), CniError> {
    let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    match (identity(netns), identity(Path::new(OWN))) {
        (Some(named), Some(own)) if named == own => {
            let msg = format!(
                "plugin's netns and netns from CNI_NETNS should not be the same: {} is the \
                 plugin's own, set CNI_NETNS_OVERRIDE=1 if that is meant",
                netns.display()
            );
            Err(CniError::new(ErrorCode::INVALID_NETNS, msg))
        }
        _ => Ok(()),
    }
}
