//! Bridges and their ports.

use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoBridge, InfoData};
use rtnetlink::{LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec};

use crate::error::Error;
use crate::link::Link;
use crate::mac::MacAddr;
use crate::netlink::Netlink;

/// What a bridge's port must be told in a message of its own, because the one that makes the link ignores it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// Whether frames may leave by the port by which they came (kubelet `--hairpin-mode=hairpin-veth`).
    pub hairpin: bool,
    /// Whether the port is cut off from the bridge's other isolated ports.
    pub isolated: bool,
    /// The text to attach to the link, at most 255 bytes.
    pub alias: String,
}

impl Port {
    /// A port with this text attached and no flag set.
    #[must_use]
    pub fn labelled(alias: impl Into<String>) -> Self {
        Self { alias: alias.into(), ..Self::default() }
    }
}

/// The link group of the ports of the bridge with this index, by which rules know them: not every kernel tells a rule of
/// the bridge.
#[must_use]
pub fn port_group(bridge: u32) -> u32 {
    0x4000_0000 | (bridge & 0x3fff_ffff)
}

/// How long a port may take to become operational; the Go bridge plugin waits as long.
const OPERATIONAL_DEADLINE: Duration = Duration::from_millis(2500);
const FIRST_LOOK_AGAIN: Duration = Duration::from_micros(200);
const LAST_LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Netlink {
    /// Makes a bridge with this Ethernet address, disabled, so that parameters can be set before it acts.
    ///
    /// A bridge whose address was set keeps it; one whose was not takes that of its lowest port, and every flow
    /// breaks when that port goes. An MTU is for [`Netlink::set_link_mtu`] afterwards: the kernel forgets one that comes
    /// with the creation as soon as the last port leaves.
    ///
    /// # Errors
    /// [`Error::Netlink`], with [`Error::is_already_there`] when the name is taken.
    pub async fn create_bridge(&self, name: &str, mac: MacAddr) -> Result<(), Error> {
        // `LinkBridge::new` would have it enabled.
        let bridge = LinkMessageBuilder::<LinkBridge>::new(name).address(mac.octets().to_vec());
        let message = RouteNetlinkMessage::NewLink(bridge.build());
        let action = || format!("create bridge {name}");
        self.request(message, NLM_F_CREATE | NLM_F_EXCL, action).await.map(drop)
    }

    /// Pins a bridge's Ethernet address to the one it has.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn pin_bridge_mac(&self, bridge: &Link) -> Result<(), Error> {
        let Some(mac) = bridge.mac else { return Ok(()) };
        let message =
            LinkUnspec::new_with_index(bridge.index).address(mac.octets().to_vec()).build();
        self.change_link(message, || format!("set the MAC address of {bridge}")).await
    }

    /// Has a bridge hand all multicast to all ports.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn disable_multicast_snooping(&self, bridge: &Link) -> Result<(), Error> {
        let message = LinkMessageBuilder::<LinkBridge>::new(&bridge.name)
            .index(bridge.index)
            .set_info_data(InfoData::Bridge(vec![InfoBridge::MulticastSnooping(false)]))
            .build();
        self.change_link(message, || format!("disable multicast snooping of bridge {bridge}")).await
    }

    /// Sets a port's flags and attaches its text, in one message.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn commit_port(&self, link: &Link, port: &Port) -> Result<(), Error> {
        let message = LinkBridgePort::new(link.index)
            .hairpin(port.hairpin)
            .isolated(port.isolated)
            .alias(port.alias.as_str())
            .build();
        self.change_link(message, || format!("set flags and alias of bridge port {link}")).await
    }

    /// Makes a link a port of `bridge`.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn add_port(&self, bridge: &Link, link: &Link) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(link.index).controller(bridge.index).build();
        self.change_link(message, || format!("make {link} a port of {bridge}")).await
    }

    /// Waits until the kernel says that packets can pass the port, which it does shortly after the carrier came.
    ///
    /// A bridge with the spanning tree protocol may hold the port back for half a minute longer; that is its operator's
    /// wish and not waited for, as in the reference.
    ///
    /// # Errors
    /// [`Error::NotOperational`] after 2.5 s; [`Error::NoSuchLink`]; [`Error::Netlink`].
    pub async fn wait_until_operational(&self, port: &Link) -> Result<(), Error> {
        let begun = Instant::now();
        let mut pause = FIRST_LOOK_AGAIN;
        loop {
            let now = self.link_by_index(port.index).await?;
            let now = now.ok_or_else(|| Error::NoSuchLink(port.name.clone()))?;
            if now.operational {
                return Ok(());
            }
            if begun.elapsed() >= OPERATIONAL_DEADLINE {
                return Err(not_operational(&now, begun.elapsed()));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_LOOK_AGAIN);
        }
    }
}

fn not_operational(port: &Link, waited: Duration) -> Error {
    let state = if port.up { "enabled, and without carrier" } else { "disabled" };
    Error::NotOperational { link: port.name.clone(), waited_ms: waited.as_millis(), state }
}
