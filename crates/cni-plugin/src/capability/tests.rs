//! Arguments in the form that plugins read.

use std::num::NonZeroU16;

use podnet_plugin_api::Protocol;

use super::*;

fn port(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

#[test]
fn each_capability_has_the_form_of_the_conventions() {
    let mapping = PortMapping {
        host_ip: None,
        host_port: port(8080),
        container_port: port(80),
        protocol: Protocol::Udp,
    };
    let limits = Bandwidth { ingress_rate: 2048, ingress_burst: 1600, ..Bandwidth::default() };
    let range = IpRange {
        range_start: Some("10.1.2.9".parse().unwrap()),
        ..IpRange::new("10.1.2.0/24".parse().unwrap())
    };
    let dns = DnsServers {
        servers: vec!["8.8.8.8".parse().unwrap()],
        searches: vec!["corp.tyrell.net".to_owned()],
        options: vec![],
    };
    let cases = [
        (
            Capability::PortMappings(vec![mapping]),
            "portMappings",
            json!([{"hostPort": 8080, "containerPort": 80, "protocol": "udp", "hostIP": ""}]),
        ),
        (Capability::PortMappings(vec![]), "portMappings", json!([])),
        (
            Capability::Bandwidth(limits),
            "bandwidth",
            json!({"ingressRate": 2048, "ingressBurst": 1600}),
        ),
        (
            Capability::IpRanges(vec![vec![range]]),
            "ipRanges",
            json!([[{"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9"}]]),
        ),
        (Capability::Ips(vec!["10.10.0.1/24".parse().unwrap()]), "ips", json!(["10.10.0.1/24"])),
        (
            Capability::Dns(dns),
            "dns",
            json!({"servers": ["8.8.8.8"], "searches": ["corp.tyrell.net"], "options": []}),
        ),
        (Capability::Aliases(vec!["db".to_owned()]), "aliases", json!(["db"])),
        (Capability::Mac("02:00:00:00:00:01".to_owned()), "mac", json!("02:00:00:00:00:01")),
        (Capability::InfinibandGuid("c2".to_owned()), "infinibandGUID", json!("c2")),
        (Capability::DeviceId("0000:04:00.5".to_owned()), "deviceID", json!("0000:04:00.5")),
        (Capability::CgroupPath("/kubepods/x".to_owned()), "cgroupPath", json!("/kubepods/x")),
    ];
    for (capability, name, expected) in cases {
        let args = CapabilityArgs::default().with(&capability);
        assert_eq!(args.get(name), Some(&expected));
    }
}

#[test]
fn an_argument_replaces_the_one_before() {
    let args = CapabilityArgs::default()
        .with(&Capability::Mac("02:00:00:00:00:01".to_owned()))
        .with_other("mac", json!("02:00:00:00:00:02"));
    assert_eq!(args.as_map().len(), 1);
    assert_eq!(args.get("mac"), Some(&json!("02:00:00:00:00:02")));
}
