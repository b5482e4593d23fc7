//! Netfilter's netlink: messages with attributes of our own making, and a socket for them.
//!
//! rust-netlink's types for nftables cover a part of what is needed and change several times a year; a message is a
//! header and attributes, and both are written here in full.

pub(crate) mod attribute;
pub(crate) mod message;
pub(crate) mod socket;

pub(crate) use crate::netlink::Answer;
pub(crate) use attribute::Attributes;
pub(crate) use message::Message;
pub(crate) use socket::Socket;
