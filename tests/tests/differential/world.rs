//! What can be seen of a host and its pods: links, addresses, routes, sysctls, qdiscs, the files of the plugins.
//!
//! Seen by `ip`, `tc` and by reading files, not by the code under test. Left out is what time decides (carrier, duplicate
//! address detection) and what follows from something else that is seen: link-local addresses, the local table.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use podnet_netutil::Netns;
use podnet_testkit::{Pod, TestHost};
use serde_json::{Map, Value, json};

use crate::case::{Case, Step};
use crate::names::Names;
use crate::queues;

const LINK: &[&str] = &[
    "mtu",
    "qdisc",
    "group",
    "txqlen",
    "num_tx_queues",
    "num_rx_queues",
    "link_type",
    "address",
    "master",
    "ifalias",
    "promiscuity",
];
const KIND: &[&str] = &[
    "vlan_filtering",
    "stp_state",
    "ageing_time",
    "mcast_snooping",
    "vlan_default_pvid",
    "group_fwd_mask",
    "nf_call_iptables",
];
const PORT: &[&str] = &[
    "hairpin",
    "isolated",
    "learning",
    "flood",
    "guard",
    "root_block",
    "neigh_suppress",
    "proxy_arp",
    "vlan_tunnel",
    "priority",
    "cost",
];
const ADDRESS: &[&str] = &[
    "family",
    "local",
    "prefixlen",
    "broadcast",
    "scope",
    "label",
    "noprefixroute",
    "nodad",
    "metric",
];
const ROUTE: &[&str] = &[
    "dst", "gateway", "dev", "protocol", "scope", "prefsrc", "metric", "metrics", "table", "type",
];
const FLAGS: &[&str] =
    &["UP", "PROMISC", "ALLMULTI", "NOARP", "MULTICAST", "BROADCAST", "LOOPBACK", "POINTOPOINT"];
const IPV4: &[&str] =
    &["forwarding", "arp_notify", "proxy_arp", "rp_filter", "accept_redirects", "route_localnet"];
const IPV6: &[&str] =
    &["disable_ipv6", "accept_ra", "accept_dad", "enhanced_dad", "keep_addr_on_down", "forwarding"];

/// Of a namespace as a whole.
const PARAMETERS: &[&str] = &[
    "net/bridge/bridge-nf-call-iptables",
    "net/core/somaxconn",
    "net/ipv4/ip_forward",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv6/conf/all/forwarding",
];

/// What takes a program more to see, and is looked at where a plugin of the case may change it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    queues: bool,
    filter_table: bool,
}

impl Watch {
    /// What the plugins of a case may change.
    pub(crate) fn of(case: &Case) -> Self {
        let calls = |plugin: &str| {
            case.steps.iter().any(|step| matches!(step, Step::Call(call) if call.plugin == plugin))
        };
        Self { queues: calls("bandwidth"), filter_table: calls("firewall") }
    }
}

/// Everything, in names that mean the same on both sides; learns those of what is new.
pub(crate) fn see(host: &TestHost, pods: &[Option<Pod>], names: &mut Names, watch: Watch) -> Value {
    let here = ("host".to_owned(), Space::look(host.netns(), watch));
    let inside = pods.iter().flatten();
    let inside = inside.map(|pod| (pod.name().to_owned(), Space::look(pod.netns(), watch)));
    let spaces: Vec<(String, Space)> = std::iter::once(here).chain(inside).collect();
    for (place, space) in &spaces {
        space.teach(place, names);
    }
    let mut seen: Map<String, Value> = spaces
        .into_iter()
        .map(|(place, space)| (place, names.in_value(&space.describe())))
        .collect();
    seen.insert("store".to_owned(), names.in_value(&store(&host.networks_dir())));
    seen.insert("tuning".to_owned(), names.in_value(&backups(&host.folder().join("tuning"))));
    Value::Object(seen)
}

/// How many veth ends a namespace has.
pub(crate) fn veths(netns: &Netns) -> usize {
    let links = netns.run(|| batch("ip", b"link show type veth\n")).unwrap();
    // There are empty objects in the place of links of other types.
    links.iter().flatten().filter(|link| link.get("ifname").is_some()).count()
}

/// A namespace as `ip` and `/proc/sys` show it.
struct Space {
    links: Vec<Value>,
    routes: Vec<Value>,
    sysctls: BTreeMap<String, Value>,
    parameters: Value,
    queues: BTreeMap<String, Value>,
    filter_table: Value,
}

impl Space {
    fn look(netns: &Netns, watch: Watch) -> Self {
        let look = || {
            let mut found = batch("ip", b"address show\nroute show table all\n");
            let (links, routes) = (found.remove(0), found.remove(0));
            let sysctls = links.iter().map(|link| sysctls(text(link, "ifname"))).collect();
            let queues = if watch.queues { queues::look() } else { BTreeMap::new() };
            let filter_table = if watch.filter_table { filter_table() } else { Value::Null };
            Self { links, routes, sysctls, parameters: parameters(), queues, filter_table }
        };
        netns.run(look).unwrap()
    }

    /// Names for interfaces whose names were made up, and for MAC addresses.
    fn teach(&self, place: &str, names: &mut Names) {
        let mut links: Vec<&Value> = self.links.iter().collect();
        links.sort_by_key(|link| link["ifindex"].as_u64());
        let is_veth = |link: &Value| link["linkinfo"]["info_kind"] == "veth";
        for link in links.iter().filter(|link| place == "host" && is_veth(link)) {
            let name = text(link, "ifname");
            if name.starts_with("veth") && !names.knows(name) {
                names.learn(name, format!("host-end-{}", names.count("host-end-")));
            }
        }
        // A bridge first: one without an address of its own has that of a port.
        links.sort_by_key(|link| is_veth(link));
        for link in links {
            let (mac, name) = (text(link, "address"), names.in_text(text(link, "ifname")));
            if is_made_up(mac) {
                names.learn(mac, format!("MAC of {place} {name}"));
            }
        }
    }

