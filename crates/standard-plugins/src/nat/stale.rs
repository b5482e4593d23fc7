//! Which connections would keep going where a host port led before.

use std::net::IpAddr;

use podnet_netutil::Family;
use podnet_netutil::conntrack::Flows;

use super::elements::family_of;
use super::{HostPort, Protocol, Published};

/// Those to the ports that were added, which went past them, and to those that were removed.
pub(super) fn of_change(added: &[Published], removed: &[Published]) -> Vec<Flows> {
    added.iter().chain(removed).filter(|port| outlives(port)).map(to).collect()
}

/// Those to the ports of a pod that ends, and all else that it answers.
pub(super) fn of_withdrawal(removed: &[Published]) -> Vec<Flows> {
    let ports = removed.iter().filter(|port| outlives(port));
    ports.flat_map(|port| [to(port), answered_by(port)]).collect()
}

/// Those to ports of which it is not known to which of the pod's families they led.
pub(super) fn of_others(ips: &[IpAddr], ports: &[HostPort]) -> Vec<Flows> {
    let mut flows = Vec::new();
    for port in ports.iter().filter(|port| port.protocol != Protocol::Tcp) {
        let protocol = port.protocol.number();
        let address = port.host_ip.filter(|ip| !ip.is_unspecified());
        let families = [Family::V4, Family::V6].into_iter();
        let families =
            families.filter(|family| port.host_ip.is_none_or(|ip| family_of(ip) == *family));
        flows.extend(families.map(|family| Flows::To {
            family,
            protocol,
            address,
            port: port.host_port,
        }));
        flows.extend(ips.iter().map(|ip| Flows::AnsweredBy { protocol, address: *ip }));
    }
    flows
}

/// A new connection of TCP is a new entry; other clients keep theirs.
fn outlives(port: &Published) -> bool {
    port.protocol != Protocol::Tcp
}

fn to(port: &Published) -> Flows {
    Flows::To {
        family: port.family(),
        protocol: port.protocol.number(),
        address: port.host_ip,
        port: port.host_port,
    }
}

fn answered_by(port: &Published) -> Flows {
    Flows::AnsweredBy { protocol: port.protocol.number(), address: port.pod_ip }
}
