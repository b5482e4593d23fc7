//! The result of an ADD: bridge, host end and the pod's interface, in the reference's order.

use podnet_cni_spec::{AddResult, Interface};
use podnet_netutil::{Link, MacAddr, Netns};

use super::plan::Plan;
use super::pod_side;

/// The place of the pod's interface in the list; every address points at it.
const POD_INTERFACE: u32 = 2;

pub(super) fn result(
    plan: &Plan,
    bridge: &Link,
    host_end: &Link,
    netns: &Netns,
    addresses: AddResult,
) -> AddResult {
    let pod = Interface {
        sandbox: Some(netns.path().display().to_string()),
        ..interface(plan.label.interface().as_str(), Some(plan.pod_mac), host_end.mtu)
    };
    let routes = pod_side::routes(plan, &addresses);
    let mut result = AddResult {
        interfaces: vec![
            interface(&bridge.name, bridge.mac, bridge.mtu),
            interface(&host_end.name, Some(plan.host_mac), host_end.mtu),
            pod,
        ],
        routes,
        ..addresses
    };
    for ip in &mut result.ips {
        ip.interface = Some(POD_INTERFACE);
    }
    if !plan.dns.is_empty() {
        result.dns = plan.dns.clone();
    }
    result
}

fn interface(name: &str, mac: Option<MacAddr>, mtu: u32) -> Interface {
    Interface {
        name: name.to_owned(),
        mac: mac.map(|mac| mac.to_string()),
        mtu: Some(mtu),
        ..Interface::default()
    }
}
