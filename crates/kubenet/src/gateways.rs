//! The gateways' addresses on cbr0, also while the pod CIDR changes under running pods.
//!
//! A pod keeps the address that it was given, and needs the gateway of its subnet until it is torn down. So cbr0 carries
//! the gateway of an earlier pod CIDR for as long as host-local's store has an address of it. Nothing is remembered in
//! between: the kernel says which gateways there are and the files which of them are used, so that a restart, another
//! process and the Go programs, which keep the same files, make no difference.
//!
//! Whoever attaches a pod reserves its address before it looks for the gateway on cbr0. A gateway is taken away under
//! the store's lock, after a look at the store: either the address is seen there, or the gateway is put back.

use std::path::PathBuf;

use ipnetwork::IpNetwork;
use podnet_netutil::sysctl::{self, Family};
use podnet_netutil::{Address, Link, Netlink};
use podnet_plugin_api::{PodCidr, PodCidrs};
use podnet_standard_plugins::host_local::{lock_store, reserved_addresses};

use crate::error::Error;

/// The gateways of the pod CIDRs in force, and what else may be on cbr0.
pub(crate) struct Gateways<'a> {
    pub(crate) netlink: &'a Netlink,
    /// host-local's store of the network.
    pub(crate) store: PathBuf,
    pub(crate) cidrs: &'a PodCidrs,
}

impl Gateways<'_> {
    /// Takes from cbr0 the addresses that are no gateways, and the gateways of earlier pod CIDRs that no pod uses any
    /// more. Returns those that stay.
    pub(crate) async fn clear(&self, bridge: &Link) -> Result<Vec<IpNetwork>, Error> {
        let others = others(&self.netlink.addresses(bridge).await?, self.cidrs);
        if self.unused(&others)?.is_empty() {
            return Ok(others);
        }
        let _unchanged = lock_store(&self.store).await?;
        let unused = self.unused(&others)?;
        for address in &unused {
            tracing::warn!("taking {address} from cbr0: it is the gateway of no pod");
            match self.netlink.delete_address(bridge, *address).await {
                // Another operation did so.
                Err(error) if error.is_gone() => {}
                done => done?,
            }
        }
        Ok(others.into_iter().filter(|other| !unused.contains(other)).collect())
    }

    /// The gateways of earlier pod CIDRs that cbr0 carries and pods use. Changes nothing.
    pub(crate) async fn earlier(&self, bridge: &Link) -> Result<Vec<IpNetwork>, Error> {
        let others = others(&self.netlink.addresses(bridge).await?, self.cidrs);
        let unused = self.unused(&others)?;
        Ok(others.into_iter().filter(|other| !unused.contains(other)).collect())
    }

    /// Puts the gateways of the pod CIDRs in force on cbr0.
    pub(crate) async fn carry(&self, bridge: &Link) -> Result<(), Error> {
        for gateway in self.cidrs.iter().filter_map(gateway_of) {
            match self.netlink.add_address(bridge, gateway).await {
                Err(error) if error.is_already_there() => {}
                done => done?,
            }
            sysctl::enable_forwarding(Family::of(&gateway))?;
        }
        Ok(())
    }

    /// Refuses a pod CIDR of which an earlier one that is still used is a part, or the other way round: a new pod could
    /// be given the earlier gateway's address, and the new gateway's may be an earlier pod's.
    pub(crate) fn refuse_overlap(&self, earlier: &[IpNetwork]) -> Result<(), Error> {
        for cidr in self.cidrs.iter() {
            let (new, store) = (cidr.network(), self.store.clone());
            let overlaps =
                |old: &&IpNetwork| old.contains(new.network()) || new.contains(old.network());
            if let Some(old) = earlier.iter().find(overlaps).and_then(|old| PodCidr::new(*old).ok())
            {
                return Err(Error::PodCidrOverlaps { cidr: *cidr, earlier: old, store });
            }
        }
        Ok(())
    }

    fn unused(&self, others: &[IpNetwork]) -> Result<Vec<IpNetwork>, Error> {
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let reserved = reserved_addresses(&self.store)?;
        let is_used = |other: &IpNetwork| {
            is_earlier_gateway(other, self.cidrs) && reserved.iter().any(|ip| other.contains(*ip))
        };
        Ok(others.iter().filter(|other| !is_used(other)).copied().collect())
    }
}

/// The address that the gateway of a pod CIDR has on cbr0.
fn gateway_of(cidr: &PodCidr) -> Option<IpNetwork> {
    IpNetwork::new(cidr.gateway(), cidr.network().prefix()).ok()
}

/// The addresses of cbr0 that are no gateway of the pod CIDRs in force, of the families that have one.
fn others(present: &[Address], cidrs: &PodCidrs) -> Vec<IpNetwork> {
    let is_other = |address: &IpNetwork| {
        let mut of_family = cidrs.iter().filter(|cidr| cidr.is_ipv4() == address.is_ipv4());
        of_family.any(|cidr| gateway_of(cidr) != Some(*address))
    };
    let global = present.iter().filter(|address| address.global).map(|address| address.network);
    global.filter(is_other).collect()
}

/// Whether an address can be that of an earlier pod CIDR's gateway: the first one of a network that is not in force.
fn is_earlier_gateway(address: &IpNetwork, cidrs: &PodCidrs) -> bool {
    PodCidr::new(*address).is_ok_and(|earlier| {
        earlier.gateway() == address.ip() && cidrs.iter().all(|cidr| *cidr != earlier)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_address_of_another_network_can_be_an_earlier_gateway() {
        let cidrs: PodCidrs = "10.9.0.0/24,fd00:9::/64".parse().unwrap();
        for (address, expected) in [
            ("10.8.0.1/24", true),
            ("10.9.0.1/16", true),
            ("fd00:8::1/64", true),
            ("10.8.0.2/24", false),
            ("10.9.0.254/24", false),
            ("10.8.0.1/32", false),
        ] {
            assert_eq!(
                is_earlier_gateway(&address.parse().unwrap(), &cidrs),
                expected,
                "{address}"
            );
        }
    }
}
