//! The content of an address file: whose the address is.

use podnet_cni_spec::Attachment;

/// The most that an address file may hold, in bytes: a container id and an interface's name, with plenty to spare.
pub(super) const RECORD_LIMIT: u64 = 4096;

/// An interface of a container, as an address file names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) container: String,
    /// `None` in a file of a version of the Go program that did not write it yet.
    pub(super) interface: Option<String>,
}

impl Owner {
    pub(super) fn new(attachment: &Attachment) -> Self {
        Self {
            container: attachment.container_id.as_str().to_owned(),
            interface: Some(attachment.interface.as_str().to_owned()),
        }
    }

    /// The same container as a file of an old version names it.
    pub(super) fn without_interface(&self) -> Self {
        Self { container: self.container.clone(), interface: None }
    }

    /// The interface's name for a message.
    pub(super) fn interface_text(&self) -> String {
        self.interface.clone().unwrap_or_default()
    }

    /// The file's content: the id, CR LF, the interface's name.
    pub(super) fn to_text(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{}\r\n{interface}", self.container),
            None => self.container.clone(),
        }
    }
}

/// What an address file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// The address is this interface's.
    Owned(Owner),
    /// Nothing: its writer died, or the machine did, before the content was there.
    Empty,
    /// Something else than an owner; the address counts as taken by nobody knows whom.
    Foreign,
}

impl Record {
    /// Reads a file's content. White space around it does not count, and LF alone ends a line too.
    pub(super) fn parse(content: &[u8]) -> Self {
        if content.is_empty() {
            return Self::Empty;
        }
        let text = std::str::from_utf8(content).unwrap_or_default().trim();
        let lines: Vec<&str> = text.lines().collect();
        let is_word = |line: &&str| {
            !line.is_empty() && !line.contains(|c: char| c.is_control() || c.is_whitespace())
        };
        if !lines.iter().all(is_word) {
            return Self::Foreign;
        }
        match lines.as_slice() {
            [container] => {
                Self::Owned(Owner { container: (*container).to_owned(), interface: None })
            }
            [container, interface] => Self::Owned(Owner {
                container: (*container).to_owned(),
                interface: Some((*interface).to_owned()),
            }),
            _ => Self::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_content_is_an_owner_nothing_or_foreign() {
        let owned = |container: &str, interface: Option<&str>| {
            Record::Owned(Owner {
                container: container.into(),
                interface: interface.map(Into::into),
            })
        };
        let cases: [(&[u8], Record); 10] = [
            (b"abc\r\neth0", owned("abc", Some("eth0"))),
            (b" abc\r\neth0\n", owned("abc", Some("eth0"))),
            (b"abc\neth0", owned("abc", Some("eth0"))),
            (b"abc", owned("abc", None)),
            (b"", Record::Empty),
            (b" \n", Record::Foreign),
            (b"abc\r\neth0\r\nmore", Record::Foreign),
            (b"two words", Record::Foreign),
            (b"\0\0\0\0", Record::Foreign),
            (b"\xff\xfe", Record::Foreign),
        ];
        for (content, record) in cases {
            assert_eq!(Record::parse(content), record, "{}", content.escape_ascii());
        }
        let by_us = Owner { container: "abc".into(), interface: Some("eth0".into()) };
        assert_eq!(Record::parse(by_us.to_text().as_bytes()), Record::Owned(by_us));
    }
}
