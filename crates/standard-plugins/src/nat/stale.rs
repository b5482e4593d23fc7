//! Which connections would keep going where a host port led before.

use podnet_netutil::conntrack::Flows;

use super::{Protocol, Published};

/// Those to the ports that were added, which went past them, and to those that were removed.
pub(super) fn of_change(added: &[Published], removed: &[Published]) -> Vec<Flows> {
    added.iter().chain(removed).filter(|port| outlives(port)).map(to).collect()
}

/// Those to the ports of a pod that ends, and all else that it answers.
pub(super) fn of_withdrawal(removed: &[Published]) -> Vec<Flows> {
    let ports = removed.iter().filter(|port| outlives(port));
    ports.flat_map(|port| [to(port), answered_by(port)]).collect()
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
