//! One cluster CIDR and which of its subnets are taken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnetwork::IpNetwork;

use super::error::NodeCidrError;
use crate::pod_cidr::PodCidr;

/// How many bits a node's prefix may be longer than the cluster's: for IPv6 as in Kubernetes; for IPv4, which is not
/// bounded there, from a /8 to the smallest subnet that holds a pod.
const MOST_BITS_V6: u8 = 16;
const MOST_BITS_V4: u8 = 22;

/// One cluster CIDR, cut into subnets of one size.
///
/// ```
/// use podnet_plugin_api::NodeCidrRange;
///
/// let mut range = NodeCidrRange::new("fd00:244::/56".parse()?, 64)?;
/// assert_eq!(range.capacity(), 256);
/// range.occupy("fd00:244::/64".parse()?)?;
/// assert_eq!(range.allocate()?.to_string(), "fd00:244:0:1::/64");
/// assert_eq!(range.free(), 254);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct NodeCidrRange {
    cluster: PodCidr,
    mask_size: u8,
    /// For each subnet whether it is taken.
    taken: Vec<bool>,
    /// Where the search for a free one begins.
    next: usize,
}

impl NodeCidrRange {
    /// Cuts `cluster` into subnets with a prefix of `mask_size` bits.
    ///
    /// # Errors
    /// [`NodeCidrError::MaskTooShort`], [`NodeCidrError::TooMany`], or [`NodeCidrError::Subnet`] where the subnets would
    /// hold no pod.
    pub fn new(cluster: PodCidr, mask_size: u8) -> Result<Self, NodeCidrError> {
        let prefix = cluster.network().prefix();
        let most = if cluster.is_ipv4() { MOST_BITS_V4 } else { MOST_BITS_V6 };
        let bits = mask_size
            .checked_sub(prefix)
            .ok_or(NodeCidrError::MaskTooShort { cluster, mask_size })?;
        let count = 1_usize.checked_shl(u32::from(bits)).filter(|_| bits <= most);
        let too_many =
            NodeCidrError::TooMany { cluster, mask_size, longest: prefix.saturating_add(most) };
        let subnet = IpNetwork::new(cluster.network().ip(), mask_size);
        match (subnet, count) {
            (Ok(subnet), Some(count)) => {
                PodCidr::new(subnet)?;
                Ok(Self { cluster, mask_size, taken: vec![false; count], next: 0 })
            }
            _ => Err(too_many),
        }
    }

    /// The network that is cut up.
    #[must_use]
    pub fn cluster(&self) -> PodCidr {
        self.cluster
    }

    /// How many subnets there are.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.taken.len()
    }

    /// How many of them are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.taken.iter().filter(|taken| !**taken).count()
    }

    /// Takes the next free subnet after the one that was taken last.
    ///
    /// # Errors
    /// [`NodeCidrError::Exhausted`].
    pub fn allocate(&mut self) -> Result<PodCidr, NodeCidrError> {
        let count = self.capacity();
        let is_free = |index: &usize| self.taken.get(*index) == Some(&false);
        let mut free = (self.next..count).chain(0..self.next).filter(is_free);
        let (index, subnet) = free
            .find_map(|index| Some((index, self.subnet(index)?)))
            .ok_or(NodeCidrError::Exhausted { cluster: self.cluster, mask_size: self.mask_size })?;
        self.mark(&subnet.network(), true);
        self.next = if index + 1 == count { 0 } else { index + 1 };
        Ok(subnet)
    }

    /// Takes every subnet that has an address in common with `network`.
    ///
    /// # Errors
    /// [`NodeCidrError::OutOfRange`] where none has.
    pub fn occupy(&mut self, network: IpNetwork) -> Result<(), NodeCidrError> {
        if self.mark(&network, true) {
            return Ok(());
        }
        Err(NodeCidrError::OutOfRange { network, cluster: self.cluster })
    }

    /// Gives the subnets that `network` consists of back. One that is free already stays so.
    ///
    /// # Errors
    /// [`NodeCidrError::NotWhole`] where it is less than a subnet: the rest may be in use;
    /// [`NodeCidrError::OutOfRange`].
    pub fn release(&mut self, network: IpNetwork) -> Result<(), NodeCidrError> {
        if network.prefix() > self.mask_size {
            return Err(NodeCidrError::NotWhole { network, mask_size: self.mask_size });
        }
        if self.mark(&network, false) {
            return Ok(());
        }
        Err(NodeCidrError::OutOfRange { network, cluster: self.cluster })
    }

    /// Marks what the network has in common with this range; `false` if that is nothing.
    pub(super) fn mark(&mut self, network: &IpNetwork, taken: bool) -> bool {
        let subnets = self.indices(network).and_then(|indices| self.taken.get_mut(indices));
        let Some(subnets) = subnets else { return false };
        subnets.fill(taken);
        true
    }

    /// The numbers of the subnets that have an address in common with the network.
    fn indices(&self, network: &IpNetwork) -> Option<RangeInclusive<usize>> {
        if network.is_ipv4() != self.cluster.is_ipv4() {
            return None;
        }
        let (first, last) = bounds(network);
        let (from, to) = bounds(&self.cluster.network());
        if last < from || first > to {
            return None;
        }
        let index = |address: u128| {
            let offset = address.checked_sub(from)?.checked_shr(self.host_bits())?;
            usize::try_from(offset).ok()
        };
        Some(index(first.max(from))?..=index(last.min(to))?)
    }

    /// The subnet of a number; `None` where its addresses have another meaning, such as link-local ones.
    fn subnet(&self, index: usize) -> Option<PodCidr> {
        let offset = u128::try_from(index).ok()?.checked_shl(self.host_bits())?;
        let base = bounds(&self.cluster.network()).0.checked_add(offset)?;
        let address: IpAddr = if self.cluster.is_ipv4() {
            Ipv4Addr::from(u32::try_from(base).ok()?).into()
        } else {
            Ipv6Addr::from(base).into()
        };
        PodCidr::new(IpNetwork::new(address, self.mask_size).ok()?).ok()
    }

    /// The bits of an address that a subnet leaves free.
    fn host_bits(&self) -> u32 {
        let bits: u8 = if self.cluster.is_ipv4() { 32 } else { 128 };
        u32::from(bits.saturating_sub(self.mask_size))
    }
}

/// The first and the last address of a network, as numbers.
pub(super) fn bounds(network: &IpNetwork) -> (u128, u128) {
    let number = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    };
    (number(network.network()), number(network.broadcast()))
}
