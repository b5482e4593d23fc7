//! What the demonstration built and measured, as data.

use std::net::IpAddr;

use serde::Serialize;

use super::latency::{Latency, milliseconds};
use super::stage::SetUp;

/// The whole demonstration; the JSON output is this.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) topology: Topology,
    pub(super) set_up: Latency,
    pub(super) probes: Vec<Probe>,
    pub(super) tear_down: Latency,
    /// What should be gone and is not; nothing, unless something is wrong.
    pub(super) left_behind: Vec<String>,
    pub(super) seconds: f64,
}

impl Report {
    pub(super) fn new(set_up: &SetUp, topology: Topology, probes: Vec<Probe>) -> Self {
        let durations: Vec<_> = set_up.pods.iter().map(|pod| pod.took).collect();
        Self {
            topology,
            set_up: Latency::of(&durations, set_up.took),
            probes,
            tear_down: Latency::default(),
            left_behind: Vec::new(),
            seconds: 0.0,
        }
    }
}

/// The host as kubenet made it.
#[derive(Debug, Serialize)]
pub(super) struct Topology {
    pub(super) uplink: Interface,
    pub(super) bridge: Interface,
    pub(super) pods: Vec<PodView>,
}

/// An interface of the host.
#[derive(Debug, Serialize)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) addresses: Vec<String>,
    pub(super) mtu: u32,
    pub(super) mac: String,
}

/// A pod and its way to the bridge.
#[derive(Debug, Serialize)]
pub(super) struct PodView {
    pub(super) pod: String,
    pub(super) id: String,
    pub(super) netns: String,
    pub(super) ip: IpAddr,
    pub(super) interface: String,
    pub(super) mac: String,
    pub(super) mtu: u32,
    /// The veth's end on the host, a port of the bridge.
    pub(super) host_end: String,
    pub(super) set_up_ms: f64,
}

/// A probe that got its answer; one that does not ends the demonstration.
#[derive(Debug, Serialize)]
pub(super) struct Probe {
    pub(super) what: &'static str,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) ms: f64,
}

impl Probe {
    pub(super) fn new(
        what: &'static str,
        from: impl Into<String>,
        to: impl Into<String>,
        took: std::time::Duration,
    ) -> Self {
        Self { what, from: from.into(), to: to.into(), ms: milliseconds(took) }
    }
}
