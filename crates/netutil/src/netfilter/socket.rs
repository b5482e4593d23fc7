//! A socket for netfilter's messages.

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rustix::io::Errno;

use super::message::Message;
use crate::error::{Error, RequestError};
use crate::netlink::{self, Answer, Outcome};

const EXCHANGE: &str = "exchange with netfilter";

/// A netfilter socket. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Socket(netlink::Socket);

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open() -> Result<Self, Error> {
        Ok(Self(netlink::Socket::open(NETLINK_NETFILTER)?.with_room_for_transactions()))
    }

    /// Lists objects, again if they changed meanwhile. An object that is listed in does not exist: an empty list.
    pub(crate) async fn list(&self, mut message: Message) -> Result<Vec<Answer>, RequestError> {
        message.flags |= NLM_F_REQUEST | NLM_F_DUMP;
        let listed = match self.0.list(&encode(&[message])?).await {
            Err(RequestError::Kernel { errno: Errno::NOENT, .. }) => Ok(Vec::new()),
            listed => listed,
        };
        told(listed)
    }

    /// Makes one request, acknowledged, and returns the objects that the kernel sent.
    pub(crate) async fn request(&self, mut message: Message) -> Result<Vec<Answer>, RequestError> {
        message.flags |= NLM_F_REQUEST | NLM_F_ACK;
        told(self.0.request(&encode(&[message])?).await)
    }

    /// Sends messages at once and reads all that the kernel answers.
    pub(crate) async fn exchange(&self, messages: Vec<Message>) -> Result<Outcome, RequestError> {
        let outcome = self.0.exchange(&encode(&messages)?).await;
        let answers = outcome.as_ref().map_or(1, |it| it.objects.len() + it.acknowledged.len());
        tracing::trace!(answers, "{EXCHANGE}");
        outcome
    }
}

/// Says how much came back.
fn told(answers: Result<Vec<Answer>, RequestError>) -> Result<Vec<Answer>, RequestError> {
    tracing::trace!(answers = answers.as_ref().map_or(1, Vec::len), "{EXCHANGE}");
    answers
}

fn encode(messages: &[Message]) -> Result<Vec<u8>, RequestError> {
    let mut bytes = Vec::new();
    for (sequence, message) in (0_u32..).zip(messages) {
        let encoded = message.encode(sequence);
        bytes.extend(encoded.ok_or_else(|| {
            RequestError::Malformed("the request is longer than netlink allows".to_owned())
        })?);
    }
    Ok(bytes)
}
