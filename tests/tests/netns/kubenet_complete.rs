//! Kubenet as a whole: masquerade, host ports, limits, damage and its repair, with the plugins in process and with the Go
//! programs. Each test runs for both.

mod bed;
mod clean_up;
mod installed;
mod many;
mod neighbours;
mod ownership;
mod traffic;
