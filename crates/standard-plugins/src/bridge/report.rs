//! The result of an ADD: bridge, host end, the pod's interface and a VLAN's gateway, in the reference's order.

use podnet_cni_spec::{AddResult, Interface};
use podnet_netutil::{Link, Netns};

use super::plan::Plan;
use super::pod_side;
use crate::attachment::interface;

/// The place of the pod's interface in the list; every address points at it.
const POD_INTERFACE: u32 = 2;

/// What there is of an attachment on the host.
pub(super) struct Links<'a> {
    pub(super) bridge: &'a Link,
    pub(super) host_end: &'a Link,
    /// The gateway's interface in the pod's VLAN.
    pub(super) gateway: Option<&'a Link>,
}

pub(super) fn result(
    plan: &Plan,
    links: &Links<'_>,
    netns: &Netns,
    addresses: AddResult,
) -> AddResult {
    let Links { bridge, host_end, gateway } = *links;
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
    let gateway = gateway.map(|link| interface(&link.name, link.mac, link.mtu));
    result.interfaces.extend(gateway);
    for ip in &mut result.ips {
        ip.interface = Some(POD_INTERFACE);
    }
    if !plan.dns.is_empty() {
        result.dns = plan.dns.clone();
    }
    result
}
