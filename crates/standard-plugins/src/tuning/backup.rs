//! What an interface was like before it was tuned: a file for each attachment, in the Go program's format.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use podnet_cni_spec::{Attachment, go_json};
use podnet_netutil::files::{FileError, read_bounded, write_atomically};
use serde::{Deserialize, Serialize};
use serde_json::ser::PrettyFormatter;

use super::attributes::Attributes;
use crate::error::Error;

/// More than any such file has, in bytes.
const LIMIT: u64 = 64 * 1024;
/// It is nobody's business but the plugin's.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Where the attributes of an attachment's interface are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BackupFile(PathBuf);

/// The file's content. The Go program leaves out what is empty or 0, save behind a pointer.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Content {
    #[serde(skip_serializing_if = "String::is_empty")]
    mac: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    promisc: Option<bool>,
    #[serde(skip_serializing_if = "is_zero")]
    mtu: u32,
    #[serde(rename = "allmulti", skip_serializing_if = "Option::is_none")]
    all_multicast: Option<bool>,
    #[serde(rename = "txQLen", skip_serializing_if = "Option::is_none")]
    tx_queue_len: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl BackupFile {
    pub(super) fn of(folder: &Path, attachment: &Attachment) -> Self {
        // Neither name can hold a slash.
        Self(folder.join(format!("{}_{}.json", attachment.container_id, attachment.interface)))
    }

    /// For a request without an attachment, which neither reads nor writes one.
    pub(super) fn nowhere(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes the file, and its folder where there is none.
    pub(super) fn write(&self, before: &Attributes) -> Result<(), Error> {
        let failed = |source| FileError::Write { path: self.0.clone(), source };
        self.create_folder().map_err(failed)?;
        let bytes = encode(before).map_err(|error| failed(io::Error::other(error)))?;
        Ok(write_atomically(&self.0, &bytes, FILE_MODE)?)
    }

    fn create_folder(&self) -> io::Result<()> {
        let Some(folder) = self.0.parent() else { return Ok(()) };
        if let Some(above) = folder.parent() {
            fs::create_dir_all(above)?;
        }
        match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads the file; none where there is none. Of one that cannot be read, or holds something else, there is nothing to
    /// put back, as with the Go program: a tear-down goes on.
    pub(super) fn read(&self) -> Option<Attributes> {
        let content = match read_bounded(&self.0, LIMIT) {
            Err(error) if error.is_not_found() => return None,
            Err(error) => Err(error.to_string()),
            Ok(bytes) => {
                decode(&bytes).ok_or_else(|| format!("{} is no file of tuning", self.0.display()))
            }
        };
        Some(content.unwrap_or_else(|why| {
            tracing::warn!("{why}: nothing to put back");
            Attributes::default()
        }))
    }

    /// Removes the file. That it is gone already is success.
    pub(super) fn remove(&self) -> Result<(), Error> {
        match fs::remove_file(&self.0) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(FileError::Write { path: self.0.clone(), source }.into())
            }
            _ => Ok(()),
        }
    }
}

fn encode(before: &Attributes) -> serde_json::Result<Vec<u8>> {
    let content = Content {
        mac: before.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        promisc: before.promisc,
        mtu: before.mtu.unwrap_or_default(),
        all_multicast: before.all_multicast,
        tx_queue_len: before.tx_queue_len,
    };
    let mut bytes = Vec::new();
    let format = PrettyFormatter::with_indent(b" ");
    content.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, format))?;
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<Attributes> {
    let content: Content = go_json::decode(&serde_json::from_slice(bytes).ok()?).ok()?;
    Some(Attributes {
        mac: content.mac.parse().ok(),
        promisc: content.promisc,
        mtu: Some(content.mtu).filter(|mtu| *mtu != 0),
        all_multicast: content.all_multicast,
        tx_queue_len: content.tx_queue_len,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// As Go 1.9.1 writes it.
    const GO: &str = "{\n \"mac\": \"02:00:00:00:00:01\",\n \"promisc\": false,\n \"mtu\": 1500,\n \"allmulti\": true,\n \"txQLen\": 0\n}";

    fn attributes() -> Attributes {
        Attributes {
            mac: Some("02:00:00:00:00:01".parse().unwrap()),
            promisc: Some(false),
            mtu: Some(1500),
            all_multicast: Some(true),
            tx_queue_len: Some(0),
        }
    }

    #[test]
    fn the_file_is_the_go_programs() {
        assert_eq!(String::from_utf8(encode(&attributes()).unwrap()).unwrap(), GO);
        assert_eq!(decode(GO.as_bytes()), Some(attributes()));
        let only_mtu = Attributes { mtu: Some(9000), ..Attributes::default() };
        assert_eq!(encode(&only_mtu).unwrap(), b"{\n \"mtu\": 9000\n}");
    }

    #[test]
    fn a_file_is_written_read_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = BackupFile(dir.path().join("cni/tuning/a1_eth0.json"));
        assert!(file.read().is_none());
        file.remove().unwrap();
        file.write(&attributes()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(file.path()), 0o600);
        assert_eq!(mode(file.path().parent().unwrap()), 0o700);
        assert_eq!(file.read(), Some(attributes()));
        fs::write(file.path(), "").unwrap();
        assert_eq!(file.read(), Some(Attributes::default()));
        file.remove().unwrap();
        assert!(file.read().is_none());
    }
}
