//! What kubenet says of its pods and of its node.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use podnet_plugin_api::{PodBandwidth, PortMapping};

/// A pod that this node knows: from the kernel's interfaces and rules, the address store, or a cached result.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PodReport {
    /// The pod's namespace and name, where they are noted.
    pub pod: Option<(String, String)>,
    /// The sandbox's id.
    pub container_id: String,
    /// The addresses that are reserved for it.
    pub ips: Vec<IpAddr>,
    /// The name of its veth's host end; none where there is none any more.
    pub host_end: Option<String>,
    /// The path of its network namespace when it was attached, where that is noted.
    pub netns: Option<PathBuf>,
    /// The host ports that it was promised.
    pub ports: Vec<PortMapping>,
    /// The limits that it was promised.
    pub limits: PodBandwidth,
    /// Whether it lives, as far as the kernel tells: its veth is there.
    pub alive: bool,
    /// Where the kernel and the files differ from what it was promised, a line each.
    pub drift: Vec<String>,
}

/// Something that is wrong with the node or a pod, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about: `cbr0`, or a pod.
    pub subject: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    pub(crate) fn new(
        subject: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { subject: subject.into(), problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.subject, self.problem, self.remedy)
    }
}

/// What a clean-up did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Collected {
    /// The pods of which everything was removed: the sandboxes' ids.
    pub removed: Vec<String>,
    /// What was put right, a line each.
    pub mended: Vec<String>,
    /// What could be neither removed nor mended, a line each.
    pub left: Vec<String>,
}
