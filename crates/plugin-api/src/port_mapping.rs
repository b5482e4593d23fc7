//! A host port that leads to a pod.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

/// One port of the node whose traffic goes to a port of a pod (the `hostPort` of a container).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortMapping {
    /// The address of the node; `None` for every one of them.
    pub host_ip: Option<IpAddr>,
    /// The port of the node.
    pub host_port: NonZeroU16,
    /// The port of the pod.
    pub container_port: NonZeroU16,
    /// The transport protocol.
    pub protocol: Protocol,
}

/// A transport protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// TCP, the default.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}
