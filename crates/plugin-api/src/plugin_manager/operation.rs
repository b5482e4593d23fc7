//! The operations that are ordered, bounded and counted.

use std::fmt;

/// An operation on one pod.
///
/// Shown as the kubelet's metrics call it, `set_up_pod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `set_up_pod`.
    SetUpPod,
    /// `tear_down_pod`.
    TearDownPod,
    /// `get_pod_network_status`.
    PodNetworkStatus,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 3] = [Self::SetUpPod, Self::TearDownPod, Self::PodNetworkStatus];

    /// The value of the label `operation_type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SetUpPod => "set_up_pod",
            Self::TearDownPod => "tear_down_pod",
            Self::PodNetworkStatus => "get_pod_network_status",
        }
    }

    /// What it does to the pod, for a sentence.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::SetUpPod => "set up",
            Self::TearDownPod => "tear down",
            Self::PodNetworkStatus => "tell the addresses of",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
