//! What a runtime tells a plugin while it runs.

use crate::pod_cidr::PodCidrs;

/// A change of the node that concerns its pod network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The node has been assigned a subnet for its pods, or another one than before.
    ///
    /// In a cluster the controller manager assigns it and it arrives some time after the start; on a node of its own
    /// it comes from `--pod-cidr`.
    ///
    /// It concerns the pods that are set up afterwards. Those that run keep their addresses and connections until they
    /// are torn down. Source: kubelet event `pod-cidr-change` with its detail `pod-cidr`.
    PodCidrChange {
        /// The subnet, or one of each family.
        cidrs: PodCidrs,
    },
}
