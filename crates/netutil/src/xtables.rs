//! Rules in the tables of the older iptables, which only its own program can change.
//!
//! The kernel has no netlink for it: the whole table is read, changed and written back by a private protocol and under
//! the program's own lock. This is the one place that runs `iptables-legacy`, `ip6tables-legacy` and their `-restore`.

mod restore;

use std::fs;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::sysctl::Family;

pub use self::restore::{chain_rules, edit};

/// How long a run may take: the program waits 5 s for its lock.
const RUN_LIMIT: Duration = Duration::from_secs(10);

/// The program did not do what it was to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XtablesError {
    /// It is not installed.
    #[error(
        "{program} is not installed, and the kernel has rules that only it can change; install it, or remove them"
    )]
    Missing {
        /// Its name.
        program: &'static str,
    },
    /// It could not be started.
    #[error("cannot start {program}: {}", crate::system_text(source))]
    NotStarted {
        /// Its name.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It did not end in time, and was ended.
    #[error("{program} did not end within {seconds} s")]
    Overdue {
        /// Its name.
        program: &'static str,
        /// How long it had.
        seconds: u64,
    },
    /// It ended with a refusal.
    #[error("{program} {arguments}: {words}")]
    Refused {
        /// Its name.
        program: &'static str,
        /// What it was given.
        arguments: String,
        /// What it said.
        words: String,
    },
}

impl XtablesError {
    /// Whether there is no such program.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// The rules of the FORWARD chain as the program prints them (`-P FORWARD DROP`, `-A FORWARD -i br0 -j ACCEPT`); none
/// where the older iptables has no filter table in the calling thread's network namespace.
///
/// # Errors
/// [`XtablesError`].
pub async fn forward_rules(family: Family) -> Result<Vec<String>, XtablesError> {
    // Asking the program would make the table.
    if !has_filter_table(family) {
        return Ok(Vec::new());
    }
    let printed = run(family, &["-S", "FORWARD"]).await?;
    Ok(printed.lines().map(str::to_owned).collect())
}

/// Adds a rule at the head of the FORWARD chain.
///
/// # Errors
/// [`XtablesError`].
pub async fn prepend_forward_rule(family: Family, rule: &[&str]) -> Result<(), XtablesError> {
    let arguments = [&["-I", "FORWARD", "1"], rule].concat();
    run(family, &arguments).await.map(drop)
}

fn has_filter_table(family: Family) -> bool {
    let path = match family {
        Family::V4 => "/proc/thread-self/net/ip_tables_names",
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
    };
    // A kernel without the older iptables has no such file.
    fs::read_to_string(path).is_ok_and(|names| names.lines().any(|name| name == "filter"))
}

async fn run(family: Family, arguments: &[&str]) -> Result<String, XtablesError> {
    let program = match family {
        Family::V4 => "iptables-legacy",
        Family::V6 => "ip6tables-legacy",
    };
    let mut command = Command::new(program);
    command.args(["-w", "5"]).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(RUN_LIMIT, command.output()).await;
    let output = match ended {
        Err(_) => return Err(XtablesError::Overdue { program, seconds: RUN_LIMIT.as_secs() }),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Err(XtablesError::Missing { program });
        }
        Ok(Err(source)) => return Err(XtablesError::NotStarted { program, source }),
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        return Err(XtablesError::Refused { program, arguments: arguments.join(" "), words });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
