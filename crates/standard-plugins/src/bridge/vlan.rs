//! The VLANs of a pod: `vlan`, `vlanTrunk` and `preserveDefaultVlan`.

use std::collections::BTreeSet;

use podnet_cni_spec::InterfaceName;
use podnet_netutil::{Link, LinkDeleter, MacAddr, Netlink, Netns, VethPair};
use serde::Deserialize;

use crate::error::Error;

/// The numbers that a frame can carry; 0 and 4095 have meanings of their own (IEEE 802.1Q).
const NUMBERS: std::ops::RangeInclusive<i64> = 1..=4094;
/// A trunk without a `vlan` carries frames without a tag in the bridges' default VLAN.
const DEFAULT: u16 = 1;

/// An item of `vlanTrunk`: one VLAN, a range of them, or both.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct TrunkRange {
    #[serde(rename = "minID")]
    min: Option<i64>,
    #[serde(rename = "maxID")]
    max: Option<i64>,
    id: Option<i64>,
}

/// In which VLANs a pod's port is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Vlans {
    /// The VLAN of frames without a tag; none where the bridge knows no VLANs.
    native: Option<u16>,
    /// The VLANs of frames with a tag.
    tagged: BTreeSet<u16>,
    /// Whether the pod has a VLAN of its own, and with it a gateway of its own.
    access: bool,
    /// Whether the port stays in the bridge's default VLAN too.
    keep_default: bool,
}

impl Vlans {
    pub(super) fn parse(
        vlan: i64,
        trunk: &[TrunkRange],
        keep_default: bool,
    ) -> Result<Self, Error> {
        let access = (vlan != 0).then(|| number("vlan", vlan)).transpose()?;
        let mut tagged = BTreeSet::new();
        for range in trunk {
            tagged.extend(range.numbers()?);
        }
        let native = access.or_else(|| (!tagged.is_empty()).then_some(DEFAULT));
        tagged.retain(|tag| Some(*tag) != native);
        Ok(Self { native, tagged, access: access.is_some(), keep_default })
    }

    /// The option that asks for VLANs.
    fn option(&self) -> &'static str {
        if self.access { "vlan" } else { "vlanTrunk" }
    }

    /// Has a bridge that was just made keep VLANs apart. One that is in use is its operator's: without filtering, the pod
    /// would be in everybody's network.
    pub(super) async fn ensure_kept_apart(
        &self,
        netlink: &Netlink,
        bridge: &Link,
    ) -> Result<(), Error> {
        if self.native.is_none() || bridge.vlan_filtering {
            return Ok(());
        }
        let option = self.option();
        if bridge.up {
            let reason = format!(
                "bridge {bridge} does not keep VLANs apart: ip link set {bridge} type bridge vlan_filtering 1"
            );
            return Err(Error::InvalidOption { option, reason });
        }
        let Err(source) = netlink.enable_vlan_filtering(bridge).await else { return Ok(()) };
        LinkDeleter::new(netlink.clone(), None).delete(bridge).await?;
        Err(Error::OptionRefused { option, source })
    }

    /// Puts a new port into its VLANs.
    pub(super) async fn join(&self, netlink: &Netlink, port: &Link) -> Result<(), Error> {
        let Some(native) = self.native else { return Ok(()) };
        let option = self.option();
        let refused = |source| Error::OptionRefused { option, source };
        if !self.keep_default {
            netlink.remove_port_vlans(port).await.map_err(refused)?;
        }
        netlink.add_port_vlan(port, native, true).await.map_err(refused)?;
        for tag in &self.tagged {
            netlink.add_port_vlan(port, *tag, false).await.map_err(refused)?;
        }
        Ok(())
    }

    /// The gateway's interface in the pod's VLAN, as the reference names it; none where the bridge itself is the gateway.
    pub(super) fn gateway_link_name(&self, bridge: &Link) -> Option<String> {
        self.native.filter(|_| self.access).map(|vlan| format!("{bridge}.{vlan}"))
    }

    /// Makes the gateway's interface in the pod's VLAN, where it is missing: one end of a veth pair, the other a port.
    pub(super) async fn ensure_gateway_link(
        &self,
        netlink: &Netlink,
        bridge: &Link,
    ) -> Result<Option<Link>, Error> {
        let Some(name) = self.gateway_link_name(bridge) else { return Ok(None) };
        if let Some(present) = netlink.link_by_name(&name).await? {
            return Ok(Some(present));
        }
        let name = InterfaceName::new(name)
            .map_err(|error| Error::InvalidOption { option: "vlan", reason: error.to_string() })?;
        self.create_gateway_link(netlink, bridge, name.as_str()).await?;
        Ok(Some(netlink.require_link(name.as_str()).await?))
    }

    async fn create_gateway_link(
        &self,
        netlink: &Netlink,
        bridge: &Link,
        name: &str,
    ) -> Result<(), Error> {
        let random = || MacAddr::random().map_err(Error::Random);
        let pair = VethPair {
            host_name: &format!("vlan{}-{}", self.native.unwrap_or(DEFAULT), bridge.index),
            host_mac: random()?,
            bridge: Some(bridge.index),
            peer_name: name,
            peer_mac: random()?,
            peer_netns: &Netns::current()?,
            mtu: Some(bridge.mtu),
        };
        let ends = match netlink.create_veth(&pair).await {
            // Another attachment made it in the meantime.
            Err(error) if error.is_already_there() => return Ok(()),
            other => other?,
        };
        let access = Self { tagged: BTreeSet::new(), ..self.clone() };
        access.join(netlink, &ends.host).await?;
        Ok(netlink.set_link_up(ends.peer.index).await?)
    }
}

