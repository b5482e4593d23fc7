//! What the integration tests share: our own programs, real peers, and one way to call a CNI program.

pub mod cni;
pub mod programs;

pub use cni::{Cni, Outcome};
