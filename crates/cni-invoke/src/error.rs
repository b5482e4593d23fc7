//! Why a plugin could not be executed, or what it said.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use podnet_cni_spec::{CniError, ContainerId, ErrorCode, PluginType, Request, Verb};

use crate::call::Call;
use crate::excerpt;
use crate::process::Failure;

/// The signal that the kernel sends when memory runs out.
const SIGKILL: i32 = 9;

/// Why a plugin could not be executed, or what it said.
///
/// Each message is one line that names the plugin, the verb and, where there is one, the container.
/// `stderr_tail` is the end of what the plugin wrote to stderr, at most 64 KiB.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// No folder of the search path holds a program of this name.
    #[error("plugin {plugin}: no such program in {}; install it or correct the search path", folders(.searched))]
    NotFound {
        /// The plugin's type.
        plugin: PluginType,
        /// The folders searched, in order.
        searched: Vec<PathBuf>,
    },

    /// The program was found and the system would not start it.
    #[error("{}: cannot start {}: {source}{}", call(.plugin, *.verb, .container.as_ref()), .program.display(), advice(.source))]
    Spawn {
        /// The plugin's type.
        plugin: PluginType,
        /// The verb to be executed.
        verb: Verb,
        /// The container it concerned.
        container: Option<ContainerId>,
        /// The program found.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The pipes to the plugin, or waiting for its end, failed.
    #[error("{}: lost contact with the process: {source}", call(.plugin, *.verb, .container.as_ref()))]
    Io {
        /// The plugin's type.
        plugin: PluginType,
        /// The verb executed.
        verb: Verb,
        /// The container it concerned.
        container: Option<ContainerId>,
        /// What the system said.
        source: io::Error,
    },

    /// The plugin did not end in time; it and all processes of its group were killed.
    #[error("{}: not done after {}, killed with its children{}", call(.plugin, *.verb, .container.as_ref()), rounded(*.after), stderr(.stderr_tail))]
    Timeout {
        /// The plugin's type.
        plugin: PluginType,
        /// The verb executed.
        verb: Verb,
        /// The container it concerned.
        container: Option<ContainerId>,
        /// How long it was given.
        after: Duration,
        /// The end of what it wrote to stderr.
        stderr_tail: String,
    },

    /// The plugin reported an error.
    #[error("{}: {}", call(.plugin, *.verb, .container.as_ref()), reported(.error))]
    Plugin {
        /// The plugin's type.
        plugin: PluginType,
        /// The verb executed.
        verb: Verb,
        /// The container it concerned.
        container: Option<ContainerId>,
        /// The error it reported.
        #[source]
        error: Box<CniError>,
        /// The end of what it wrote to stderr.
        stderr_tail: String,
    },

    /// The plugin ended with a failure and wrote nothing to stdout.
    #[error("{}: ended without a message, {}{}", call(.plugin, *.verb, .container.as_ref()), ending(*.status), stderr(.stderr_tail))]
    NoMessage {
        /// The plugin's type.
        plugin: PluginType,
        /// The verb executed.
        verb: Verb,
        /// The container it concerned.
        container: Option<ContainerId>,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to stderr.
        stderr_tail: String,
    },

    /// The plugin wrote more to stdout than any answer needs; it was killed.
    #[error("{}: killed, for it wrote more than {limit} bytes to stdout{}", call(.plugin, *.verb, .container.as_ref()), stderr(.stderr_tail))]
    OutputTooLarge {
        /// The plugin's type.
        plugin: PluginType,
        /// The verb executed.
        verb: Verb,
        /// The container it concerned.
        container: Option<ContainerId>,
        /// The bytes it was allowed.
        limit: usize,
        /// The end of what it wrote to stderr.
        stderr_tail: String,
    },

    /// What the plugin wrote to stdout is not what the specification asks for.
    #[error("{}: {}, and no answer: {reason}{}{}", call(.plugin, *.verb, .container.as_ref()), ending(*.status), quoted(.excerpt), stderr(.stderr_tail))]
    BadOutput {
        /// The plugin's type.
        plugin: PluginType,
        /// The verb executed.
        verb: Verb,
        /// The container it concerned.
        container: Option<ContainerId>,
        /// How it ended.
        status: ExitStatus,
        /// What is wrong with the output.
        reason: String,
        /// The beginning of the output, on one line.
        excerpt: String,
        /// The end of what it wrote to stderr.
        stderr_tail: String,
    },

    /// The plugin speaks no version of the specification that is new enough.
    #[error(
        "plugin {plugin}: supports CNI {found}, at least {needed} is needed; install a newer {plugin}"
    )]
    VersionTooOld {
        /// The plugin's type.
        plugin: PluginType,
        /// The versions it says it supports, separated by commas.
        found: String,
        /// The lowest version that will do.
        needed: semver::Version,
    },

    /// The request itself is wrong; nothing was started.
    #[error("{}: {}", call(.plugin, *.verb, .container.as_ref()), reported(.error))]
    InvalidRequest {
        /// The plugin's type.
        plugin: PluginType,
        /// The verb to be executed.
        verb: Verb,
        /// The container it concerned.
        container: Option<ContainerId>,
        /// What is wrong with it.
        #[source]
        error: Box<CniError>,
    },
}

