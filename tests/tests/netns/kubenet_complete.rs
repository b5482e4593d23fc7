//! Kubenet as a whole: masquerade, host ports, limits, damage and its repair, with the plugins in process and with the Go
//! programs. Each test runs for both.

mod at_once;
mod bed;
mod clean_up;
mod cost;
mod families;
mod heard;
mod installed;
mod left_over;
mod many;
mod neighbours;
mod ownership;
mod reboot;
mod repeat;
mod traffic;
