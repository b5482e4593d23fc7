//! The plugin `portmap` chained to a bridge: real packets from outside, from the host and from the container itself.

mod addresses;
mod clients;
mod conditions;
mod go;
mod masquerade;
mod race;
mod sctp;

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use podnet_cni_invoke::Exec as _;
use podnet_cni_spec::{Attachment, CniArgs, PluginConfig, Request, Verb};
use podnet_netutil::nft::{Nft, Table, TableFamily, Transaction};
use podnet_netutil::{Netlink, Netns};
use podnet_standard_plugins::nat::{NatTable, Published};
use podnet_standard_plugins::{BuiltinExec, Host};
use podnet_testkit::{Pod, TestHost, probe};
use podnet_tests::programs::own;
use podnet_tests::{Cni, Outcome};
use serde_json::{Value, json};

const NODE: &str = "192.0.2.10";
const NODE6: &str = "2001:db8::10";
const TABLE: Table<'static> = Table { family: TableFamily::Inet, name: "podnet" };
const PATIENCE: Duration = Duration::from_secs(3);

/// A host and the world outside.
fn host_and_world() -> (TestHost, Pod) {
    let host = TestHost::new().unwrap();
    let world = host.add_uplink(1500, format!("{NODE}/24").parse().unwrap()).unwrap();
    host.run(async || {
        let netlink = Netlink::open_in(world.netns()).unwrap();
        let uplink = netlink.require_link("eth0").await.unwrap();
        netlink.add_address(&uplink, "192.0.2.1/24".parse().unwrap()).await.unwrap();
    })
    .unwrap();
    (host, world)
}

/// A host and the world outside, with IPv6 too.
fn both_families() -> (TestHost, Pod) {
    let (host, world) = host_and_world();
    for (netns, address) in [(host.netns(), NODE6), (world.netns(), "2001:db8::1")] {
        let arguments = ["address", "add", &format!("{address}/64"), "dev", "eth0", "nodad"];
        let added = netns.run(|| Command::new("ip").args(arguments).status().unwrap()).unwrap();
        assert!(added.success());
    }
    for node in [NODE, NODE6] {
        world.ping(node.parse().unwrap()).unwrap();
    }
    (host, world)
}

/// The result of an ADD of the bridge plugin with addresses of both families.
fn attach_both(host: &TestHost, pod: &Pod) -> Value {
    let mut both = bridge(host, "1.0.0");
    both["ipam"] = json!({
        "type": "host-local", "dataDir": host.networks_dir(),
        "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00:1::/64" }]],
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
    });
    let attached = ours(host, "bridge", both).call("ADD", pod.name(), pod.path()).ok();
    // An address of IPv6 is not one until nobody objected.
    for gateway in ["10.1.0.1", "fd00:1::1"] {
        pod.ping(gateway.parse().unwrap()).unwrap();
    }
    attached
}

/// Runs a program in the host's namespace and returns what it printed; it must succeed.
fn printed(host: &TestHost, program: &str, arguments: &[&str]) -> String {
    let run = || Command::new(program).args(arguments).output().unwrap();
    let output = host.netns().run(run).unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

fn ours<'a>(host: &'a TestHost, plugin: &str, config: Value) -> Cni<'a> {
    let program = own("podnet-cni");
    let path = program.parent().unwrap().to_owned();
    Cni { host, program, arguments: vec![plugin.to_owned()], path, config }
}

fn bridge(host: &TestHost, version: &str) -> Value {
    json!({
        "cniVersion": version, "name": "net", "type": "bridge", "bridge": "br0", "isGateway": true,
        "hairpinMode": true,
        "ipam": {
            "type": "host-local", "subnet": "10.1.0.0/24", "routes": [{ "dst": "0.0.0.0/0" }],
            "dataDir": host.networks_dir(),
        },
    })
}

/// The result of an ADD of the bridge plugin.
fn attach(host: &TestHost, pod: &Pod, version: &str) -> Value {
    ours(host, "bridge", bridge(host, version)).call("ADD", pod.name(), pod.path()).ok()
}

fn portmap(attached: &Value, ports: &Value) -> Value {
    json!({
        "cniVersion": attached["cniVersion"], "name": "net", "type": "portmap", "prevResult": attached,
        "capabilities": { "portMappings": true }, "runtimeConfig": { "portMappings": ports },
    })
}

