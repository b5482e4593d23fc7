//! The Debian archive that this machine's apt is configured with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const CONFIGURATION: &str = "/etc/apt";
/// How the address of Debian's main archive ends, on whichever mirror.
const END: &str = "/debian";

/// An archive: its address, and the keys with which it is signed where the configuration names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Archive {
    pub(super) address: String,
    pub(super) keys: Option<String>,
}

impl Archive {
    /// The first Debian archive of this machine's configuration.
    pub(super) fn configured() -> Result<Self> {
        let texts = configuration(Path::new(CONFIGURATION));
        let archive = texts.iter().find_map(|text| Self::find(text));
        archive.with_context(|| format!("no Debian archive is configured in {CONFIGURATION}"))
    }

    /// The source list of one release of it.
    pub(super) fn source_line(&self, release: &str) -> String {
        let keys = self.keys.as_ref().map(|keys| format!("[signed-by={keys}] "));
        format!("deb {}{} {release} main\n", keys.unwrap_or_default(), self.address)
    }

    /// The first one in a source list, in either of apt's two formats.
    fn find(text: &str) -> Option<Self> {
        let lines = text.lines().find_map(Self::in_line);
        lines.or_else(|| text.split("\n\n").find_map(Self::in_paragraph))
    }

    /// `deb [options] address release component`.
    fn in_line(line: &str) -> Option<Self> {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let address = rest.split_whitespace().next()?;
        let keys = options.split_whitespace().find_map(|word| word.strip_prefix("signed-by="));
        Self::of(address, keys)
    }

    /// `Key: value` lines.
    fn in_paragraph(paragraph: &str) -> Option<Self> {
        let value = |key: &str| {
            paragraph.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.trim().eq_ignore_ascii_case(key).then_some(value.trim())
            })
        };
        value("Types")?.split_whitespace().find(|kind| *kind == "deb")?;
        let mut addresses = value("URIs")?.split_whitespace();
        addresses.find_map(|address| Self::of(address, value("Signed-By")))
    }

    fn of(address: &str, keys: Option<&str>) -> Option<Self> {
        let address = address.trim_end_matches('/');
        let keys = keys.filter(|keys| keys.starts_with('/')).map(str::to_owned);
        address.ends_with(END).then(|| Self { address: address.to_owned(), keys })
    }
}

/// The texts of all source lists.
fn configuration(folder: &Path) -> Vec<String> {
    let parts = fs::read_dir(folder.join("sources.list.d")).into_iter().flatten();
    let mut paths: Vec<PathBuf> = parts.filter_map(Result::ok).map(|part| part.path()).collect();
    paths.sort();
    paths.insert(0, folder.join("sources.list"));
    paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_found_in_both_formats() {
        let keys = "/usr/share/keyrings/debian.gpg";
        let cases = [
            ("deb http://one/debian bookworm main", Some(("http://one/debian", None))),
            ("# deb http://one/debian bookworm main", None),
            ("deb-src http://one/debian bookworm main", None),
            ("deb http://one/debian-security bookworm-security main", None),
            (
                "deb [arch=amd64 signed-by=/usr/share/keyrings/debian.gpg] https://two/debian/ stable main",
                Some(("https://two/debian", Some(keys))),
            ),
            (
                "Types: deb\n# a comment\nURIs: http://three/debian\nSuites: bookworm\nSigned-By: /usr/share/keyrings/debian.gpg\n",
                Some(("http://three/debian", Some(keys))),
            ),
            ("Types: deb-src\nURIs: http://three/debian\n", None),
            (
                "Types: deb\nURIs: http://a/debian-security\n\nTypes: deb\nURIs: http://b/debian\n",
                Some(("http://b/debian", None)),
            ),
        ];
        for (text, expected) in cases {
            let found = Archive::find(text);
            let found = found.as_ref().map(|found| (&*found.address, found.keys.as_deref()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_source_line_has_the_keys_that_are_configured() {
        let mut archive = Archive { address: "http://one/debian".into(), keys: None };
        assert_eq!(archive.source_line("sid"), "deb http://one/debian sid main\n");
        archive.keys = Some("/k.gpg".into());
        assert_eq!(
            archive.source_line("sid"),
            "deb [signed-by=/k.gpg] http://one/debian sid main\n"
        );
    }

    #[test]
    fn all_source_lists_are_read_and_a_missing_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(configuration(folder.path()), Vec::<String>::new());
        let parts = folder.path().join("sources.list.d");
        fs::create_dir(&parts).unwrap();
        fs::write(parts.join("b.sources"), "b").unwrap();
        fs::write(parts.join("a.list"), "a").unwrap();
        assert_eq!(configuration(folder.path()), ["a", "b"]);
    }
}
