//! CNI plugins that do what real ones seldom do: hang, flood, die, answer nonsense. Real programs, small shell scripts.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::Error;

/// How long a script sleeps that hangs, in seconds: longer than any test waits, and not for ever.
const HANGING: u32 = 120;

/// What a plugin says of itself when asked by VERSION.
const VERSIONS: &str = r#"{"cniVersion": "1.1.0", "supportedVersions": ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]}"#;

/// What a plugin does when it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behaviour {
    /// Prints this and succeeds: a result, half of one, nothing, or an error object.
    Print(String),
    /// Prints the first to standard output, the second to standard error, and ends with this status.
    Fail(String, String, u8),
    /// Says on standard error that it waits, and never ends.
    Hang,
    /// The same with a child and a grandchild, which hold standard output and error open and never end either.
    HangWithChildren,
    /// The same, and ignores every signal that can be ignored.
    HangDeaf,
    /// Succeeds, and leaves a child that holds standard output and error open and never ends.
    LeaveChild,
    /// Prints this many bytes that are no JSON.
    Flood(u64),
    /// Prints this many bytes to standard error, then succeeds.
    FloodStderr(u64),
    /// Sends itself this signal.
    Die(u8),
}

impl Behaviour {
    /// Shell code for it.
    fn script(&self) -> String {
        let sleep = format!("sleep {HANGING}");
        match self {
            Self::Print(text) => format!("printf %s {}", quoted(text)),
            Self::Fail(output, errors, status) => {
                let (output, errors) = (quoted(output), quoted(errors));
                format!("printf %s {output}; printf %s {errors} >&2; exit {status}")
            }
            Self::Hang => format!("echo waiting >&2; exec {sleep}"),
            Self::HangWithChildren => {
                format!("echo waiting >&2; sh -c '{sleep} & wait' & {sleep} & wait")
            }
            Self::HangDeaf => {
                let deaf = "echo waiting >&2; trap '' HUP INT QUIT TERM USR1 USR2";
                format!("{deaf}; while :; do {sleep}; done")
            }
            Self::LeaveChild => format!("{sleep} & echo '{{}}'"),
            Self::Flood(bytes) => format!("head -c {bytes} /dev/zero"),
            Self::FloodStderr(bytes) => format!("head -c {bytes} /dev/zero >&2; echo '{{}}'"),
            Self::Die(signal) => format!("kill -{signal} $$; {sleep}"),
        }
    }
}

/// A folder of such plugins. It vanishes with the value; processes that a test left running do not.
///
/// # Example
/// ```
/// use podnet_testkit::{Behaviour, FakePlugins};
///
/// let plugins = FakePlugins::new()?;
/// let program = plugins.install("slow", &[("ADD", Behaviour::Hang)])?;
/// let status = std::process::Command::new(program)
///     .env("CNI_COMMAND", "DEL")
///     .stdin(std::process::Stdio::null())
///     .status()?;
/// assert!(status.success(), "it only hangs on ADD");
/// assert!(plugins.processes()?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FakePlugins {
    folder: TempDir,
}

impl FakePlugins {
    /// A folder without any plugin yet.
    ///
    /// # Errors
    /// [`Error::Folder`].
    pub fn new() -> Result<Self, Error> {
        let parent = std::env::temp_dir();
        let folder = tempfile::Builder::new().prefix("podnet-plugins-").tempdir_in(&parent);
        let folder = folder.map_err(|source| Error::Folder { path: parent, source })?;
        Ok(Self { folder })
    }

    /// The folder, to be searched for plugins.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Installs a plugin of this type, which behaves so for each of these values of `CNI_COMMAND`.
    ///
    /// On any other it reads its configuration and succeeds; ADD has an empty result then.
    ///
    /// # Errors
    /// [`Error::Folder`].
    pub fn install(
        &self,
        plugin: &str,
        behaviours: &[(&str, Behaviour)],
    ) -> Result<PathBuf, Error> {
        let path = self.folder.path().join(plugin);
        let written = fs::write(&path, script(behaviours));
        let written =
            written.and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o755)));
        match written {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::Folder { path, source }),
        }
    }

    /// The processes that these plugins are, and those that they have started: whoever has this folder in his command
    /// line or environment, where a runtime puts it as `CNI_PATH`. What has ended and waits to be reaped is none.
    ///
    /// # Errors
    /// [`Error::Folder`] when `/proc` cannot be read.
    pub fn processes(&self) -> Result<Vec<u32>, Error> {
        let failed = |source| Error::Folder { path: "/proc".into(), source };
        let mark = self.folder.path().as_os_str().as_bytes();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(id) = name.to_str().and_then(|name| name.parse().ok()) {
                found.extend(is_marked(id, mark).then_some(id));
            }
        }
        Ok(found)
    }
}

fn script(behaviours: &[(&str, Behaviour)]) -> String {
    let mut script = "#!/bin/sh\ncat > /dev/null\ncase $CNI_COMMAND in\n".to_owned();
    for (verb, behaviour) in behaviours {
        // Writing to a string does not fail.
        let _ = writeln!(script, "{verb}) {} ;;", behaviour.script());
    }
    let _ = writeln!(script, "ADD) echo '{{}}' ;;\nVERSION) echo '{VERSIONS}' ;;\nesac");
    script
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A process that has just ended, or is another user's, has nothing to read.
fn is_marked(id: u32, mark: &[u8]) -> bool {
    let contains = |file: &str| -> io::Result<bool> {
        let content = fs::read(format!("/proc/{id}/{file}"))?;
        Ok(content.windows(mark.len()).any(|window| window == mark))
    };
    ["cmdline", "environ"].iter().any(|file| contains(file).unwrap_or(false))
}
