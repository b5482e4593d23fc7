//! `firewall` with both flavours of iptables and with firewalld: beside the Go program, and with real packets.

mod firewalld;
mod node;
mod parallel;
mod removal;
mod repair;
mod traffic;
mod twins;
