//! Networks of shell scripts, which note how they are called.

mod add;
mod check;
mod del;
mod gc;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use podnet_cni_invoke::{ProcessExec, SearchPath};
use podnet_cni_spec::{CniArgs, ContainerId, InterfaceName, NetworkConfigList, ValidAttachment};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::cache::ResultCache;
use crate::capability::CapabilityArgs;
use crate::error::Undo;

/// Notes verb, type and the last letter of the address in prevResult; says what `TYPE.VERB` holds.
const SCRIPT: &str = r#"#!/bin/sh
log=LOG type=${0##*/}
echo "$CNI_COMMAND $type" >> $log/calls
cat > $log/$type.$CNI_COMMAND.stdin
env > $log/$type.$CNI_COMMAND.env
if test -e $log/$type.$CNI_COMMAND.hangs; then sleep 60; fi
if test -e $log/$type.$CNI_COMMAND.fails; then
    echo "what $type has to say" >&2
    cat $log/$type.$CNI_COMMAND.fails
    exit 1
fi
if test -e $log/$type.$CNI_COMMAND; then cat $log/$type.$CNI_COMMAND; fi
"#;

/// A folder of programs, one with what they noted, and a cache.
struct Bed {
    folder: TempDir,
    cni: Cni,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "log"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let search_path = SearchPath::new(vec![folder.path().join("bin")]);
        let cache = ResultCache::new(folder.path().join("cache"));
        let mut cni = Cni::new(Arc::new(ProcessExec::new(search_path)), cache);
        cni.check_netns = false;
        let bed = Self { folder, cni };
        for (index, plugin) in ["one", "two", "three"].into_iter().enumerate() {
            bed.install(plugin);
            let result = json!({
                "cniVersion": "0.4.0",
                "ips": [{"version": "4", "address": format!("10.1.0.{index}/24")}],
            });
            bed.answer(plugin, "ADD", &result);
        }
        bed
    }

    fn install(&self, plugin: &str) {
        let program = self.folder.path().join("bin").join(plugin);
        let log = self.log("").display().to_string();
        fs::write(&program, SCRIPT.replace("LOG", log.trim_end_matches('/'))).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn uninstall(&self, plugin: &str) {
        fs::remove_file(self.folder.path().join("bin").join(plugin)).unwrap();
    }

    fn log(&self, file: &str) -> PathBuf {
        self.folder.path().join("log").join(file)
    }

    fn answer(&self, plugin: &str, verb: &str, answer: &Value) {
        fs::write(self.log(&format!("{plugin}.{verb}")), answer.to_string()).unwrap();
    }

    fn let_fail(&self, plugin: &str, verb: &str, code: u32) {
        let error = json!({"code": code, "msg": format!("{plugin} objects")});
        fs::write(self.log(&format!("{plugin}.{verb}.fails")), error.to_string()).unwrap();
    }

    fn let_succeed(&self, plugin: &str, verb: &str) {
        fs::remove_file(self.log(&format!("{plugin}.{verb}.fails"))).unwrap();
    }

    fn let_hang(&self, plugin: &str, verb: &str) {
        fs::write(self.log(&format!("{plugin}.{verb}.hangs")), "").unwrap();
    }

    /// Verb and type of each call since the last time that this was asked.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.log("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.log("calls"));
        calls.lines().map(str::to_owned).collect()
    }

    fn stdin(&self, plugin: &str, verb: &str) -> Value {
        let text = fs::read(self.log(&format!("{plugin}.{verb}.stdin"))).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn variable(&self, plugin: &str, verb: &str, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.log(&format!("{plugin}.{verb}.env"))).unwrap();
        let found =
            text.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned())
    }

    fn network_of(&self, list: &Value) -> Network {
        self.cni.network(NetworkConfigList::from_json(list.to_string().as_bytes()).unwrap())
    }

    /// The network `pods` of these plugins.
    fn network(&self, version: &str, plugins: &[&str]) -> Network {
        self.network_of(&list(version, plugins))
    }

    /// The cached file of the attachment that [`web`] describes.
    fn cached_file(&self) -> PathBuf {
        self.folder.path().join("cache/results/pods-web-eth0")
    }

    fn cached_json(&self) -> Value {
        serde_json::from_slice(&fs::read(self.cached_file()).unwrap()).unwrap()
    }

    fn write_cached(&self, content: &str) {
        fs::create_dir_all(self.cached_file().parent().unwrap()).unwrap();
        fs::write(self.cached_file(), content).unwrap();
    }
}

fn list(version: &str, plugins: &[&str]) -> Value {
    let plugins: Vec<Value> = plugins.iter().map(|plugin| json!({"type": plugin})).collect();
    json!({"name": "pods", "cniVersion": version, "plugins": plugins})
}

fn conf(container: &str) -> RuntimeConf {
    let id = ContainerId::new(container).unwrap();
    RuntimeConf::new(id, InterfaceName::new("eth0").unwrap()).with_netns("/run/netns/web")
}

fn web() -> RuntimeConf {
    conf("web")
}

fn kept(container: &str) -> ValidAttachment {
    let Attachment { container_id, interface, .. } = conf(container).attachment;
    ValidAttachment { container_id, interface }
}

fn address(value: &Value) -> &str {
    value["ips"][0]["address"].as_str().unwrap()
}
