//! The programs that a runtime calls for one pod, in their order.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::call::{Attachment, Call, Ended, Program};
use super::setting::{BANDWIDTH, KUBENET, PORTMAP, Setting, bandwidth, plain, port_mappings};
use crate::bench::programs::{BRIDGE_TYPE, Installed, LOOPBACK};

/// The programs of one attachment.
#[derive(Debug)]
pub(super) struct Chain {
    plugins: Vec<Plugin>,
}

#[derive(Debug)]
struct Plugin {
    kind: &'static str,
    program: Program,
    config: Value,
}

/// An attachment that was made.
#[derive(Debug)]
pub(super) struct Added {
    /// How long the calls took, one after the other.
    pub(super) took: Duration,
    /// The result of the last one.
    pub(super) result: Value,
    /// The most memory that one of them had, in bytes, where that was asked for.
    pub(super) peak: Option<u64>,
}

impl Chain {
    /// `loopback`, then `bridge`.
    pub(super) fn bridge(installed: &Installed, setting: Setting, networks_dir: &Path) -> Self {
        let bridge = setting.bridge(networks_dir, false);
        Self::of(installed, vec![(LOOPBACK, plain(LOOPBACK)), (BRIDGE_TYPE, bridge)])
    }

    /// `loopback`, then `bridge`, `portmap` and `bandwidth`.
    pub(super) fn whole(installed: &Installed, setting: Setting, networks_dir: &Path) -> Self {
        let bridge = setting.bridge(networks_dir, true);
        let head = [(LOOPBACK, plain(LOOPBACK)), (BRIDGE_TYPE, bridge)];
        let tail = [PORTMAP, BANDWIDTH].map(|kind| (kind, plain(kind)));
        Self::of(installed, head.into_iter().chain(tail).collect())
    }

    /// `kubenet`, which is all of them.
    pub(super) fn kubenet(installed: &Installed, setting: Setting, networks_dir: &Path) -> Self {
        Self::of(installed, vec![(KUBENET, setting.kubenet(networks_dir))])
    }

    fn of(installed: &Installed, plugins: Vec<(&'static str, Value)>) -> Self {
        let plugin =
            |(kind, config)| Plugin { kind, program: Program::of(installed, kind), config };
        Self { plugins: plugins.into_iter().map(plugin).collect() }
    }

    /// Whether it publishes host ports and limits.
    pub(super) fn limits(&self) -> bool {
        self.plugins.iter().any(|plugin| matches!(plugin.kind, BANDWIDTH | KUBENET))
    }

    /// Attaches, each call made by `make`. The thread must be in the host's namespace.
    pub(super) fn add(
        &self,
        attachment: Attachment<'_>,
        make: fn(Call) -> Result<Ended>,
    ) -> Result<Added> {
        let mut added = Added { took: Duration::ZERO, result: Value::Null, peak: None };
        for plugin in &self.plugins {
            let ended = make(plugin.call("ADD", attachment, &added.result))?;
            added.took += ended.took;
            added.peak = added.peak.max(ended.peak);
            if plugin.is_chained() {
                added.result = ended.said;
            }
        }
        Ok(added)
    }

    /// The calls that detach, in their order.
    pub(super) fn del(&self, attachment: Attachment<'_>, result: &Value) -> Vec<Call> {
        let plugins = self.plugins.iter().rev();
        plugins.map(|plugin| plugin.call("DEL", attachment, result)).collect()
    }
}

impl Plugin {
    fn call(&self, verb: &str, attachment: Attachment<'_>, prev_result: &Value) -> Call {
        self.program.call(verb, attachment, &self.config(attachment.host_port, prev_result))
    }

    /// As libcni writes it: with the capabilities that the plugin has, and the result so far.
    fn config(&self, host_port: u16, prev_result: &Value) -> Value {
        let mut config = self.config.clone();
        let mut asked = serde_json::Map::new();
        if matches!(self.kind, PORTMAP | KUBENET) {
            asked.insert("portMappings".to_owned(), port_mappings(host_port));
        }
        if matches!(self.kind, BANDWIDTH | KUBENET) {
            asked.insert("bandwidth".to_owned(), bandwidth());
        }
        if let Some(config) = config.as_object_mut() {
            if !asked.is_empty() {
                config.insert("runtimeConfig".to_owned(), json!(asked));
            }
            if self.is_chained() && !prev_result.is_null() {
                config.insert("prevResult".to_owned(), prev_result.clone());
            }
        }
        config
    }

    /// `loopback` is a network of its own.
    fn is_chained(&self) -> bool {
        self.kind != LOOPBACK
    }
}

/// Makes these calls one after the other; how long they took.
pub(super) fn make_all(calls: Vec<Call>) -> Result<Duration> {
    calls.into_iter().map(|call| Ok(call.make()?.took)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(chain: &Chain) -> Vec<Value> {
        chain.plugins.iter().map(|plugin| plugin.config(20_000, &json!({ "ips": [] }))).collect()
    }

    #[test]
    fn a_plugin_is_sent_what_it_can_do_and_the_result_before_it() {
        let setting = Setting::new(1);
        let installed = Installed::Each("/opt/cni/bin".into());
        let chain = Chain::whole(&installed, setting, Path::new("/networks"));
        let [loopback, bridge, portmap, bandwidth] = configs(&chain).try_into().unwrap();
        assert!(loopback.get("prevResult").is_none() && loopback.get("runtimeConfig").is_none());
        assert!(bridge.get("prevResult").is_some() && bridge.get("runtimeConfig").is_none());
        assert_eq!(portmap["runtimeConfig"]["portMappings"][0]["HostPort"], 20_000);
        assert!(portmap["runtimeConfig"].get("bandwidth").is_none());
        assert!(bandwidth["runtimeConfig"]["bandwidth"]["EgressRate"].is_u64());
        assert!(bandwidth["runtimeConfig"].get("portMappings").is_none());
        let [kubenet] =
            configs(&Chain::kubenet(&installed, setting, Path::new("/"))).try_into().unwrap();
        let asked = kubenet["runtimeConfig"].as_object().unwrap();
        assert!(asked.contains_key("portMappings") && asked.contains_key("bandwidth"));
    }
}
