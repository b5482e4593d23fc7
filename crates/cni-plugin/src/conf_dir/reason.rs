//! Why a file gives no network.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use podnet_cni_spec::{CniError, NetworkName};
use podnet_netutil::files::FileError;

use super::MAX_FILES;
use crate::programs::UnusableNetwork;

/// Why a file gives no network, or a folder none of its files. A message that follows the file's name.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// It is something that must not be read as a file.
    #[error("it is {kind}, not a regular file")]
    NotRegular {
        /// What it is, with its article.
        kind: &'static str,
    },
    /// It is a symbolic link, and there is nothing where it points to.
    #[error("it is a link to nothing")]
    DanglingLink,
    /// The folder does not exist.
    #[error("there is no such folder")]
    NoFolder,
    /// The system refused to read it.
    #[error("cannot read it: {source}")]
    Unreadable {
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// It is larger than any configuration.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// It has no content, as after a power failure or while it is being written.
    #[error("it is empty")]
    Empty,
    /// It begins with the mark that some editors write.
    #[error("it begins with a byte order mark, which JSON does not allow: save it as plain UTF-8")]
    ByteOrderMark,
    /// Its content is no network configuration.
    #[error("{0}")]
    Invalid(#[source] CniError),
    /// It holds a list, and its name says that it is a single plugin's configuration.
    #[error("it is a list of plugins without a type: let its name end in .conflist")]
    ListInSingle,
    /// The list has no plugins, nor has its folder.
    #[error("network {network} has no plugins, neither in the list nor in {}", .folder.display())]
    NoPlugins {
        /// The network.
        network: NetworkName,
        /// The folder in which they were looked for.
        folder: PathBuf,
    },
    /// A file or folder that belongs to the network is broken.
    #[error("{}: {reason}", .file.display())]
    PluginFile {
        /// The file, or the folder itself.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        reason: Box<SkipReason>,
    },
    /// A file before this one has a network of the same name.
    #[error("network {network} is in {} already", .first.display())]
    DuplicateName {
        /// The network.
        network: NetworkName,
        /// The file that counts.
        first: PathBuf,
    },
    /// The folder has more configuration files than are read.
    #[error("it has more than {MAX_FILES} configuration files: the first ones by name were read")]
    TooManyFiles,
    /// The configuration is whole, and a program that it needs is missing or does not speak its version.
    #[error("{0}")]
    Programs(#[source] Arc<UnusableNetwork>),
}

impl SkipReason {
    pub(super) fn unreadable(source: io::Error) -> Self {
        Self::Unreadable { source: Arc::new(source) }
    }

    pub(super) fn of_folder(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            Self::NoFolder
        } else {
            Self::unreadable(error)
        }
    }

    pub(super) fn in_file(self, file: PathBuf) -> Self {
        Self::PluginFile { file, reason: Box::new(self) }
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Unreadable { source } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl From<FileError> for SkipReason {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NotRegular { kind, .. } => Self::NotRegular { kind },
            FileError::TooLarge { limit, .. } => Self::TooLarge { limit },
            FileError::Read { source, .. } => Self::unreadable(source),
            other => Self::unreadable(io::Error::other(other)),
        }
    }
}