fn with(config: &Value, key: &str, value: Value) -> Value {
    let mut config = config.clone();
    config[key] = value;
    config
}

/// What a runtime that lost its cache sends.
fn bare() -> Value {
    json!({ "cniVersion": "1.1.0", "name": "net", "type": "portmap" })
}

fn published(host: &TestHost) -> Vec<Published> {
    host.run(async || NatTable::open(&host.runtime_dir()).unwrap().published().await.unwrap())
        .unwrap()
}

/// The holders of host ports, each once.
fn holders(host: &TestHost) -> Vec<String> {
    let mut labels: Vec<String> = published(host).into_iter().map(|port| port.label).collect();
    labels.sort();
    labels.dedup();
    labels
}

fn pod_ip(attached: &Value) -> std::net::IpAddr {
    let address = attached["ips"][0]["address"].as_str().or(attached["ip4"]["ip"].as_str());
    address.unwrap().split('/').next().unwrap().parse().unwrap()
}

fn fetch(from: &Netns, target: &str) -> Option<String> {
    let target: SocketAddr = target.parse().unwrap();
    from.run(|| probe::fetch(target).ok()).unwrap()
}

/// Sends back what comes to a port by UDP, until it is dropped.
struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn new(pod: &Pod, port: u16) -> Self {
        let socket = pod.netns().run(|| UdpSocket::bind(("0.0.0.0", port)).unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    drop(socket.send_to(&buffer[..length], from));
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

/// Whether a datagram comes back.
fn echoes(from: &Netns, target: &str) -> bool {
    let target: SocketAddr = target.parse().unwrap();
    let ask = || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(target).unwrap();
        socket.send(b"hello").unwrap();
        socket.recv(&mut [0; 64]).is_ok_and(|length| length == 5)
    };
    from.run(ask).unwrap()
}

#[test]
fn ports_lead_to_a_container_from_outside_from_the_host_and_from_itself() {
    let (host, world) = host_and_world();
    let web = host.add_pod("web").unwrap();
    let attached = attach(&host, &web, "1.0.0");
    // As containerd sends them.
    let ports = json!([
        { "HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "" },
        { "HostPort": 8080, "ContainerPort": 53, "Protocol": "udp", "HostIP": "" },
        { "HostPort": 8443, "ContainerPort": 80, "Protocol": "TCP", "HostIP": "127.0.0.1" },
        { "HostPort": 8444, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "2001:db8::10" },
    ]);
    let config = portmap(&attached, &ports);
    let result = ours(&host, "portmap", config.clone()).call("ADD", "web", web.path()).ok();
    assert_eq!(result, attached);
    assert_eq!(published(&host).len(), 3);

    let _page = web.serve((pod_ip(&attached), 80).into(), "hello").unwrap();
    let _echo = Echo::new(&web, 53);
    let hello = Some("hello".to_owned());
    assert_eq!(fetch(world.netns(), "192.0.2.10:8080"), hello);
    assert!(echoes(world.netns(), "192.0.2.10:8080"));
    for by in ["127.0.0.1:8080", "192.0.2.10:8080", "127.0.0.1:8443"] {
        assert_eq!(fetch(host.netns(), by), hello, "{by}");
    }
    assert!(echoes(host.netns(), "127.0.0.1:8080"));
    assert_eq!(fetch(web.netns(), "192.0.2.10:8080"), hello);
    assert_eq!(fetch(world.netns(), "192.0.2.10:8443"), None);

    for _ in 0..2 {
        ours(&host, "portmap", bare()).call("DEL", "web", Path::new("")).ok();
        assert!(published(&host).is_empty());
    }
    for from in [world.netns(), host.netns()] {
        assert_eq!(fetch(from, "192.0.2.10:8080"), None);
    }
}

#[test]
fn a_bridge_that_the_result_cannot_name_is_found() {
    let (host, world) = host_and_world();
    let web = host.add_pod("web").unwrap();
    let attached = attach(&host, &web, "0.2.0");
    assert_eq!(attached["interfaces"], Value::Null);
    let ports = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }]);
    let config = portmap(&attached, &ports);
    let result = ours(&host, "portmap", config).call("ADD", "web", web.path()).ok();
    assert_eq!(result, attached);
    let _page = web.serve((pod_ip(&attached), 80).into(), "hello").unwrap();
    assert!(fetch(world.netns(), "192.0.2.10:8080").is_some());
    assert!(fetch(host.netns(), "127.0.0.1:8080").is_some());
}

