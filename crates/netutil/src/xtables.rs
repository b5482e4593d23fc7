//! Rules of iptables by its own programs, where netlink does not lead to them.
//!
//! Here are rules of ours in the FORWARD chain of the older iptables. The kernel has no netlink for it: the whole table is
//! read, changed and written back by a private protocol and under the program's own lock. [`edit`] changes chains
//! there; [`filter`] has whole chains in the node's own iptables, of either flavour. This is the one place that runs
//! programs of iptables.

pub mod filter;
mod program;
mod restore;

use std::fs;
use std::io;
use std::time::Duration;

use crate::sysctl::Family;

pub use filter::{FilterEdit, FilterRule, FilterTable};
pub use restore::{chain_rules, edit};

/// How long a run may take: the program waits for its lock, and a busy machine for the program.
const RUN_LIMIT: Duration = Duration::from_secs(30);

/// The program did not do what it was to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XtablesError {
    /// It is not installed.
    #[error(
        "{program} is not installed, and nothing else can change the rules in question: install the package iptables"
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
    /// Somebody else had its lock all the time.
    #[error("{program}: {words}; try again later")]
    Busy {
        /// Its name.
        program: &'static str,
        /// What it said.
        words: String,
    },
    /// The table has rules that are not iptables', and it leaves such a table alone.
    #[error("{program}: {words}; remove what `nft` put there")]
    Incompatible {
        /// Its name.
        program: &'static str,
        /// What it said.
        words: String,
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
    program::run(program, &[&["-w", "5"], arguments].concat(), "").await
}
