//! What stands in the table: maps, chains and rules, as they follow from a network. Each rule's comment says all that
//! it depends on, so that comparing comments is comparing rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv4Network};
use podnet_cni_spec::NetworkName;
use podnet_netutil::Family;
use podnet_netutil::nft::{
    BaseChain, ChainKind, Collection, Field, Hook, ListedRule, Load, Rule, Slot, Table,
    TableFamily, Transaction,
};

use super::{NatNetwork, Reporting};

/// The table of all but what concerns bridges.
pub(super) const TABLE: Table<'static> = Table { family: TableFamily::Inet, name: "podnet" };
/// The table of what a bridge sends itself.
pub(super) const BRIDGE_TABLE: Table<'static> =
    Table { family: TableFamily::Bridge, name: "podnet" };

/// How the name of the chain of a network's neighbours begins.
pub(super) const NEIGHBOURS: &str = "neighbours-";
/// The chains that are a network's own: its name follows.
const OWN_CHAINS: [(Table<'static>, &str); 6] = [
    (TABLE, "guard-"),
    (TABLE, "loopback-"),
    (TABLE, "masquerade-"),
    (TABLE, NEIGHBOURS),
    (BRIDGE_TABLE, "output-"),
    (BRIDGE_TABLE, "reports-"),
];

/// After the service proxy's chains, which are at -100: a service's port goes before a pod's.
pub(super) const AFTER_SERVICES: i32 = -90;
/// `srcnat`, where masquerading belongs.
pub(super) const SOURCE_TRANSLATION: i32 = 100;
/// `raw`: before anything is translated.
const RAW: i32 = -300;
/// `filter` of the bridge family.
const BRIDGE_FILTER: i32 = -200;
/// `dstnat` of the bridge family: before a frame's way is chosen.
const BRIDGE_TRANSLATION: i32 = -300;
/// All routers that listen to version 2 of the multicast listener discovery (RFC 3810, section 5.2.14).
const LISTENER_REPORTS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// A chain with its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) table: Table<'static>,
    pub(super) name: String,
    kind: ChainKind,
    hook: Hook,
    priority: i32,
    pub(super) rules: Vec<Rule>,
}

impl Chain {
    pub(super) fn base(&self) -> BaseChain<'_> {
        let Self { kind, hook, priority, .. } = *self;
        BaseChain { name: &self.name, kind, hook, priority }
    }

    pub(super) fn comments(&self) -> Vec<&str> {
        self.rules.iter().filter_map(Rule::comment_text).collect()
    }

    /// What is wrong with it, by its rules' comments.
    pub(super) fn fault(&self, present: &[ListedRule]) -> Option<String> {
        let (table, name) = (self.table, &self.name);
        let own = present.iter().filter(|rule| rule.chain == *name);
        let own: Vec<&str> = own.map(|rule| rule.comment.as_deref().unwrap_or_default()).collect();
        if own == self.comments() {
            None
        } else if own.is_empty() {
            Some(format!("chain {table} {name} is missing or empty"))
        } else {
            Some(format!("chain {table} {name} has other rules than it needs"))
        }
    }

    /// Makes it, or makes it again.
    pub(super) fn write(&self, transaction: &mut Transaction) {
        transaction.add_chain(self.table, &self.base());
        transaction.flush_chain(self.table, &self.name);
        for rule in &self.rules {
            transaction.append_rule(self.table, &self.name, rule);
        }
    }
}

/// The map of the host ports of a family.
pub(super) fn host_ports(family: Family) -> &'static str {
    match family {
        Family::V4 => "hostports4",
        Family::V6 => "hostports6",
    }
}

/// The set of the pods of a family that have host ports.
pub(super) fn hairpins(family: Family) -> &'static str {
    match family {
        Family::V4 => "hairpins4",
        Family::V6 => "hairpins6",
    }
}

/// The set of the ports of a family whose clients all get the host's address: each with the pod, the pod's port and the
/// host's.
pub(super) fn masquerades(family: Family) -> &'static str {
    match family {
        Family::V4 => "masquerades4",
        Family::V6 => "masquerades6",
    }
}

