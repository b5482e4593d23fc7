//! Container runtimes that nobody here wrote, with our CNI programs and no others: containerd by `ctr` and by its CRI,
//! and podman on its CNI backend. Each on a node of its own, in namespaces; what it is set up with is `docs/conf`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests: a panic is how they fail"
)]

mod node;

mod image;
mod network;
mod reach;
mod remains;

mod containerd;
mod cri;
mod ctr;
mod podman;
