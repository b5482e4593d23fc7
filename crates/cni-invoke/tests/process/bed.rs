//! A folder of scripts that act as plugins, and what the tests ask about processes.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use podnet_cni_invoke::{ProcessExec, SearchPath};
use podnet_cni_spec::{Attachment, CniArgs, ContainerId, InterfaceName, PluginConfig, PluginType};
use podnet_cni_spec::{Request, Verb};
use rustix::process::{Pid, Signal, kill_process};

/// A folder that holds one plugin, and whatever the plugin writes.
pub(crate) struct Bed {
    folder: tempfile::TempDir,
    pub(crate) exec: ProcessExec,
    pub(crate) plugin: PluginType,
}

impl Bed {
    /// A plugin named `scripted`; in its text `@` stands for the folder.
    pub(crate) fn with(script: &str) -> Self {
        let bed = Self::empty();
        let text = script.replace('@', bed.folder.path().to_str().unwrap());
        write!(bed.open_program(), "#!/bin/sh\n{text}\n").unwrap();
        bed
    }

    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut exec = ProcessExec::new(SearchPath::new(vec![folder.path().to_owned()]));
        exec.timeout = Duration::from_secs(30);
        Self { folder, exec, plugin: PluginType::new("scripted").unwrap() }
    }

    /// The plugin's program, open for writing and executable.
    pub(crate) fn open_program(&self) -> File {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o755);
        options.open(self.file("scripted")).unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    /// The process ids, one a line, that the plugin wrote into a file.
    pub(crate) fn pids(&self, name: &str) -> Vec<i32> {
        let text = fs::read_to_string(self.file(name)).unwrap_or_default();
        text.lines().map(|line| line.trim().parse().unwrap()).collect()
    }
}

/// A request for container `c0ffee` and a configuration of version 1.1.0.
pub(crate) fn request(verb: Verb) -> Request {
    Request {
        verb,
        attachment: Some(Attachment {
            container_id: ContainerId::new("c0ffee").unwrap(),
            interface: InterfaceName::new("eth0").unwrap(),
            netns: Some("/run/netns/web".into()),
            args: CniArgs::parse("IgnoreUnknown=1;K8S_POD_NAME=web").unwrap(),
        }),
        config: config(""),
    }
}

/// A configuration with `padding` in one of its values.
pub(crate) fn config(padding: &str) -> PluginConfig {
    let text = format!(
        r#"{{"cniVersion": "1.1.0", "name": "pods", "type": "scripted", "padding": "{padding}"}}"#
    );
    PluginConfig::from_json(text.as_bytes()).unwrap()
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

pub(crate) fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}
