//! What is asked for: host ports as the elements that they are to be, and who has them already.

use std::net::IpAddr;

use podnet_netutil::Family;
use podnet_netutil::nft::COMMENT_BYTES;

use super::conditions::Conditions;
use super::elements::family_of;
use super::present::Index;
use super::{HostPort, Published};
use crate::error::Error;
use crate::label::Label;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// The label as the comment of an element.
pub(super) fn label_text(label: &Label) -> Result<String, Error> {
    let text = label.alias();
    if text.len() > COMMENT_BYTES {
        return Err(Error::LabelTooLong { bytes: text.len(), most: COMMENT_BYTES });
    }
    Ok(text)
}

/// What is asked for, one a family. A pod's port of an address may lead elsewhere than its port of all addresses.
pub(super) fn expand(
    label: &str,
    ips: &[IpAddr],
    ports: &[HostPort],
    conditions: &Conditions,
) -> Result<Vec<Published>, Error> {
    let mut wanted: Vec<Published> = Vec::new();
    for port in ports {
        for mut published in expand_one(label, ips, port)? {
            published.conditions = conditions.id(published.family());
            if wanted.iter().any(|earlier| earlier.is_looked_up_as(&published)) {
                return Err(Error::HostPortTwice { port: *port });
            }
            wanted.push(published);
        }
    }
    Ok(wanted)
}

fn expand_one(label: &str, ips: &[IpAddr], port: &HostPort) -> Result<Vec<Published>, Error> {
    let unusable = |reason: &'static str| Error::HostPortUnusable { port: *port, reason };
    if port.host_port == 0 || port.container_port == 0 {
        return Err(unusable("0 is no port"));
    }
    let families: Vec<Family> =
        port.host_ip.map_or_else(|| FAMILIES.to_vec(), |ip| vec![family_of(ip)]);
    let pod_ip = |family| ips.iter().copied().find(|ip| family_of(*ip) == family);
    let published = families.into_iter().filter_map(pod_ip).map(|pod_ip| Published {
        label: label.to_owned(),
        protocol: port.protocol,
        // 0.0.0.0 and :: are all addresses of their family.
        host_ip: port.host_ip.filter(|ip| !ip.is_unspecified()),
        host_port: port.host_port,
        pod_ip,
        container_port: port.container_port,
        conditions: None,
    });
    let published: Vec<Published> = published.collect();
    if published.is_empty() {
        return Err(unusable(match port.host_ip {
            Some(IpAddr::V4(_)) => "the pod has no IPv4 address",
            Some(IpAddr::V6(_)) => "the pod has no IPv6 address",
            None => "the pod has no address",
        }));
    }
    Ok(published)
}

/// A port that another pod has.
pub(super) fn refuse_conflicts(
    label: &str,
    present: &Index<Published>,
    added: &[Published],
) -> Result<(), Error> {
    for wanted in added {
        let mut beside = present.beside(wanted).iter();
        let holder = beside.find(|port| port.label != label && port.overlaps(wanted));
        if let Some(holder) = holder {
            let parsed = Label::from_alias(&holder.label);
            return Err(Error::HostPortTaken {
                port: wanted.host_port,
                protocol: wanted.protocol,
                holder: parsed
                    .map_or_else(|| holder.label.clone(), |label| label.container_id().to_string()),
            });
        }
    }
    Ok(())
}
