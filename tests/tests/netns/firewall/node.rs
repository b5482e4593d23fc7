//! A host whose `iptables` is of a flavour, and the plugin there, ours and the Go program.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use podnet_testkit::TestHost;
use podnet_tests::programs::{newest_peer, own};
use podnet_tests::{Cni, Outcome};
use serde_json::{Value, json};

pub(super) const FLAVOURS: [&str; 2] = ["nft", "legacy"];
pub(super) const FAMILIES: [&str; 2] = ["iptables", "ip6tables"];

pub(super) struct Node {
    pub(super) host: TestHost,
    pub(super) flavour: &'static str,
}

impl Node {
    pub(super) fn new(flavour: &'static str) -> Self {
        let node = Self { host: TestHost::new().unwrap(), flavour };
        fs::create_dir(node.programs()).unwrap();
        let program = format!("/usr/sbin/xtables-{flavour}-multi");
        for family in FAMILIES {
            for kind in ["", "-save", "-restore"] {
                symlink(&program, node.programs().join(format!("{family}{kind}"))).unwrap();
            }
        }
        node
    }

    /// The folder that is searched first.
    fn programs(&self) -> PathBuf {
        self.host.folder().join("programs")
    }

    /// Has another program in the place of one of iptables'.
    pub(super) fn replace(&self, name: &str, program: &str) {
        let place = self.programs().join(name);
        fs::remove_file(&place).unwrap();
        symlink(program, place).unwrap();
    }

    /// The address of the bus on which firewalld is looked for.
    pub(super) fn bus(&self) -> String {
        format!("unix:path={}", self.host.folder().join("bus").display())
    }

    /// A program as a runtime on this host calls it.
    fn cni(&self, program: &Path, arguments: &[&str], config: Value) -> Cni<'_> {
        let path = format!("PATH={}:/usr/bin:/bin", self.programs().display());
        let bus = format!("DBUS_SYSTEM_BUS_ADDRESS={}", self.bus());
        let mut all = vec![path, bus, program.display().to_string()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let path = program.parent().unwrap().to_owned();
        Cni { host: &self.host, program: "/usr/bin/env".into(), arguments: all, path, config }
    }

    pub(super) fn ours(&self, plugin: &str, config: Value) -> Cni<'_> {
        self.cni(&own("podnet-cni"), &[plugin], config)
    }

    /// The Go program; none where it is not there, which is noted for `test`.
    pub(super) fn go(&self, config: Value, test: &str) -> Option<Cni<'_>> {
        Some(self.cni(&newest_peer("firewall", test)?, &[], config))
    }

    /// Our firewall, called behind the plugin with this result.
    pub(super) fn call(
        &self,
        verb: &str,
        id: &str,
        netns: &Path,
        options: &Value,
        result: &Value,
    ) -> Outcome {
        let mut config = after(options, result);
        if verb == "STATUS" {
            config["cniVersion"] = "1.1.0".into();
        }
        self.ours("firewall", config).call(verb, id, netns)
    }

    /// Runs a program of iptables with arguments that hold no blank.
    pub(super) fn iptables(&self, program: &str, arguments: &str) -> Result<String, String> {
        let path = self.programs().join(program);
        let run = || Command::new(path).args(arguments.split(' ')).output();
        let Output { status, stdout, stderr } = self.host.netns().run(run).unwrap().unwrap();
        let words = String::from_utf8_lossy(&stderr).into_owned();
        if status.success() { Ok(String::from_utf8(stdout).unwrap()) } else { Err(words) }
    }

    /// The filter tables of both families, without what differs from one moment to another.
    pub(super) fn saved(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for family in FAMILIES {
            let text = self.iptables(&format!("{family}-save"), "-t filter").unwrap();
            lines.push(format!("{family}:"));
            let kept = text.lines().filter(|line| !line.starts_with('#'));
            lines.extend(kept.map(|line| line.split(" [").next().unwrap().to_owned()));
        }
        lines
    }

    /// The rules of a chain of one family, as arguments.
    pub(super) fn rules(&self, family: &str, chain: &str) -> Vec<String> {
        let listed = self.iptables(family, &format!("-S {chain}")).unwrap_or_default();
        let rules = listed.lines().filter(|line| line.starts_with("-A "));
        rules.map(|line| line.strip_prefix("-A ").unwrap().to_owned()).collect()
    }
}

/// A configuration with the result of the plugin before.
pub(super) fn after(options: &Value, result: &Value) -> Value {
    let mut config =
        json!({ "cniVersion": result["cniVersion"], "name": "net", "type": "firewall" });
    config.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    config["prevResult"] = result.clone();
    config
}

/// What a bridge plugin would have said of a pod with these addresses.
pub(super) fn result(addresses: &[&str]) -> Value {
    let ips: Vec<Value> =
        addresses.iter().map(|address| json!({ "interface": 2, "address": address })).collect();
    json!({
        "cniVersion": "1.0.0",
        "interfaces": [
            { "name": "br0", "mac": "02:00:00:00:00:01" },
            { "name": "veth0", "mac": "02:00:00:00:00:02" },
            { "name": "eth0", "mac": "02:00:00:00:00:03", "sandbox": "/a/pod" },
        ],
        "ips": ips,
        "dns": {},
    })
}
