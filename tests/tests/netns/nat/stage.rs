//! The host, its pods and the world outside.

use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Output};

use podnet_cni_invoke::Exec as _;
use podnet_cni_spec::{Attachment, CniArgs, PluginConfig, Request, Verb};
use podnet_netutil::{Netlink, bridge_filter};
use podnet_standard_plugins::nat::{HostPort, NatNetwork, NatTable, Protocol};
use podnet_standard_plugins::{BuiltinExec, Host, Label};
use podnet_testkit::{Pod, TestHost, UPLINK};
use serde_json::json;

use super::echo::Echo;

pub(crate) const HOST: &str = "192.0.2.10";
pub(crate) const HOST6: &str = "2001:db8::10";
pub(crate) const WORLD: &str = "192.0.2.1";
pub(crate) const WORLD6: &str = "2001:db8::1";
pub(crate) const BRIDGE_IP: &str = "10.9.0.1";

pub(crate) struct Stage {
    pub(crate) host: TestHost,
    pub(crate) world: Pod,
}

/// A pod with a server on port 8080 of TCP and UDP.
pub(crate) struct Server {
    pub(crate) pod: Pod,
    pub(crate) label: Label,
    pub(crate) ips: Vec<IpAddr>,
    _echo: Echo,
}

impl Server {
    pub(crate) fn ip(&self) -> String {
        self.ips[0].to_string()
    }
}

pub(crate) fn network() -> NatNetwork {
    NatNetwork {
        name: "kubenet".parse().unwrap(),
        bridge: "cbr0".parse().unwrap(),
        pod_cidrs: vec!["10.9.0.0/24".parse().unwrap(), "fd00:9::/64".parse().unwrap()],
        non_masquerade: vec!["10.0.0.0/8".parse().unwrap()],
        masquerade: true,
        dedup: None,
        reports_to: None,
    }
}

pub(crate) fn port(protocol: Protocol, host_port: u16) -> HostPort {
    HostPort { protocol, host_ip: None, host_port, container_port: 8080 }
}

pub(crate) fn at(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

impl Stage {
    pub(crate) fn new() -> Self {
        let host = TestHost::new().unwrap();
        let world = host.add_uplink(1500, format!("{HOST}/24").parse().unwrap()).unwrap();
        host.run(async || {
            let inside = Netlink::open().unwrap();
            let eth0 = inside.require_link(UPLINK).await.unwrap();
            inside.add_address(&eth0, format!("{HOST6}/64").parse().unwrap()).await.unwrap();
            let outside = Netlink::open_in(world.netns()).unwrap();
            let eth0 = outside.require_link(UPLINK).await.unwrap();
            for address in [format!("{WORLD}/24"), format!("{WORLD6}/64")] {
                outside.add_address(&eth0, address.parse().unwrap()).await.unwrap();
            }
        })
        .unwrap();
        let stage = Self { host, world };
        stage.world.ping(HOST.parse().unwrap()).unwrap();
        stage.world.ping(HOST6.parse().unwrap()).unwrap();
        stage
    }

    /// Attaches a pod to the bridge and starts its server.
    pub(crate) fn server(&self, name: &str) -> Server {
        let pod = self.host.add_pod(name).unwrap();
        let config = json!({
            "cniVersion": "1.1.0", "name": "kubenet", "type": "bridge", "bridge": "cbr0",
            "isGateway": true, "hairpinMode": true,
            "ipam": {
                "type": "host-local", "dataDir": self.host.networks_dir(),
                "ranges": [[{ "subnet": "10.9.0.0/24" }], [{ "subnet": "fd00:9::/64" }]],
                "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
            },
        });
        let request = Request {
            verb: Verb::Add,
            attachment: Some(Attachment {
                container_id: name.parse().unwrap(),
                interface: "eth0".parse().unwrap(),
                netns: Some(pod.path().to_owned()),
                args: CniArgs::default(),
            }),
            config: PluginConfig::from_value(config).unwrap(),
        };
        let result = self.host.run(async || {
            let exec = BuiltinExec::new(Host::open(&self.host.runtime_dir()).unwrap());
            let _ = bridge_filter::enable();
            exec.run(&"bridge".parse().unwrap(), &request).await.unwrap().unwrap()
        });
        let ips: Vec<IpAddr> = result.unwrap().ips.iter().map(|ip| ip.address.ip()).collect();
        pod.ping(BRIDGE_IP.parse().unwrap()).unwrap();
        pod.ping("fd00:9::1".parse().unwrap()).unwrap();
        let echo = Echo::start(pod.netns(), name, at("::", 8080));
        Server { label: Label::of(&request).unwrap(), pod, ips, _echo: echo }
    }

    /// Runs something with the table, in the host's namespace.
    pub(crate) fn table<T: Send>(&self, work: impl AsyncFnOnce(NatTable) -> T + Send) -> T {
        let folder = self.host.runtime_dir();
        self.host.run(async || work(NatTable::open(&folder).unwrap()).await).unwrap()
    }

    pub(crate) fn ensure(&self, network: &NatNetwork) -> Vec<String> {
        self.table(async |table| table.ensure(network).await.unwrap())
    }

    pub(crate) fn missing(&self, network: &NatNetwork) -> Vec<String> {
        self.table(async |table| table.missing(network).await.unwrap())
    }

    pub(crate) fn publish(&self, server: &Server, ports: &[HostPort]) {
        self.try_publish(server, ports).unwrap();
    }

    pub(crate) fn try_publish(&self, server: &Server, ports: &[HostPort]) -> Result<(), String> {
        self.table(async |table| {
            let published = table.publish(&server.label, &server.ips, ports).await;
            published.map_err(|error| error.to_string())
        })
    }

    pub(crate) fn withdraw(&self, server: &Server) {
        self.table(async |table| table.withdraw(&server.label).await.unwrap());
    }

    /// Runs a program in the host's namespace and returns what it printed; it must succeed.
    pub(crate) fn program(&self, program: &str, arguments: &[&str]) -> String {
        let run = || Command::new(program).args(arguments).output();
        let Output { status, stdout, stderr } = self.host.netns().run(run).unwrap().unwrap();
        let words = String::from_utf8_lossy(&stderr).into_owned();
        assert!(status.success(), "{program} {arguments:?}: {words}");
        String::from_utf8(stdout).unwrap()
    }
}
