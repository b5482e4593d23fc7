//! Why a node got no subnet.

use ipnetwork::IpNetwork;

use crate::pod_cidr::{InvalidPodCidr, PodCidr};

/// A subnet that could not be given, taken or released.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeCidrError {
    /// A node's subnet would be larger than the cluster's.
    #[error(
        "node CIDR mask size {mask_size} is too small for the cluster CIDR {cluster}: use one of at least {}",
        cluster.network().prefix()
    )]
    MaskTooShort {
        /// The cluster's network.
        cluster: PodCidr,
        /// The prefix length asked for.
        mask_size: u8,
    },
    /// There would be more subnets than can be kept track of.
    #[error(
        "node CIDR mask size {mask_size} is too large for the cluster CIDR {cluster}: use one of at most {longest}"
    )]
    TooMany {
        /// The cluster's network.
        cluster: PodCidr,
        /// The prefix length asked for.
        mask_size: u8,
        /// The longest one that will do.
        longest: u8,
    },
    /// The subnets could not be pod CIDRs.
    #[error(transparent)]
    Subnet(#[from] InvalidPodCidr),
    /// No subnet is free.
    #[error(
        "cluster CIDR {cluster} has no free subnet of /{mask_size} left: release one, or enlarge the cluster CIDR"
    )]
    Exhausted {
        /// The cluster's network.
        cluster: PodCidr,
        /// The prefix length of the subnets.
        mask_size: u8,
    },
    /// A network is not in the cluster's.
    #[error("{network} is outside of the cluster CIDR {cluster}")]
    OutOfRange {
        /// The network.
        network: IpNetwork,
        /// The cluster's network.
        cluster: PodCidr,
    },
    /// A network is a part of a subnet only.
    #[error("{network} is only a part of a node's subnet: release the whole /{mask_size}")]
    NotWhole {
        /// The network.
        network: IpNetwork,
        /// The prefix length of the subnets.
        mask_size: u8,
    },
}
