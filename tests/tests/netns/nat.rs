//! Masquerade and host ports with real packets: a host, its pods on a bridge, and a world outside that knows no route to
//! them.

pub(crate) mod echo;
mod firewall;
mod networks;
mod ports;
mod repair;
pub(crate) mod sctp;
mod stage;
mod traffic;
