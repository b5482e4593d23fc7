//! bridge, alone and with the plugins that are chained to it.

use podnet_cni_plugin::{Bandwidth, Capability, CapabilityArgs};
use podnet_plugin_api::{PortMapping, Protocol};
use podnet_testkit::probe;
use serde_json::{Value, json};

use super::bed::{ADDRESS, ALL_VERSIONS, Bed, Chain};
use super::remains::BRIDGE;

fn bridge(ipam: &Value) -> Value {
    json!({ "type": "bridge", "bridge": BRIDGE, "isGateway": true, "hairpinMode": true, "ipam": ipam })
}

fn chained() -> Vec<Value> {
    vec![
        json!({ "type": "portmap", "capabilities": { "portMappings": true } }),
        json!({ "type": "bandwidth", "capabilities": { "bandwidth": true } }),
        json!({
            "type": "tuning", "capabilities": { "mac": true },
            "sysctl": { "net.ipv4.conf.eth0.arp_filter": "1" },
        }),
        json!({ "type": "firewall", "backend": "iptables" }),
    ]
}

fn capability_args() -> CapabilityArgs {
    let port = |number: u16| number.try_into().unwrap();
    let mapping = PortMapping {
        host_ip: None,
        host_port: port(8080),
        container_port: port(80),
        protocol: Protocol::Tcp,
    };
    let limits = Bandwidth {
        ingress_rate: 80_000_000,
        ingress_burst: 8_000_000,
        egress_rate: 80_000_000,
        egress_burst: 8_000_000,
    };
    CapabilityArgs::default()
        .with(&Capability::PortMappings(vec![mapping]))
        .with(&Capability::Bandwidth(limits))
        .with(&Capability::Mac("02:00:00:00:00:05".to_owned()))
}

#[test]
fn cni_bridge_alone_in_every_version_and_with_both_ipams() {
    let test = "cni_bridge_alone_in_every_version_and_with_both_ipams";
    for which in 0..2 {
        let Some(bed) = Bed::new(&["bridge", "host-local", "static"], test) else { return };
        let chain = Chain::new(json!([bridge(&bed.ipams()[which])]));
        bed.live_through(&chain, &ALL_VERSIONS, |pod, result| {
            assert!(which == 0 || result.ips[0].address.to_string() == ADDRESS);
            pod.ping("10.4.0.1".parse().unwrap()).unwrap();
        });
    }
}

fn with_ports_and_limits(bed: &Bed, chained: &[Value], versions: &[&str]) {
    let plugins = [&[bridge(&bed.host_local())], chained].concat();
    let chain = Chain { capability_args: capability_args(), ..Chain::new(plugins.into()) };
    bed.live_through(&chain, versions, |pod, result| {
        let _page = pod.serve((result.ips[0].address.ip(), 80).into(), "hello").unwrap();
        assert_eq!(probe::fetch("10.4.0.1:8080".parse().unwrap()).unwrap(), "hello");
    });
}

#[test]
fn cni_bridge_portmap_bandwidth_tuning_firewall() {
    let programs = ["bridge", "portmap", "bandwidth", "tuning", "firewall", "host-local"];
    let test = "cni_bridge_portmap_bandwidth_tuning_firewall";
    let Some(bed) = Bed::new(&programs, test) else { return };
    // Chains came with 0.3.0, firewall with 0.4.0.
    with_ports_and_limits(&bed, &chained()[..3], &["0.3.0", "0.3.1"]);
    with_ports_and_limits(&bed, &chained(), &["0.4.0", "1.0.0"]);
}
