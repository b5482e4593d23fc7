//! Reads a file in the format of `resolv.conf(5)` as the `dns` of a result, as the reference does.

use std::fs;
use std::path::Path;

use podnet_cni_spec::Dns;
use podnet_netutil::files::{FileError, read_bounded};

/// More than any resolver reads, in bytes.
const LIMIT: u64 = 64 * 1024;

/// Reads the file. Its path may be a symbolic link: systemd's `/etc/resolv.conf` is one.
pub(super) fn read(path: &Path) -> Result<Dns, FileError> {
    let target = fs::canonicalize(path)
        .map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    read_bounded(&target, LIMIT).map(|bytes| parse(&String::from_utf8_lossy(&bytes)))
}

/// `search` and `options` add up over several lines, of `domain` the last one counts.
fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        let mut words = line.split_whitespace();
        let (Some(keyword), Some(value)) = (words.next(), words.next()) else { continue };
        let values = [value].into_iter().chain(words).map(str::to_owned);
        match keyword {
            "nameserver" => dns.nameservers.extend(values.take(1)),
            "domain" => dns.domain = Some(value.to_owned()),
            "search" => dns.search.extend(values),
            "options" => dns.options.extend(values),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_add_up_and_comments_do_not_count() {
        let dns = parse(
            "# nameserver 9.9.9.9\n ; search no.example\nnameserver 192.0.2.1 ignored\nnameserver 2001:db8::1\n\
             domain one.example\ndomain two.example\nsearch a.example b.example\nsearch c.example\n\
             options ndots:5\noptions rotate timeout:1\nsortlist 10.0.0.0\nnameserver\n",
        );
        let expected = Dns {
            nameservers: vec!["192.0.2.1".into(), "2001:db8::1".into()],
            domain: Some("two.example".into()),
            search: vec!["a.example".into(), "b.example".into(), "c.example".into()],
            options: vec!["ndots:5".into(), "rotate".into(), "timeout:1".into()],
        };
        assert_eq!(dns, expected);
    }

    #[test]
    fn a_link_to_the_file_is_followed_and_a_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("stub"), "nameserver 127.0.0.53").unwrap();
        std::os::unix::fs::symlink("stub", dir.path().join("resolv.conf")).unwrap();
        assert_eq!(read(&dir.path().join("resolv.conf")).unwrap().nameservers, ["127.0.0.53"]);
        let missing = read(&dir.path().join("missing")).unwrap_err();
        assert!(missing.to_string().ends_with("/missing: No such file or directory"), "{missing}");
    }
}
