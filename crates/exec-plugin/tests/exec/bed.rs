//! A folder of scripts that act as plugins, and what the tests ask about processes.

use std::fs::{self, DirBuilder, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use podnet_exec_plugin::{ExecPlugin, probe};
use podnet_plugin_api::{NetworkPlugin, PodSandbox, Settings};

/// Notes its arguments in `calls` and knows an address.
pub(crate) const OBEDIENT: &str = r#"echo "$@" >> @/calls
case $1 in status) echo '{"ip": "10.20.30.40"}' ;; esac"#;

/// A folder that holds the folder of plugins, `net`, and whatever the plugins write.
pub(crate) struct Bed {
    folder: tempfile::TempDir,
}

impl Bed {
    pub(crate) fn empty() -> Self {
        let bed = Self { folder: tempfile::tempdir().unwrap() };
        bed.make_folder("");
        bed
    }

    /// One plugin named `scripted`, a shell script; in its text `@/` stands for the folder.
    pub(crate) fn with(script: &str) -> Self {
        let bed = Self::empty();
        bed.install("scripted/scripted", &format!("#!/bin/sh\n{script}\n"));
        bed
    }

    /// An executable file in a folder of its own, given as `FOLDER/FILE`.
    pub(crate) fn install(&self, path: &str, text: &str) {
        self.make_folder(path.split('/').next().unwrap());
        let text = text.replace("@/", &format!("{}/", self.folder.path().display()));
        let mut program = fs::File::create(self.net().join(path)).unwrap();
        program.set_permissions(Permissions::from_mode(0o755)).unwrap();
        program.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn make_folder(&self, name: &str) {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o755).create(self.net().join(name)).unwrap();
    }

    /// The folder of plugins.
    pub(crate) fn net(&self) -> PathBuf {
        self.folder.path().join("net")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    /// The plugin, as a new process finds it.
    pub(crate) fn plugin(&self) -> ExecPlugin {
        let mut probed = probe(&self.net());
        assert_eq!(probed.plugins.len(), 1, "{probed:?}");
        probed.plugins.remove(0).with_timeout(Duration::from_secs(30))
    }

    /// The plugin, initialised.
    pub(crate) async fn ready(&self) -> ExecPlugin {
        let plugin = self.plugin();
        plugin.init(&Settings::default()).await.unwrap();
        plugin
    }

    /// The process ids, one a line, that the plugin wrote into a file.
    pub(crate) fn pids(&self, name: &str) -> Vec<i32> {
        let text = fs::read_to_string(self.file(name)).unwrap_or_default();
        text.lines().map(|line| line.trim().parse().unwrap()).collect()
    }
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The pod `default/web` in sandbox `a1`.
pub(crate) fn web() -> PodSandbox {
    PodSandbox::new("default", "web", "a1").unwrap()
}

/// Notes a test that could not be made, where `cargo xtask test` counts them.
pub(crate) fn skip(test: &str, reason: &str) {
    eprintln!("skipped {test}: {reason}");
    if let Some(path) = std::env::var_os("PODNET_SKIPS") {
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        writeln!(file, "{test}: {reason}").unwrap();
    }
}

/// Waits until all of these processes have ended.
pub(crate) async fn all_gone(pids: &[i32]) {
    assert!(!pids.is_empty(), "the plugin wrote no process ids");
    until("the processes are gone", || !pids.iter().any(|pid| is_running(*pid))).await;
}

/// Waits for a condition, ten seconds at most.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn is_running(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which is in parentheses; a zombie only waits to be reaped.
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}
