//! Why a program was not executed, or what came of it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use podnet_plugin_api::InvalidPluginName;
use rustix::io::Errno;

use crate::child::Ended;
use crate::excerpt;
use crate::status::InvalidStatus;

/// Why a program was not executed, or what came of it.
///
/// Each message is one line that names the program or folder. `verb` is the first argument of the call. `stderr_tail`
/// is the end of what the program wrote to stderr, at most 64 KiB; the message has the last 500 characters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder's name makes no plugin's name.
    #[error(transparent)]
    Name(#[from] InvalidPluginName),

    /// Something cannot be looked at.
    #[error("cannot read {}: {}", path.display(), words(source))]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A plugin's folder has no program of its name.
    #[error("there is no program {}: it must have the name of its folder without the vendor", program.display())]
    NoProgram {
        /// Where it should be.
        program: PathBuf,
    },

    /// A folder or device stands where the program should.
    #[error("{} is no file: put the plugin's program there", program.display())]
    NotAFile {
        /// Where the program should be.
        program: PathBuf,
    },

    /// The user of this process may not execute the program.
    #[error("cannot execute {}: {}; is it executable, and on a file system without noexec?", program.display(), words(source))]
    NotExecutable {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// Everybody may change the program or a folder that leads to it.
    #[error("{} (mode {mode:04o}) is writable by everybody: run `chmod o-w` on it", path.display())]
    WorldWritable {
        /// The program or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },

    /// The program or a folder that leads to it belongs to somebody else.
    #[error("{} belongs to user {owner}: it must belong to root{}", path.display(), or_user(*.user))]
    ForeignOwner {
        /// The program or folder.
        path: PathBuf,
        /// The user id of its owner.
        owner: u32,
        /// The user id of this process.
        user: u32,
    },

    /// The system would not start the program.
    #[error("cannot start {}: {}{}", program.display(), words(source), advice(source))]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The pipes from the program, or waiting for its end, failed.
    #[error("{} {verb}: lost contact with the process: {}", program.display(), words(source))]
    Contact {
        /// The program.
        program: PathBuf,
        /// What it was asked.
        verb: &'static str,
        /// What the system said.
        source: io::Error,
    },

    /// The program did not end in time; it and all processes of its group were killed.
    #[error("{} {verb}: not done after {after:?}, killed with its children{}", program.display(), quoted("stderr", stderr_tail))]
    Timeout {
        /// The program.
        program: PathBuf,
        /// What it was asked.
        verb: &'static str,
        /// How long it was given.
        after: Duration,
        /// The end of what it wrote to stderr.
        stderr_tail: String,
    },

    /// The program wrote more to stdout than any answer needs; it was killed.
    #[error("{} {verb}: killed, for it wrote more than {limit} bytes to stdout{}", program.display(), quoted("stderr", stderr_tail))]
    OutputTooLarge {
        /// The program.
        program: PathBuf,
        /// What it was asked.
        verb: &'static str,
        /// The bytes that it was allowed.
        limit: usize,
        /// The end of what it wrote to stderr.
        stderr_tail: String,
    },

    /// The program ended with a failure. If it wrote nothing to stderr, the message has what it wrote to stdout.
    #[error("{} {verb}: {status}{}", program.display(), said(stdout_tail, stderr_tail))]
    Failed {
        /// The program.
        program: PathBuf,
        /// What it was asked.
        verb: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to stdout, on one line.
        stdout_tail: String,
        /// The end of what it wrote to stderr.
        stderr_tail: String,
    },

    /// What the program printed as a pod's status is none.
    #[error("{} status: {reason}, in \"{excerpt}\"{}", program.display(), quoted("stderr", stderr_tail))]
    BadStatus {
        /// The program.
        program: PathBuf,
        /// What is wrong with it.
        #[source]
        reason: InvalidStatus,
        /// The beginning of what it printed, on one line.
        excerpt: String,
        /// The end of what it wrote to stderr.
        stderr_tail: String,
    },
}

impl Error {
    pub(crate) fn bad_status(program: &Path, reason: InvalidStatus, ended: &Ended) -> Self {
        Self::BadStatus {
            program: program.to_owned(),
            reason,
            excerpt: excerpt::beginning(&String::from_utf8_lossy(&ended.stdout), 200),
            stderr_tail: ended.stderr_tail.clone(),
        }
    }
}

fn or_user(user: u32) -> String {
    if user == 0 { String::new() } else { format!(" or to user {user}, who would execute it") }
}

/// What the system said, without the error's number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; does the interpreter or loader that it names exist?",
        io::ErrorKind::ExecutableFileBusy => {
            "; it is being written, try again when it is installed"
        }
        _ if error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => {
            "; it is no program for this machine, or a script without its `#!` line"
        }
        _ => "",
    }
}

fn said(stdout: &str, stderr: &str) -> String {
    match quoted("stderr", stderr) {
        nothing if nothing.is_empty() => quoted("stdout", stdout),
        reason => reason,
    }
}

fn quoted(stream: &str, text: &str) -> String {
    match excerpt::end(text, 500) {
        line if line.is_empty() => line,
        line => format!("; {stream}: {line}"),
    }
}