#[test]
fn both_families_are_served_and_an_unspecified_address_is_all_of_its_own() {
    let (host, world) = both_families();
    let web = host.add_pod("web").unwrap();
    let attached = attach_both(&host, &web);
    let ports = json!([
        { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
        { "hostPort": 8081, "containerPort": 80, "protocol": "tcp", "hostIP": "0.0.0.0" },
        { "hostPort": 8082, "containerPort": 80, "protocol": "tcp", "hostIP": "::" },
    ]);
    let config = portmap(&attached, &ports);
    ours(&host, "portmap", config.clone()).call("ADD", "web", web.path()).ok();
    ours(&host, "portmap", config).call("CHECK", "web", web.path()).ok();
    let _page = web.serve("[::]:80".parse().unwrap(), "hello").unwrap();
    for (target, is_served) in [
        ("192.0.2.10:8080", true),
        ("[2001:db8::10]:8080", true),
        ("192.0.2.10:8081", true),
        ("[2001:db8::10]:8081", false),
        ("192.0.2.10:8082", false),
        ("[2001:db8::10]:8082", true),
    ] {
        assert_eq!(fetch(world.netns(), target).is_some(), is_served, "{target}");
    }
    assert!(fetch(host.netns(), "[2001:db8::10]:8080").is_some());
    assert!(fetch(web.netns(), "[2001:db8::10]:8080").is_some());
}

#[test]
fn without_snat_loopback_leads_nowhere() {
    let (host, world) = host_and_world();
    let web = host.add_pod("web").unwrap();
    let attached = attach(&host, &web, "1.1.0");
    let ports = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }]);
    let config = with(&portmap(&attached, &ports), "snat", json!(false));
    let call = |verb: &str| ours(&host, "portmap", config.clone()).call(verb, "web", web.path());
    call("ADD").ok();
    call("CHECK").ok();
    let _page = web.serve((pod_ip(&attached), 80).into(), "hello").unwrap();
    assert!(fetch(world.netns(), "192.0.2.10:8080").is_some());
    let path = "/proc/sys/net/ipv4/conf/br0/route_localnet";
    let routed = host.netns().run(|| std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(routed.trim(), "0");
}

#[test]
fn a_check_finds_what_is_missing_and_an_add_mends_it() {
    let (host, _world) = host_and_world();
    let web = host.add_pod("web").unwrap();
    let attached = attach(&host, &web, "1.1.0");
    let ports = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }]);
    let config = portmap(&attached, &ports);
    let call = |verb: &str, config: &Value| {
        ours(&host, "portmap", config.clone()).call(verb, "web", web.path())
    };
    call("ADD", &config).ok();
    call("CHECK", &config).ok();
    let more = json!([{ "hostPort": 8081, "containerPort": 80, "protocol": "tcp" }]);
    let (_, message) = call("CHECK", &portmap(&attached, &more)).error();
    assert!(message.contains("host port 8081/tcp is not published"), "{message}");
    host.run(async || {
        let mut transaction = Transaction::new();
        transaction.delete_table(TABLE);
        Nft::open().unwrap().commit(transaction).await.unwrap();
    })
    .unwrap();
    let (_, message) = call("CHECK", &config).error();
    for fault in ["table inet podnet is missing", "host port 8080/tcp is not published"] {
        assert!(message.contains(fault), "{message}");
    }
    call("ADD", &config).ok();
    call("CHECK", &config).ok();
    call("STATUS", &config).ok();
}