    fn describe(&self) -> Value {
        let links: Map<String, Value> = self
            .links
            .iter()
            .map(|link| (text(link, "ifname").to_owned(), self.describe_link(link)))
            .collect();
        let mut routes: Vec<Value> = self
            .routes
            .iter()
            .filter(|route| is_of_interest(route))
            .map(|route| pick(route, ROUTE))
            .collect();
        routes.sort_by_key(ToString::to_string);
        let mut routes_by_name = Map::new();
        for route in routes {
            let table = route["table"].as_str().unwrap_or("main");
            let key = format!("{} {table} {}", text(&route, "dst"), text(&route, "dev"));
            routes_by_name.insert(key, route);
        }
        json!({
            "links": links, "routes": routes_by_name, "sysctls": self.parameters, "filter-table": self.filter_table,
        })
    }

    fn describe_link(&self, link: &Value) -> Value {
        let mut seen = pick(link, LINK);
        let flags = link["flags"].as_array().cloned().unwrap_or_default();
        seen["flags"] = FLAGS
            .iter()
            .filter(|flag| flags.contains(&json!(flag)))
            .copied()
            .collect::<Vec<_>>()
            .join(",")
            .into();
        let detail = &link["linkinfo"];
        seen["kind"] = detail["info_kind"].clone();
        seen["options"] = pick(&detail["info_data"], KIND);
        seen["port"] = pick(&detail["info_slave_data"], PORT);
        let addresses = link["addr_info"].as_array().cloned().unwrap_or_default();
        let own = addresses.iter().filter(|address| address["scope"] != "link");
        seen["addresses"] = own
            .map(|address| {
                (
                    format!("{}/{}", text(address, "local"), address["prefixlen"]),
                    pick(address, ADDRESS),
                )
            })
            .collect::<Map<_, _>>()
            .into();
        seen["sysctls"] = self.sysctls.get(text(link, "ifname")).cloned().unwrap_or_default();
        seen["queues"] = self.queues.get(text(link, "ifname")).cloned().unwrap_or_default();
        seen
    }
}

/// The kernel makes these itself for every address.
fn is_of_interest(route: &Value) -> bool {
    let kind = route["type"].as_str().unwrap_or("unicast");
    let dst = text(route, "dst");
    kind == "unicast" && !dst.starts_with("fe80::") && !dst.starts_with("ff00::")
}

/// An address of which no configuration speaks. Ours in the tables begin with 02:00:00.
fn is_made_up(mac: &str) -> bool {
    !mac.is_empty() && !mac.starts_with("02:00:00:") && mac != "00:00:00:00:00:00"
}

/// Runs `ip` or `tc` with these commands; a list of objects for each.
pub(crate) fn batch(program: &str, commands: &[u8]) -> Vec<Vec<Value>> {
    let mut child = Command::new(program)
        .args(["-details", "-json", "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(commands).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} ended with {}", output.status);
    let lists = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Vec<Value>>();
    lists.map(Result::unwrap).collect()
}

/// The rules that decide about forwarding, each without its counters.
fn filter_table() -> Value {
    let table = |program: &str| {
        let output = Command::new(program).args(["-t", "filter"]).output().unwrap();
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = lines.lines().filter(|line| line.starts_with([':', '-']));
        lines.filter_map(|line| line.split(" [").next()).collect::<Value>()
    };
    json!({ "ipv4": table("iptables-save"), "ipv6": table("ip6tables-save") })
}

fn parameters() -> Value {
    let read = |key: &&str| {
        let value = fs::read_to_string(format!("/proc/sys/{key}")).unwrap_or_default();
        (key.replace('/', "-"), value.trim().into())
    };
    Value::Object(PARAMETERS.iter().map(read).collect())
}

fn sysctls(interface: &str) -> (String, Value) {
    let mut found = Map::new();
    for (family, keys) in [("ipv4", IPV4), ("ipv6", IPV6)] {
        for key in keys {
            let value =
                fs::read_to_string(format!("/proc/sys/net/{family}/conf/{interface}/{key}"));
            found.insert(
                format!("{family}-{key}"),
                value.map(|value| value.trim().to_owned()).unwrap_or_default().into(),
            );
        }
    }
    (interface.to_owned(), Value::Object(found))
}

/// Every file of the stores and what is in it.
pub(crate) fn store(folder: &Path) -> Value {
    let mut files = Map::new();
    for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let seen = if entry.path().is_dir() {
            store(&entry.path())
        } else {
            String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned().into()
        };
        files.insert(name, seen);
    }
    Value::Object(files)
}

/// What tuning wrote down, by the names of its files.
fn backups(folder: &Path) -> Value {
    let mut files = store(folder);
    for file in files.as_object_mut().unwrap().values_mut() {
        let content = file.as_str().and_then(|text| serde_json::from_str(text).ok());
        *file = content.unwrap_or_else(|| file.take());
    }
    files
}

fn pick(value: &Value, keys: &[&str]) -> Value {
    let picked = keys.iter().filter_map(|key| Some(((*key).to_owned(), value.get(key)?.clone())));
    Value::Object(picked.collect())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
