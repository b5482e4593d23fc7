//! What the integration tests share: our own programs, real peers, one way to call a CNI program, and the tests that
//! documents name.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "only tests use it: a panic is how they fail, and stderr is where they say what they skip"
)]

pub mod cni;
pub mod cni_folder;
pub mod named;
pub mod programs;

pub use cni::{Cni, Outcome};