#[test]
fn without_ports_nothing_is_touched() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let attached = attach(&host, &web, "1.1.0");
    let call = |verb: &str, config: Value| {
        ours(&host, "portmap", config).call(verb, web.name(), web.path())
    };
    let config = with(&bare(), "prevResult", attached.clone());
    assert_eq!(call("ADD", config.clone()).ok(), attached);
    assert_eq!(call("ADD", portmap(&attached, &json!([]))).ok(), attached);
    call("CHECK", config.clone()).ok();
    call("DEL", config.clone()).ok();
    let (code, message) = call("ADD", bare()).error();
    assert!(code == 7 && message.contains("must be called as chained plugin"), "{message}");
    let (code, message) = call("ADD", with(&config, "markMasqBit", json!(32))).error();
    assert!(code == 7 && message.contains("32 is not between 0 and 31"), "{message}");
    let rules = host.run(async || Nft::open().unwrap().rules(TABLE).await.unwrap()).unwrap();
    assert!(rules.is_empty());
}

#[test]
fn a_port_of_another_container_is_refused_and_one_of_a_process_is_not() {
    let host = TestHost::new().unwrap();
    let (web, other) = (host.add_pod("web").unwrap(), host.add_pod("other").unwrap());
    // podman binds the ports that it publishes.
    let _bound = host.netns().run(|| std::net::TcpListener::bind("0.0.0.0:8080").unwrap()).unwrap();
    host.run(async || {
        let exec = BuiltinExec::new(Host::open(&host.runtime_dir()).unwrap());
        let mut chains = Vec::new();
        for pod in [&web, &other] {
            let bridge = PluginConfig::from_value(bridge(&host, "1.1.0")).unwrap();
            let request = request(pod, Verb::Add, bridge);
            let result = exec.run(&"bridge".parse().unwrap(), &request).await.unwrap().unwrap();
            let attached = result.to_json("1.1.0".parse().unwrap()).unwrap();
            let ports = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }]);
            chains.push(PluginConfig::from_value(portmap(&attached, &ports)).unwrap());
        }
        let plugin = "portmap".parse().unwrap();
        let add_web = request(&web, Verb::Add, chains[0].clone());
        let add_other = request(&other, Verb::Add, chains[1].clone());
        let result = exec.run(&plugin, &add_web).await.unwrap();
        assert_eq!(result, chains[0].prev_result().unwrap());
        let refused = exec.run(&plugin, &add_other).await.unwrap_err().to_string();
        assert!(refused.contains("host port 8080/tcp is taken by container web"), "{refused}");
        exec.run(&plugin, &request(&web, Verb::Check, chains[0].clone())).await.unwrap();

        let del_web = request(&web, Verb::Del, PluginConfig::from_value(bare()).unwrap());
        exec.run(&plugin, &del_web).await.unwrap();
        exec.run(&plugin, &add_other).await.unwrap();
    })
    .unwrap();
    assert_eq!(holders(&host), ["podnet:net/other/eth0"]);
}

fn request(pod: &Pod, verb: Verb, config: PluginConfig) -> Request {
    let attachment = Attachment {
        container_id: pod.name().parse().unwrap(),
        interface: "eth0".parse().unwrap(),
        netns: Some(pod.path().to_owned()),
        args: CniArgs::default(),
    };
    Request { verb, attachment: Some(attachment), config }
}

#[test]
fn a_collection_keeps_valid_attachments_and_other_networks() {
    let host = TestHost::new().unwrap();
    for (name, port) in [("web", 8080), ("gone", 8081)] {
        let pod = host.add_pod(name).unwrap();
        let attached = attach(&host, &pod, "1.1.0");
        let ports = json!([{ "hostPort": port, "containerPort": 80, "protocol": "tcp" }]);
        ours(&host, "portmap", portmap(&attached, &ports)).call("ADD", name, pod.path()).ok();
    }
    let gc = |config: Value| ours(&host, "portmap", config).call("GC", "", Path::new(""));
    assert_eq!(gc(bare()).error().0, 7);
    let none_valid = with(&bare(), "cni.dev/valid-attachments", json!([]));
    gc(with(&none_valid, "name", json!("elsewhere"))).ok();
    assert_eq!(holders(&host).len(), 2);
    let valid = json!([{ "containerID": "web", "ifname": "eth0" }]);
    gc(with(&bare(), "cni.dev/valid-attachments", valid)).ok();
    assert_eq!(holders(&host), ["podnet:net/web/eth0"]);
    let table = || printed(&host, "nft", &["list", "table", "inet", "podnet"]);
    assert!(table().contains("guard-net"));
    gc(none_valid).ok();
    assert!(published(&host).is_empty());
    assert!(!table().contains("-net"), "{}", table());
}
