//! The runtime side of CNI against programs that nobody here wrote: Debian's Go plugins 1.1.1, run through
//! [`podnet_cni_plugin::Cni`] in every version of the specification that they speak.

mod bed;
mod bridge;
mod cached;
mod devices;
mod remains;
