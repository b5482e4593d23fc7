//! The attributes of an interface that are tuned: read, set, put back, compared.

use podnet_cni_spec::AddResult;
use podnet_netutil::{Error as NetError, Link, MacAddr, Netlink};

use crate::error::Error;

/// What an interface is to be like, or was like; what is none is left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) mac: Option<MacAddr>,
    pub(super) promisc: Option<bool>,
    pub(super) mtu: Option<u32>,
    pub(super) all_multicast: Option<bool>,
    pub(super) tx_queue_len: Option<u32>,
}

impl Attributes {
    /// What `link` has for those attributes that are to be set.
    pub(super) fn of(&self, link: &Link) -> Self {
        Self {
            mac: self.mac.and(link.mac),
            promisc: self.promisc.map(|_| link.promiscuous),
            mtu: self.mtu.map(|_| link.mtu),
            all_multicast: self.all_multicast.map(|_| link.all_multicast),
            tx_queue_len: self.tx_queue_len.map(|_| link.tx_queue_len),
        }
    }

    /// Sets all of them, up to the first that is refused.
    pub(super) async fn apply(&self, netlink: &Netlink, link: &Link) -> Result<(), NetError> {
        self.apply_mac(netlink, link).await?;
        self.apply_promisc(netlink, link).await?;
        self.apply_mtu(netlink, link).await?;
        self.apply_all_multicast(netlink, link).await?;
        self.apply_tx_queue_len(netlink, link).await
    }

    /// Sets as many of them as can be, and returns the refusals.
    pub(super) async fn restore(&self, netlink: &Netlink, link: &Link) -> Vec<NetError> {
        let outcomes = [
            self.apply_mtu(netlink, link).await,
            self.apply_mac(netlink, link).await,
            self.apply_promisc(netlink, link).await,
            self.apply_all_multicast(netlink, link).await,
            self.apply_tx_queue_len(netlink, link).await,
        ];
        outcomes.into_iter().filter_map(Result::err).collect()
    }

    async fn apply_mac(&self, netlink: &Netlink, link: &Link) -> Result<(), NetError> {
        let Some(mac) = self.mac else { return Ok(()) };
        netlink.set_link_mac(link, mac).await
    }

    async fn apply_promisc(&self, netlink: &Netlink, link: &Link) -> Result<(), NetError> {
        let Some(on) = self.promisc else { return Ok(()) };
        netlink.set_link_promiscuous(link.index, on).await
    }

    async fn apply_mtu(&self, netlink: &Netlink, link: &Link) -> Result<(), NetError> {
        let Some(mtu) = self.mtu else { return Ok(()) };
        netlink.set_link_mtu(link.index, mtu).await
    }

    async fn apply_all_multicast(&self, netlink: &Netlink, link: &Link) -> Result<(), NetError> {
        let Some(on) = self.all_multicast else { return Ok(()) };
        netlink.set_link_all_multicast(link, on).await
    }

    async fn apply_tx_queue_len(&self, netlink: &Netlink, link: &Link) -> Result<(), NetError> {
        let Some(packets) = self.tx_queue_len else { return Ok(()) };
        netlink.set_link_tx_queue_len(link, packets).await
    }

    /// Puts the new MAC address into the result of the plugin before, and the new MTU where it tells one.
    pub(super) fn describe(&self, interface: &str, result: &mut AddResult) {
        for described in result.interfaces.iter_mut().filter(|found| found.name == interface) {
            if let Some(mac) = self.mac {
                described.mac = Some(mac.to_string());
            }
            described.mtu = described.mtu.map(|before| self.mtu.unwrap_or(before));
        }
    }

    /// Compares `link` with what it is to be like.
    pub(super) fn check(&self, link: &Link) -> Result<(), Error> {
        let promiscuous = self.promisc.unwrap_or(false);
        let mac = |mac: Option<MacAddr>| mac.map(|mac| mac.to_string());
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let compared = [
            ("MAC address", mac(self.mac), mac(link.mac)),
            ("promiscuous mode", Some(promiscuous.to_string()), Some(link.promiscuous.to_string())),
            ("MTU", number(self.mtu), Some(link.mtu.to_string())),
            (
                "all-multicast mode",
                self.all_multicast.map(|on| on.to_string()),
                Some(link.all_multicast.to_string()),
            ),
            (
                "transmit queue length",
                number(self.tx_queue_len),
                Some(link.tx_queue_len.to_string()),
            ),
        ];
        for (what, wanted, now) in compared {
            if wanted.is_some() && wanted != now {
                let (wanted, now) = (wanted.unwrap_or_default(), now.unwrap_or_default());
                let text = format!("{what} of {link} is {now}, the configuration has {wanted}");
                return Err(Error::CheckFailed(text));
            }
        }
        Ok(())
    }
}