/// The key that stands for all of the host's addresses of a family.
pub(super) fn any_address(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The sets and maps of the table.
pub(super) fn collections() -> [Collection<'static>; 6] {
    use Field::{Ipv4, Ipv6, Port, Protocol};
    [
        ports_map(Family::V4, host_ports(Family::V4)),
        ports_map(Family::V6, host_ports(Family::V6)),
        Collection { name: hairpins(Family::V4), key: &[Ipv4, Ipv4], data: &[] },
        Collection { name: hairpins(Family::V6), key: &[Ipv6, Ipv6], data: &[] },
        Collection { name: masquerades(Family::V4), key: &[Protocol, Ipv4, Port, Port], data: &[] },
        Collection { name: masquerades(Family::V6), key: &[Protocol, Ipv6, Port, Port], data: &[] },
    ]
}

/// A map of host ports.
pub(super) fn ports_map(family: Family, name: &str) -> Collection<'_> {
    use Field::{Ipv4, Ipv6, Port, Protocol};
    match family {
        Family::V4 => Collection { name, key: &[Protocol, Ipv4, Port], data: &[Ipv4, Port] },
        Family::V6 => Collection { name, key: &[Protocol, Ipv6, Port], data: &[Ipv6, Port] },
    }
}

/// The chains that every network shares, and those of this one.
pub(super) fn chains(network: &NatNetwork) -> Vec<Chain> {
    let mut chains = vec![
        translation("prerouting", Hook::Prerouting),
        translation("output", Hook::Output),
        client_chain(),
    ];
    chains.extend(guard(network));
    chains.extend(loopback_clients(network));
    // Of several that use one network, only those that know of masquerading say what is masqueraded.
    chains.extend(network.masquerade.then(|| masquerade(network)));
    chains.extend(dedup(network));
    chains.extend(reports(network));
    chains
}

