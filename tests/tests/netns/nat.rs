//! Masquerade and host ports with real packets: a host, its pods on a bridge, and a world outside that knows no route to
//! them.

mod echo;
mod firewall;
mod ports;
mod repair;
mod stage;
mod traffic;
