//! What plugins are told of a pod.

use podnet_cni_spec::{CniArgs, CniError, ContainerId, InterfaceName};
use podnet_plugin_api::{PodBandwidth, PodCidrs, PodSandbox};

use super::{FlavourError, POD_INTERFACE, loopback};
use crate::attachment::RuntimeConf;
use crate::capability::{Bandwidth, Capability, CapabilityArgs, IpRange};

/// What passes at once is what passes in this part of a second,
const BURSTS_A_SECOND: u64 = 10;
/// but the largest packet that the kernel hands to a device at least, in bits,
const SMALLEST_BURST: u64 = 64 * 1024 * 8;
/// and at most what the Go plugin can be told, in bits.
const LARGEST_BURST: u64 = (1 << 31) - 1;

/// A pod's attachments as a runtime describes them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Described {
    pub(super) pod: RuntimeConf,
    pub(super) loopback: RuntimeConf,
}

pub(super) fn id(sandbox: &PodSandbox) -> Result<ContainerId, FlavourError> {
    Ok(ContainerId::new(sandbox.id())?)
}

pub(super) fn describe(
    sandbox: &PodSandbox,
    limits: PodBandwidth,
    cidrs: Option<&PodCidrs>,
) -> Result<Described, FlavourError> {
    let args = args(sandbox)?;
    let conf = |interface| -> Result<RuntimeConf, FlavourError> {
        let mut conf = RuntimeConf::new(id(sandbox)?, interface).with_args(args.clone());
        conf.attachment.netns.clone_from(&sandbox.netns);
        Ok(conf)
    };
    let pod = conf(InterfaceName::new(POD_INTERFACE)?)?;
    Ok(Described {
        pod: pod.with_capability_args(capability_args(sandbox, limits, cidrs)),
        loopback: conf(loopback::interface()?)?,
    })
}

fn args(sandbox: &PodSandbox) -> Result<CniArgs, CniError> {
    let mut args = CniArgs::default();
    args.insert("IgnoreUnknown", "1")?;
    args.insert("K8S_POD_NAMESPACE", sandbox.namespace())?;
    args.insert("K8S_POD_NAME", sandbox.name())?;
    args.insert("K8S_POD_INFRA_CONTAINER_ID", sandbox.id())?;
    if let Some(uid) = &sandbox.uid {
        args.insert("K8S_POD_UID", uid)?;
    }
    Ok(args)
}

fn capability_args(
    sandbox: &PodSandbox,
    limits: PodBandwidth,
    cidrs: Option<&PodCidrs>,
) -> CapabilityArgs {
    let ports = Capability::PortMappings(sandbox.port_mappings.clone());
    let limits = (!limits.is_unlimited()).then(|| Capability::Bandwidth(bandwidth(limits)));
    let ranges = cidrs.map(|cidrs| {
        let sets = cidrs.iter().map(|cidr| vec![IpRange::new(cidr.network())]);
        Capability::IpRanges(sets.collect())
    });
    let arguments = [Some(ports), limits, ranges].into_iter().flatten();
    arguments.fold(CapabilityArgs::default(), |all, argument| all.with(&argument))
}

fn bandwidth(limits: PodBandwidth) -> Bandwidth {
    Bandwidth {
        ingress_rate: limits.ingress.unwrap_or_default(),
        ingress_burst: limits.ingress.map(burst).unwrap_or_default(),
        egress_rate: limits.egress.unwrap_or_default(),
        egress_burst: limits.egress.map(burst).unwrap_or_default(),
    }
}

fn burst(rate: u64) -> u64 {
    (rate / BURSTS_A_SECOND).clamp(SMALLEST_BURST, LARGEST_BURST)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use podnet_plugin_api::{PortMapping, Protocol};
    use serde_json::{Value, json};

    use super::*;

    fn web() -> PodSandbox {
        PodSandbox::new("default", "web", "a1").unwrap().with_netns("/run/netns/web")
    }

    fn arguments(sandbox: &PodSandbox, cidrs: Option<&str>) -> Value {
        let limits = PodBandwidth::from_annotations(&sandbox.annotations).unwrap();
        let cidrs = cidrs.map(|cidrs| cidrs.parse::<PodCidrs>().unwrap());
        let described = describe(sandbox, limits, cidrs.as_ref()).unwrap();
        assert!(described.loopback.capability_args.is_empty());
        Value::Object(described.pod.capability_args.as_map().clone())
    }

    #[test]
    fn both_attachments_say_which_pod_it_is() {
        let with_uid = web().with_uid("0b1c");
        let described = describe(&with_uid, PodBandwidth::default(), None).unwrap();
        let expected = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;\
                        K8S_POD_INFRA_CONTAINER_ID=a1;K8S_POD_UID=0b1c";
        for (conf, interface) in [(&described.pod, "eth0"), (&described.loopback, "lo")] {
            assert_eq!(conf.attachment.args.to_string(), expected);
            assert_eq!(conf.attachment.interface.as_str(), interface);
            assert_eq!(conf.attachment.netns, web().netns);
        }
        let unsayable = web().with_uid("a;IgnoreUnknown=0");
        assert!(describe(&unsayable, PodBandwidth::default(), None).is_err());
    }

    #[test]
    fn a_pod_that_asks_for_nothing_has_an_empty_list_of_ports() {
        assert_eq!(arguments(&web(), None), json!({ "portMappings": [] }));
    }

    #[test]
    fn what_a_pod_asks_for_becomes_capability_arguments() {
        let mut sandbox = web().with_annotation("kubernetes.io/egress-bandwidth", "100M");
        sandbox.port_mappings.push(PortMapping {
            host_ip: None,
            host_port: NonZeroU16::new(8080).unwrap(),
            container_port: NonZeroU16::new(80).unwrap(),
            protocol: Protocol::Udp,
        });
        assert_eq!(
            arguments(&sandbox, Some("10.9.0.7/24,fd00::/64")),
            json!({
                "portMappings": [
                    { "hostPort": 8080, "containerPort": 80, "protocol": "udp", "hostIP": "" },
                ],
                "bandwidth": { "egressRate": 100_000_000, "egressBurst": 10_000_000 },
                "ipRanges": [[{ "subnet": "10.9.0.0/24" }], [{ "subnet": "fd00::/64" }]],
            })
        );
    }

    #[test]
    fn a_burst_is_a_tenth_of_a_second_within_what_the_plugin_can_do() {
        let cases = [
            (1_000, 524_288),
            (10_000_000, 1_000_000),
            (1_000_000_000, 100_000_000),
            (1_000_000_000_000_000, 2_147_483_647),
        ];
        for (rate, bits) in cases {
            assert_eq!(burst(rate), bits, "{rate}");
        }
    }
}