/// The chains that are a network's own, which of them there may be and in which table.
pub(super) fn own_chains(network: &NetworkName) -> [(Table<'static>, String); 6] {
    OWN_CHAINS.map(|(table, prefix)| (table, format!("{prefix}{network}")))
}

/// The network whose own a chain is; none for one that all share.
pub(super) fn owner(table: Table<'_>, chain: &str) -> Option<NetworkName> {
    let of_table = OWN_CHAINS.iter().filter(|(own, _)| *own == table);
    let mut names = of_table.filter_map(|(_, prefix)| chain.strip_prefix(prefix));
    names.find_map(|name| name.parse().ok())
}

/// What of 127.0.0.0/8 the comment of a guard's rule says.
pub(super) fn guard_comment(bridge: &str) -> String {
    format!("from {bridge} to 127.0.0.0/8: drop")
}

/// The bridge that a guard's rule guards, by its comment.
pub(super) fn guarded(comment: &str) -> Option<&str> {
    comment.strip_prefix("from ")?.strip_suffix(" to 127.0.0.0/8: drop")
}

/// Whether the network has pods with addresses of a family.
pub(super) fn has(network: &NatNetwork, family: Family) -> bool {
    network.pod_cidrs.iter().any(|cidr| Family::of(cidr) == family)
}

pub(super) fn nat_chain(name: String, hook: Hook, priority: i32, rules: Vec<Rule>) -> Chain {
    Chain { table: TABLE, name, kind: ChainKind::Nat, hook, priority, rules }
}

/// From the host's ports to the pods'. A destination elsewhere that happens to have the same port is left alone.
fn translation(name: &str, hook: Hook) -> Chain {
    let mut rules = vec![only_to_this_host(), not_to_loopback6()];
    for family in [Family::V4, Family::V6] {
        let map = host_ports(family);
        let [exact, any] = look_ups(family, map, &Rule::new().of_family(family));
        rules.push(exact.comment(format!("{map}: an address's port")));
        rules.push(any.comment(format!("{map}: a port of any address")));
    }
    nat_chain(name.to_owned(), hook, AFTER_SERVICES, rules)
}

pub(super) fn only_to_this_host() -> Rule {
    Rule::new().not_to_this_host().leave_chain().comment("only to this host's addresses")
}

/// A packet from `::1` cannot leave the host, whatever its new destination.
pub(super) fn not_to_loopback6() -> Rule {
    let loopback6 = IpNetwork::from(IpAddr::V6(Ipv6Addr::LOCALHOST));
    Rule::new().of_family(Family::V6).to_network(loopback6).leave_chain().comment("not to ::1")
}

/// What passed `tests` and goes to a port in the map: to one of its address, to one of any address.
pub(super) fn look_ups(family: Family, map: &str, tests: &Rule) -> [Rule; 2] {
    let mut any = Vec::new();
    podnet_netutil::nft::push_address(&mut any, any_address(family));
    [Load::Destination(family), Load::Constant(any)]
        .map(|address| look_up(family, map, tests.clone(), address))
}

fn look_up(family: Family, map: &str, tests: Rule, address: Load) -> Rule {
    // The address takes one slot or four; what is found is put where the key was.
    let port = match family {
        Family::V4 => Slot(2),
        Family::V6 => Slot(5),
    };
    let found_port = match family {
        Family::V4 => Slot(1),
        Family::V6 => Slot(4),
    };
    tests
        .load(Load::Protocol, Slot(0))
        .load(address, Slot(1))
        .load(Load::DestinationPort, port)
        .look_up(map, Slot(0), Slot(0))
        .translate_destination(family, Slot(0), found_port)
}

/// A pod that reaches itself by its host port must not see its own address as the client's; of some ports no client's
/// address is to be seen.
fn client_chain() -> Chain {
    let itself = [(Family::V4, Slot(1)), (Family::V6, Slot(4))].map(|(family, second)| {
        Rule::new()
            .of_family(family)
            .of_translated_destination()
            .load(Load::Source(family), Slot(0))
            .load(Load::Destination(family), second)
            .in_set(hairpins(family), Slot(0))
            .masquerade()
            .comment(format!("{}: a pod to itself", hairpins(family)))
    });
    let ports = [(Family::V4, Slot(2), Slot(3)), (Family::V6, Slot(5), Slot(6))];
    let everybody = ports.map(|(family, port, host_port)| {
        Rule::new()
            .of_family(family)
            .of_translated_destination()
            .load(Load::Protocol, Slot(0))
            .load(Load::Destination(family), Slot(1))
            .load(Load::DestinationPort, port)
            .load(Load::OriginalDestinationPort, host_port)
            .in_set(masquerades(family), Slot(0))
            .masquerade()
            .comment(format!("{}: every client of a port", masquerades(family)))
    });
    let rules = itself.into_iter().chain(everybody).collect();
    nat_chain("postrouting".to_owned(), Hook::Postrouting, SOURCE_TRANSLATION, rules)
}

pub(super) fn loopback() -> Option<IpNetwork> {
    Ipv4Network::new(Ipv4Addr::new(127, 0, 0, 0), 8).ok().map(IpNetwork::V4)
}

/// The bridge routes 127.0.0.0/8 so that the host reaches host ports there; no pod may (CVE-2020-8558).
fn guard(network: &NatNetwork) -> Option<Chain> {
    let loopback = loopback().filter(|_| has(network, Family::V4))?;
    let bridge = network.bridge.as_str();
    let rule = Rule::new()
        .of_family(Family::V4)
        .from_interface(bridge)
        .to_network(loopback)
        .drop_packet()
        .comment(guard_comment(bridge));
    Some(guard_chain(format!("guard-{}", network.name), rule))
}

/// Before anything is translated.
pub(super) fn guard_chain(name: String, rule: Rule) -> Chain {
    let (kind, hook, priority) = (ChainKind::Filter, Hook::Prerouting, RAW);
    Chain { table: TABLE, name, kind, hook, priority, rules: vec![rule] }
}

fn masquerade(network: &NatNetwork) -> Chain {
    let rules = [Family::V4, Family::V6].map(|family| masquerade_of(network, family));
    let name = format!("masquerade-{}", network.name);
    nat_chain(name, Hook::Postrouting, SOURCE_TRANSLATION, rules.concat())
}

/// A pod cannot answer to 127.0.0.1.
fn loopback_clients(network: &NatNetwork) -> Option<Chain> {
    let loopback = loopback().filter(|_| has(network, Family::V4))?;
    let bridge = network.bridge.as_str();
    let rule = Rule::new()
        .of_family(Family::V4)
        .from_network(loopback)
        .to_interface(bridge)
        .of_translated_destination()
        .masquerade()
        .comment(format!("{loopback} to host ports by {bridge}: masquerade"));
    let name = format!("loopback-{}", network.name);
    Some(nat_chain(name, Hook::Postrouting, SOURCE_TRANSLATION, vec![rule]))
}

/// First the destinations that are left alone, then the pods' networks; nothing where all destinations are left alone.
fn masquerade_of(network: &NatNetwork, family: Family) -> Vec<Rule> {
    let own = |cidrs: &[IpNetwork]| -> Vec<IpNetwork> {
        cidrs.iter().copied().filter(|cidr| Family::of(cidr) == family).collect()
    };
    let (left_alone, pods) = (own(&network.non_masquerade), own(&network.pod_cidrs));
    if pods.is_empty() || left_alone.iter().any(|cidr| cidr.prefix() == 0) {
        return Vec::new();
    }
    let bridge = network.bridge.as_str();
    let left_alone = left_alone.into_iter().map(|cidr| {
        let rule = Rule::new().of_family(family).to_network(cidr).leave_chain();
        rule.comment(format!("to {cidr}: keep the source"))
    });
    let pods = pods.into_iter().map(|cidr| {
        let rule = Rule::new().of_family(family).not_to_interface(bridge).not_to_this_host();
        let rule = rule.from_network(cidr).masquerade();
        rule.comment(format!("{cidr} to elsewhere than {bridge}: masquerade"))
    });
    left_alone.chain(pods).collect()
}

/// A bridge in promiscuous mode floods what it sends: what seems to come from a pod is a copy, what comes from the
/// bridge's own address is none.
fn dedup(network: &NatNetwork) -> Option<Chain> {
    let dedup = network.dedup.as_ref()?;
    let mac = dedup.bridge_mac;
    let from = |source: IpNetwork| {
        let frames = Rule::new().to_interfaces_beginning_with("veth").from_mac(mac);
        frames.of_ether_type(Family::of(&source)).from_network(source)
    };
    let rules = dedup.gateways_and_cidrs.iter().flat_map(|(gateway, cidr)| {
        [
            from((*gateway).into())
                .accept()
                .comment(format!("{mac} with source {gateway} to veth*: accept")),
            from(*cidr).drop_packet().comment(format!("{mac} with source {cidr} to veth*: drop")),
        ]
    });
    Some(Chain {
        table: BRIDGE_TABLE,
        name: format!("output-{}", network.name),
        kind: ChainKind::Filter,
        hook: Hook::Output,
        priority: BRIDGE_FILTER,
        rules: rules.collect(),
    })
}

/// Reports are for routers alone (RFC 4541, section 2.1.1), and the only one of these pods is the host.
fn reports(network: &NatNetwork) -> Option<Chain> {
    let Reporting { bridge_mac, port_group } =
        network.reports_to.filter(|_| has(network, Family::V6))?;
    let reports = IpNetwork::from(IpAddr::V6(LISTENER_REPORTS));
    let rule = Rule::new().from_interface_group(port_group).of_ether_type(Family::V6);
    let rule = rule.to_network(reports).redirect_to_mac(bridge_mac);
    let comment = format!("from group {port_group} to {LISTENER_REPORTS}: to {bridge_mac} alone");
    Some(Chain {
        table: BRIDGE_TABLE,
        name: format!("reports-{}", network.name),
        kind: ChainKind::Filter,
        hook: Hook::Prerouting,
        priority: BRIDGE_TRANSLATION,
        rules: vec![rule.comment(comment)],
    })
}