impl ExecError {
    /// The error that `plugin` reported on `request`, for an [`Exec`](crate::Exec) that runs plugins
    /// without a process.
    #[must_use]
    pub fn reported(plugin: &PluginType, request: &Request, error: CniError) -> Self {
        Call::of(plugin, request).reported(error, String::new())
    }

    /// That `plugin` was not done with `request` in time, for an [`Exec`](crate::Exec) that runs
    /// plugins without a process.
    #[must_use]
    pub fn overdue(plugin: &PluginType, request: &Request, after: Duration) -> Self {
        Call::of(plugin, request).failed(Failure::Deadline { after, stderr_tail: String::new() })
    }

    /// The specification's code for this error: the plugin's own where it reported one, and
    /// [`ErrorCode::TRY_AGAIN_LATER`] after a timeout.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Plugin { error, .. } | Self::InvalidRequest { error, .. } => error.code,
            Self::NotFound { .. } | Self::Spawn { .. } | Self::Io { .. } => ErrorCode::IO_FAILURE,
            Self::Timeout { .. } => ErrorCode::TRY_AGAIN_LATER,
            Self::BadOutput { .. } => ErrorCode::DECODING_FAILURE,
            Self::VersionTooOld { .. } => ErrorCode::INCOMPATIBLE_VERSION,
            Self::NoMessage { .. } | Self::OutputTooLarge { .. } => ErrorCode::INTERNAL,
        }
    }
}

/// What a plugin tells its runtime when the plugin it delegates to failed: that plugin's own error
/// unchanged, any other under [`ExecError::code`].
impl From<ExecError> for CniError {
    fn from(error: ExecError) -> Self {
        match error {
            ExecError::Plugin { error, .. } | ExecError::InvalidRequest { error, .. } => *error,
            other => Self::new(other.code(), other.to_string()),
        }
    }
}

fn call<'a>(plugin: &'a PluginType, verb: Verb, container: Option<&'a ContainerId>) -> Call<'a> {
    Call { plugin, verb, container }
}

fn folders(searched: &[PathBuf]) -> String {
    if searched.is_empty() {
        return "the search path, which has no folder".to_owned();
    }
    let names: Vec<String> = searched.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; is it executable, and on a file system without noexec?"
        }
        io::ErrorKind::NotFound => "; does the interpreter or loader that it names exist?",
        io::ErrorKind::ExecutableFileBusy => {
            "; it is being written, try again when it is installed"
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            "; it is no program for this machine, or incomplete"
        }
        _ => "",
    }
}

fn reported(error: &CniError) -> String {
    let text = if error.details.is_empty() {
        error.msg.clone()
    } else {
        format!("{}: {}", error.msg, error.details)
    };
    format!("{} (code {})", excerpt::beginning(&text, 1000), error.code.0)
}

fn ending(status: ExitStatus) -> String {
    let hint = match status.signal() {
        Some(SIGKILL) => ", as when memory runs out",
        _ => "",
    };
    format!("{status}{hint}")
}

/// What is left of a shared time is a broken number: to the millisecond it reads as a time.
fn rounded(time: Duration) -> String {
    let rounded = time.saturating_add(Duration::from_micros(500));
    let millis = u64::try_from(rounded.as_millis()).unwrap_or(u64::MAX);
    format!("{:?}", Duration::from_millis(millis))
}

fn quoted(excerpt: &str) -> String {
    if excerpt.is_empty() { String::new() } else { format!(", from \"{excerpt}\"") }
}

fn stderr(tail: &str) -> String {
    match excerpt::end(tail, 500) {
        line if line.is_empty() => line,
        line => format!("; stderr: {line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge_error(error: CniError) -> ExecError {
        ExecError::Plugin {
            plugin: PluginType::new("bridge").unwrap(),
            verb: Verb::Add,
            container: Some(ContainerId::new("c0ffee").unwrap()),
            error: Box::new(error),
            stderr_tail: String::new(),
        }
    }

    #[test]
    fn a_plugins_error_is_one_line_with_all_that_matters() {
        let error = CniError::new(ErrorCode(101), "no room\n in range").with_details("10.0.0.0/30");
        assert_eq!(
            bridge_error(error).to_string(),
            "plugin bridge: ADD of container c0ffee: no room in range: 10.0.0.0/30 (code 101)"
        );
    }

    #[test]
    fn a_plugins_own_error_passes_through() {
        let error = CniError::new(ErrorCode(101), "no room");
        assert_eq!(CniError::from(bridge_error(error.clone())), error);
    }

    #[test]
    fn times_are_rounded_to_the_millisecond() {
        let cases = [(1_999_999_999, "2s"), (1_000_400_000, "1s"), (1_234_567_890, "1.235s")];
        for (nanos, expected) in cases {
            assert_eq!(rounded(Duration::from_nanos(nanos)), expected);
        }
        assert!(!rounded(Duration::MAX).is_empty());
    }

    #[test]
    fn a_timeout_asks_to_try_again_later() {
        let error = ExecError::Timeout {
            plugin: PluginType::new("bridge").unwrap(),
            verb: Verb::Del,
            container: None,
            after: Duration::from_secs(60),
            stderr_tail: "waiting for\nthe lock\n".to_owned(),
        };
        let expected = "plugin bridge: DEL: not done after 60s, killed with its children; stderr: waiting for the lock";
        assert_eq!(error.to_string(), expected);
        assert_eq!(CniError::from(error).code, ErrorCode::TRY_AGAIN_LATER);
    }
}
