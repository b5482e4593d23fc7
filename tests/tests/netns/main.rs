//! Whole flavours and real peers, each test on a throw-away host in a network namespace of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests: a panic is how they fail"
)]

mod cni_chains;
mod cni_command;
mod cni_faults;
mod cni_flavour;
mod cni_rules;
mod command;
mod firewall;
mod flags;
mod host_local;
mod kubenet;
mod kubenet_complete;
mod kubenet_type;
mod many_at_once;
mod masquerade;
mod nat;
mod loopback;
mod plugin_manager;
mod pod_cidr_change;
mod bridge_options;
mod portmap;
mod programs;
mod shaping;
mod spoof_check;
mod ptp;
mod static_ipam;
mod store_with_go;
mod tuning;
mod twins;
