//! A folder of CNI programs that holds ours and nothing else, as an operator installs them in `/opt/cni/bin`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::programs::own;

/// The types that a node's network configurations name; which of them are ours, [`own_types`] asks the program.
const KNOWN_TYPES: [&str; 10] = [
    "loopback",
    "bridge",
    "host-local",
    "portmap",
    "bandwidth",
    "firewall",
    "tuning",
    "static",
    "ptp",
    "kubenet",
];

/// The plugin types that `podnet-cni` is: those to whose `VERSION` it has an answer.
///
/// # Panics
/// When the program cannot be started.
#[must_use]
pub fn own_types() -> Vec<&'static str> {
    let program = own("podnet-cni");
    let answers = |name: &&str| {
        let mut call = Command::new(&program);
        call.arg(name).env("CNI_COMMAND", "VERSION");
        call.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        call.status().expect("podnet-cni can be started").success()
    };
    KNOWN_TYPES.into_iter().filter(answers).collect()
}

/// Puts `podnet-cni` into a new folder, once, with a hard link for each of its types.
///
/// # Panics
/// When the folder exists or cannot be written.
pub fn install(folder: &Path) {
    fs::create_dir(folder).expect("the folder of programs is new");
    let mut linked: Option<&str> = None;
    for name in own_types() {
        let path = folder.join(name);
        let made = match linked {
            Some(first) => fs::hard_link(folder.join(first), path),
            None => fs::copy(own("podnet-cni"), path).map(drop),
        };
        made.expect("a program can be put into the folder");
        linked.get_or_insert(name);
    }
}
