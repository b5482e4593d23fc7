//! A configuration file's bytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use podnet_cni_spec::MAX_CONFIG_BYTES;
use podnet_netutil::files::read_bounded;

use super::SkipReason;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How often a link is resolved anew that is replaced under our hands.
const ATTEMPTS: usize = 8;

/// Reads a regular file, or the one that a link leads to.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, SkipReason> {
    let bytes = read_whole(file)?;
    if bytes.is_empty() {
        Err(SkipReason::Empty)
    } else if bytes.starts_with(BYTE_ORDER_MARK) {
        Err(SkipReason::ByteOrderMark)
    } else {
        Ok(bytes)
    }
}

fn read_whole(file: &Path) -> Result<Vec<u8>, SkipReason> {
    let limit = u64::try_from(MAX_CONFIG_BYTES).unwrap_or(u64::MAX);
    for _ in 1..ATTEMPTS {
        match read_bounded(&target(file)?, limit) {
            // A mounted ConfigMap is links into a folder that the kubelet replaces: what the link led to when it was
            // resolved may be gone when it is opened.
            Err(error) if error.is_not_found() => {}
            read => return Ok(read?),
        }
    }
    Ok(read_bounded(&target(file)?, limit)?)
}

fn target(file: &Path) -> Result<PathBuf, SkipReason> {
    let found = fs::symlink_metadata(file).map_err(SkipReason::unreadable)?;
    if !found.is_symlink() {
        return Ok(file.to_owned());
    }
    file.canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SkipReason::DanglingLink,
        _ => SkipReason::unreadable(error),
    })
}
