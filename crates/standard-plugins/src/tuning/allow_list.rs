//! The allow-list of a node's operator: which sysctls pods' configurations may set.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use podnet_netutil::files::{FileError, read_bounded};
use regex_lite::Regex;

use crate::error::Error;

/// More than any operator writes, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// Refuses keys that no pattern of the list matches. Without a list everything is allowed.
pub(super) fn check<'a>(file: &Path, mut keys: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let Some(text) = read(file)? else { return Ok(()) };
    let patterns = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let patterns = patterns.map(|pattern| compile(file, pattern)).collect::<Result<Vec<_>, _>>()?;
    let refused = keys.find(|key| !patterns.iter().any(|pattern| pattern.is_match(key)));
    match refused {
        Some(key) => Err(Error::SysctlNotAllowed { key: key.to_owned(), file: file.to_owned() }),
        None => Ok(()),
    }
}

/// The path may be a symbolic link: a mounted `ConfigMap` is one. A link that leads nowhere is a list that cannot be read.
fn read(file: &Path) -> Result<Option<String>, Error> {
    let failed = |source| FileError::Read { path: file.to_owned(), source };
    match fs::symlink_metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    let target = fs::canonicalize(file).map_err(failed)?;
    let bytes = read_bounded(&target, LIMIT)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// A pattern allows what it matches from the first character to the last: one without anchors must not allow every key in
/// which it occurs.
fn compile(file: &Path, pattern: &str) -> Result<Regex, Error> {
    let invalid = |error: regex_lite::Error| Error::InvalidAllowList {
        file: file.to_owned(),
        pattern: pattern.to_owned(),
        reason: error.to_string(),
    };
    // By itself first: a stray parenthesis must not open the group around it.
    Regex::new(pattern).map_err(invalid)?;
    Regex::new(&format!("^(?:{pattern})$")).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(list: &str, key: &str) -> Result<(), Error> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("allowlist.conf");
        fs::write(&file, list).unwrap();
        check(&file, [key].into_iter())
    }

    #[test]
    fn a_pattern_matches_a_whole_key() {
        let list = "\n  ^net\\.ipv4\\.conf\\.IFNAME\\.(arp_filter|log_martians)$ \nnet.core.somaxconn\n\
                    a|net.ipv4.ip_forward\n";
        for key in [
            "net.ipv4.conf.IFNAME.arp_filter",
            "net.core.somaxconn",
            "net/core/somaxconn",
            "net.ipv4.ip_forward",
        ] {
            allowed(list, key).unwrap();
        }
        for key in [
            "net.ipv4.conf.all.arp_filter",
            "net.core.somaxconn_more",
            "net.ipv4.net.core.somaxconn",
            "net.ipv4.ip_forward_more",
            "",
        ] {
            assert!(matches!(allowed(list, key), Err(Error::SysctlNotAllowed { .. })), "{key}");
        }
    }

    #[test]
    fn an_empty_list_allows_nothing_and_a_missing_one_everything() {
        assert!(allowed("\n", "net.core.somaxconn").is_err());
        check(Path::new("/nowhere/allowlist.conf"), ["net.core.somaxconn"].into_iter()).unwrap();
    }

    #[test]
    fn a_list_that_cannot_be_used_allows_nothing() {
        for list in ["net.core.(", "net)|(.*", "*"] {
            assert!(matches!(allowed(list, "net"), Err(Error::InvalidAllowList { .. })), "{list}");
        }
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("allowlist.conf");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(matches!(check(&link, ["net"].into_iter()), Err(Error::File(_))));
    }
}
