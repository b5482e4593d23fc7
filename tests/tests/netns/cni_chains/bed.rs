//! A host on which the Go plugins are run through the library, and one attachment's whole life on it.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podnet_cni_invoke::{ProcessExec, SearchPath};
use podnet_cni_plugin::{CapabilityArgs, Cni, Error, Network, ResultCache, RuntimeConf};
use podnet_cni_spec::{AddResult, CniArgs, ContainerId, InterfaceName, NetworkConfigList};
use podnet_testkit::{Pod, TestHost};
use podnet_tests::programs::{peer, skip};
use serde_json::{Value, json};

use super::cached;
use super::remains::Remains;

/// What Debian's interface and IPAM plugins speak.
pub(super) const ALL_VERSIONS: [&str; 6] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"];
/// The network of every test here.
pub(super) const NETWORK: &str = "net";
/// The address that static IPAM gives, and that host-local gives first.
pub(super) const ADDRESS: &str = "10.4.0.2/24";

/// What portmap, firewall, and ptp with `ipMasq` run.
const IPTABLES: &str = "/usr/sbin/iptables";
const IP6TABLES_WITHOUT_NAT: &str = "#!/bin/sh
case \" $* \" in *' nat '*) exit 3 ;; esac
exec /usr/sbin/ip6tables \"$@\"
";

/// A host, and a runtime on it whose plugins are the Go programs.
pub(super) struct Bed {
    pub(super) host: TestHost,
    cni: Cni,
}

/// A network's plugins, and what the runtime says of an attachment to it.
pub(super) struct Chain {
    pub(super) plugins: Value,
    pub(super) capability_args: CapabilityArgs,
    /// How often it is deleted: twice, as the specification allows, unless a plugin cannot bear it.
    pub(super) deletes: usize,
}

impl Chain {
    pub(super) fn new(plugins: Value) -> Self {
        Self { plugins, capability_args: CapabilityArgs::default(), deletes: 2 }
    }
}

impl Bed {
    /// None, and the test noted as skipped, where one of the programs is missing.
    pub(super) fn new(programs: &[&str], test: &str) -> Option<Self> {
        let folder = |program: &&str| Some(peer(program, test)?.parent()?.to_owned());
        if !Path::new(IPTABLES).exists() {
            skip(test, "iptables, which the Go programs run, is not installed (package iptables)");
            return None;
        }
        let mut folders = programs.iter().map(folder).collect::<Option<BTreeSet<_>>>()?;
        let search_path = SearchPath::new(folders.pop_first().into_iter().collect());
        let host = TestHost::new().unwrap();
        let mut exec = ProcessExec::new(search_path);
        exec.environment = vec![("PATH".into(), path_without_nat_for_ipv6(&host).into())];
        let cni = Cni::new(Arc::new(exec), ResultCache::new(host.folder().join("cache")));
        Some(Self { host, cni })
    }

    /// host-local with its files on this host.
    pub(super) fn host_local(&self) -> Value {
        json!({
            "type": "host-local", "dataDir": self.host.networks_dir(),
            "ranges": [[{ "subnet": "10.4.0.0/24" }]], "routes": [{ "dst": "0.0.0.0/0" }],
        })
    }

    /// Both IPAM plugins, so configured that the first attachment gets [`ADDRESS`].
    pub(super) fn ipams(&self) -> [Value; 2] {
        let addresses = json!([{ "address": ADDRESS, "gateway": "10.4.0.1" }]);
        let routes = json!([{ "dst": "0.0.0.0/0" }]);
        let fixed = json!({ "type": "static", "addresses": addresses, "routes": routes });
        [self.host_local(), fixed]
    }

    fn network(&self, chain: &Chain, version: &str) -> Network {
        let list = json!({ "cniVersion": version, "name": NETWORK, "plugins": chain.plugins });
        self.cni.network(NetworkConfigList::from_json(list.to_string().as_bytes()).unwrap())
    }

    /// ADD, CHECK and DEL in each of these versions, each for a container of its own.
    ///
    /// `attached` looks at the pod while it is attached.
    pub(super) fn live_through(
        &self,
        chain: &Chain,
        versions: &[&str],
        attached: impl Fn(&Pod, &AddResult) + Send + Sync,
    ) {
        for version in versions {
            let pod = self.host.add_pod("web").unwrap();
            let life = || self.live(chain, version, &pod, &attached);
            self.host.run(life).unwrap();
        }
    }

    async fn live(
        &self,
        chain: &Chain,
        version: &str,
        pod: &Pod,
        attached: &(impl Fn(&Pod, &AddResult) + Sync),
    ) {
        let network = self.network(chain, version);
        let conf = runtime(version, pod.path(), chain.capability_args.clone());
        let before = Remains::of(&self.host, pod).await;

        let result = network.add(&conf).await.unwrap_or_else(|error| panic!("{version}: {error}"));
        assert!(!result.ips.is_empty() && pod.link("eth0").await.unwrap().is_some(), "{version}");
        cached::assert_documented(&self.host, &network, &conf, &result);
        attached(pod, &result);
        assert_checked(&network, &conf).await;

        for _ in 0..chain.deletes {
            network.del(&conf).await.unwrap_or_else(|error| panic!("{version}: {error}"));
        }
        assert_eq!(Remains::of(&self.host, pod).await, before, "{version}");
    }
}

/// The plugins' PATH. portmap 1.1.1 makes rules for the families that the pod has, and on CHECK wants them from both
/// iptables and ip6tables if it can use both, which fails for an IPv4 pod and for one of two families alike ("could not
/// check ipv6 dnat"). firewall needs both programs. So here ip6tables has no nat table, and portmap does without it.
fn path_without_nat_for_ipv6(host: &TestHost) -> PathBuf {
    let path = host.folder().join("sbin");
    std::fs::create_dir(&path).unwrap();
    std::os::unix::fs::symlink(IPTABLES, path.join("iptables")).unwrap();
    let ip6tables = path.join("ip6tables");
    std::fs::write(&ip6tables, IP6TABLES_WITHOUT_NAT).unwrap();
    std::fs::set_permissions(&ip6tables, Permissions::from_mode(0o755)).unwrap();
    path
}

async fn assert_checked(network: &Network, conf: &RuntimeConf) {
    let version = network.list().version;
    match network.check(conf).await {
        Err(Error::VerbTooNew { .. }) if version.as_str() < "0.4.0" => {}
        checked => checked.unwrap_or_else(|error| panic!("{version}: {error}")),
    }
}

fn runtime(version: &str, netns: &Path, capability_args: CapabilityArgs) -> RuntimeConf {
    let id = ContainerId::new(format!("web-{version}")).unwrap();
    RuntimeConf::new(id, InterfaceName::new("eth0").unwrap())
        .with_netns(netns)
        .with_args(CniArgs::parse("IgnoreUnknown=1;K8S_POD_NAME=web").unwrap())
        .with_capability_args(capability_args)
}