impl TrunkRange {
    fn numbers(&self) -> Result<BTreeSet<u16>, Error> {
        let mut numbers = match (self.min, self.max) {
            (None, None) => BTreeSet::new(),
            (Some(min), Some(max)) if min <= max => {
                (number("vlanTrunk", min)?..=number("vlanTrunk", max)?).collect()
            }
            (Some(min), Some(max)) => {
                return Err(invalid("vlanTrunk", format!("minID {min} is above maxID {max}")));
            }
            _ => {
                let reason = "minID and maxID go together, and one is missing";
                return Err(invalid("vlanTrunk", reason.to_owned()));
            }
        };
        if let Some(id) = self.id {
            numbers.insert(number("vlanTrunk", id)?);
        }
        Ok(numbers)
    }
}

fn number(option: &'static str, number: i64) -> Result<u16, Error> {
    let wrong = || {
        let reason = format!("{number} is not between {} and {}", NUMBERS.start(), NUMBERS.end());
        invalid(option, reason)
    };
    if !NUMBERS.contains(&number) {
        return Err(wrong());
    }
    u16::try_from(number).map_err(|_| wrong())
}

fn invalid(option: &'static str, reason: String) -> Error {
    Error::InvalidOption { option, reason }
}

#[cfg(test)]
mod tests {
    use podnet_cni_spec::go_json;
    use serde_json::{Value, json};

    use super::*;

    fn parse(vlan: i64, trunk: &Value) -> Result<Vlans, Error> {
        Vlans::parse(vlan, &go_json::decode::<Vec<TrunkRange>>(trunk).unwrap(), false)
    }

    #[test]
    fn ports_are_in_the_vlans_asked_for() {
        for (vlan, trunk, native, tagged) in [
            (0, json!([]), None, vec![]),
            (7, json!([]), Some(7), vec![]),
            (0, json!([{"id": 1}, {"id": 5}]), Some(1), vec![5]),
            (7, json!([{"minID": 5, "maxID": 8}, {"ID": 4094}]), Some(7), vec![5, 6, 8, 4094]),
            (0, json!([{"minID": 3, "maxID": 3, "id": 2}]), Some(1), vec![2, 3]),
            (0, json!([{}]), None, vec![]),
        ] {
            let vlans = parse(vlan, &trunk).unwrap();
            assert_eq!((vlans.native, Vec::from_iter(vlans.tagged)), (native, tagged), "{trunk}");
        }
    }

    #[test]
    fn numbers_that_no_frame_can_carry_are_refused() {
        for (vlan, trunk) in [
            (-1, json!([])),
            (4095, json!([])),
            (0, json!([{"id": 0}])),
            (0, json!([{"id": 4095}])),
            (0, json!([{"minID": 0, "maxID": 4}])),
            (0, json!([{"minID": 4, "maxID": 4095}])),
            (0, json!([{"minID": 4, "maxID": 3}])),
            (0, json!([{"minID": 4}])),
            (0, json!([{"maxID": 4}])),
        ] {
            let error = parse(vlan, &trunk).unwrap_err();
            assert!(error.to_string().starts_with("option vlan"), "{trunk}: {error}");
        }
    }
}
