//! Subnets for nodes, cut out of the cluster's: the controller manager's allocator of the kind `range`.
//!
//! [`NodeCidrRange`] is one cluster CIDR, cut into subnets of one size; [`NodeCidrAllocator`] has one range of each
//! family that the cluster has. Both only compute: which subnets are taken is told at the start and kept by the caller.

mod error;
mod range;

use ipnetwork::IpNetwork;

use crate::pod_cidr::{PodCidr, PodCidrs};

pub use self::error::NodeCidrError;
pub use self::range::NodeCidrRange;

/// The prefix lengths of the nodes' subnets, by family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeMaskSizes {
    /// For IPv4 (kube-controller-manager `--node-cidr-mask-size-ipv4`).
    pub v4: u8,
    /// For IPv6 (kube-controller-manager `--node-cidr-mask-size-ipv6`).
    pub v6: u8,
}

impl Default for NodeMaskSizes {
    /// A /24 and a /64, as in Kubernetes.
    fn default() -> Self {
        Self { v4: 24, v6: 64 }
    }
}

/// Gives each node a subnet of the cluster's, or one of each family.
///
/// Subnets are given in their order; the search goes on after the one given last, so that a subnet which was released
/// rests as long as there are others.
///
/// ```
/// use podnet_plugin_api::{NodeCidrAllocator, NodeMaskSizes};
///
/// let mut allocator = NodeCidrAllocator::new(&"10.244.0.0/16".parse()?, NodeMaskSizes::default())?;
/// allocator.reserve(["10.244.0.0/23".parse()?]); // services, say
/// let first = allocator.allocate()?;
/// assert_eq!(first.to_string(), "10.244.2.0/24");
/// allocator.release(&first)?;
/// assert_eq!(allocator.allocate()?.to_string(), "10.244.3.0/24");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: kube-controller-manager `--allocate-node-cidrs`, `--cluster-cidr`, `--node-cidr-mask-size`.
#[derive(Debug, Clone)]
pub struct NodeCidrAllocator {
    first: NodeCidrRange,
    second: Option<NodeCidrRange>,
}

impl NodeCidrAllocator {
    /// An allocator of the cluster's subnets, all of them free.
    ///
    /// # Errors
    /// [`NodeCidrError`] as for [`NodeCidrRange::new`].
    pub fn new(cluster: &PodCidrs, masks: NodeMaskSizes) -> Result<Self, NodeCidrError> {
        let range = |cidr: &PodCidr| {
            NodeCidrRange::new(*cidr, if cidr.is_ipv4() { masks.v4 } else { masks.v6 })
        };
        let first = range(cluster.first())?;
        let second = cluster.iter().nth(1).map(range).transpose()?;
        Ok(Self { first, second })
    }

    /// Takes out of use whatever of these networks lies in the cluster's: services, or other uses of the addresses.
    pub fn reserve(&mut self, networks: impl IntoIterator<Item = IpNetwork>) {
        for network in networks {
            for range in self.ranges() {
                range.mark(&network, true);
            }
        }
    }

    /// Marks the subnets that a node has already.
    ///
    /// # Errors
    /// [`NodeCidrError::OutOfRange`] where one of them is not in the cluster's; nothing is marked then.
    pub fn occupy(&mut self, subnets: &PodCidrs) -> Result<(), NodeCidrError> {
        let marked = self.clone().each(subnets, NodeCidrRange::occupy);
        marked.map(|done| *self = done)
    }

    /// The next free subnet, of each family one.
    ///
    /// # Errors
    /// [`NodeCidrError::Exhausted`] where a family has none left; nothing is taken then.
    pub fn allocate(&mut self) -> Result<PodCidrs, NodeCidrError> {
        let first = self.first.allocate()?;
        let Some(range) = &mut self.second else { return Ok(first.into()) };
        let second = range.allocate();
        let both = second.and_then(|second| Ok(PodCidrs::new(first, Some(second))?));
        if both.is_err() {
            self.first.release(first.network())?;
        }
        both
    }

    /// Gives a node's subnets back. One that is free already stays so.
    ///
    /// # Errors
    /// [`NodeCidrError::OutOfRange`], [`NodeCidrError::NotWhole`]; nothing is released then.
    pub fn release(&mut self, subnets: &PodCidrs) -> Result<(), NodeCidrError> {
        let released = self.clone().each(subnets, NodeCidrRange::release);
        released.map(|done| *self = done)
    }

    fn each(
        mut self,
        subnets: &PodCidrs,
        change: impl Fn(&mut NodeCidrRange, IpNetwork) -> Result<(), NodeCidrError>,
    ) -> Result<Self, NodeCidrError> {
        for subnet in subnets.iter() {
            let cluster = self.first.cluster();
            let range = self.ranges().find(|range| range.cluster().is_ipv4() == subnet.is_ipv4());
            let network = subnet.network();
            let range = range.ok_or(NodeCidrError::OutOfRange { network, cluster })?;
            change(range, network)?;
        }
        Ok(self)
    }

    fn ranges(&mut self) -> impl Iterator<Item = &mut NodeCidrRange> {
        std::iter::once(&mut self.first).chain(&mut self.second)
    }
}

#[cfg(test)]
mod tests;
