//! A netlink connection that belongs to one network namespace.
//!
//! rtnetlink gives the messages; its connection is not used. Its `execute()` hides acknowledgements and reads a closed
//! connection as success. Here every change is acknowledged, every listing is whole, every refusal keeps the kernel's
//! words.

mod answer;
pub(crate) mod ext_ack;
mod socket;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::sys::protocols::NETLINK_ROUTE;

use crate::error::{Error, RequestError};
use crate::netns::Netns;

pub(crate) use answer::Answer;
pub(crate) use socket::{Outcome, Socket};

/// An open connection to the kernel's routing netlink in one network namespace.
///
/// The connection stays in the namespace in which it was opened, whatever thread uses it. Cloning shares it; it is
/// closed when the last clone is dropped. Its operations stand in the modules [`link`](crate::link),
/// [`veth`](crate::veth), [`bridge`](crate::bridge), [`address`](crate::address) and [`route`](crate::route).
///
/// The kernel carries a request out before the call that sends it returns; so does every operation here, and what they
/// await is their turn on the connection.
#[derive(Clone, Debug)]
pub struct Netlink {
    socket: Socket,
}

impl Netlink {
    /// Opens a connection in the calling thread's network namespace.
    ///
    /// # Errors
    /// [`Error::Socket`] when the system gives no socket.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { socket: Socket::open(NETLINK_ROUTE)?.with_strict_checks()? })
    }

    /// Opens a connection in `netns`, by way of [`Netns::run`].
    ///
    /// # Errors
    /// [`Error::Netns`] when the namespace cannot be entered, [`Error::Socket`] when the system gives no socket.
    pub fn open_in(netns: &Netns) -> Result<Self, Error> {
        netns.run(Self::open)?
    }

    /// Whether there is an interface of this number. While one is being deleted, there is none any more: nobody finds it, and
    /// nothing goes through it. Does not wait for changes that are under way.
    pub(crate) fn has_interface(&self, index: u32) -> Result<bool, Error> {
        self.socket.has_interface(index).map_err(|source| {
            let action = format!("look for interface number {index}");
            Error::Netlink { action, source }
        })
    }

    /// Makes a change, or asks for one object, and returns what the kernel sent before its acknowledgement.
    pub(crate) async fn request(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        action: impl FnOnce() -> String,
    ) -> Result<Vec<Answer>, Error> {
        let message = encode(message, NLM_F_REQUEST | NLM_F_ACK | flags);
        told(self.socket.request(&message).await, action)
    }

    /// Asks for one object.
    pub(crate) async fn ask(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        action: impl Fn() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        decoded(&self.request(message, flags, &action).await?, action)
    }

    /// Lists objects, as they come.
    pub(crate) async fn list(
        &self,
        message: RouteNetlinkMessage,
        action: impl FnOnce() -> String,
    ) -> Result<Vec<Answer>, Error> {
        told(self.socket.list(&encode(message, NLM_F_REQUEST | NLM_F_DUMP)).await, action)
    }

    /// Lists objects.
    pub(crate) async fn dump(
        &self,
        message: RouteNetlinkMessage,
        action: impl Fn() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        decoded(&self.list(message, &action).await?, action)
    }
}

/// Says what was asked for and how much came back, which tells what an operation costs the kernel.
fn told(
    answers: Result<Vec<Answer>, RequestError>,
    action: impl FnOnce() -> String,
) -> Result<Vec<Answer>, Error> {
    match answers {
        Ok(answers) => {
            tracing::trace!(answers = answers.len(), "{}", action());
            Ok(answers)
        }
        Err(source) => {
            tracing::trace!(answers = 1_usize, "{source}");
            Err(Error::Netlink { action: action(), source })
        }
    }
}

fn decoded(
    answers: &[Answer],
    action: impl FnOnce() -> String,
) -> Result<Vec<RouteNetlinkMessage>, Error> {
    let decoded: Result<_, _> = answers.iter().map(Answer::decode).collect();
    decoded.map_err(|source| Error::Netlink { action: action(), source })
}

fn encode(message: RouteNetlinkMessage, flags: u16) -> Vec<u8> {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests;
