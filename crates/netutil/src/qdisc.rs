//! Queueing disciplines: how fast a link may send, and where what it receives goes.
//!
//! Two of them are enough to limit a pod: a token bucket (tbf) at the root of a link limits what the link sends; what
//! it receives cannot be queued there, and is redirected to an [`ifb`](crate::ifb) whose own root has a bucket.

mod bucket;
mod redirect;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_ECHO, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};

use crate::error::Error;
use crate::link::Link;
use crate::netlink::Netlink;

pub use bucket::TokenBucket;

/// What stands at the root of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RootQdisc {
    /// Nothing that anybody put there.
    Default,
    /// A token bucket.
    TokenBucket(TokenBucket),
    /// Something else.
    Other,
}

impl Netlink {
    /// What stands at the root of a link. One request, whatever the number of links.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn root_qdisc(&self, link: &Link) -> Result<RootQdisc, Error> {
        let message = RouteNetlinkMessage::GetQueueDiscipline(at(link, TcHandle::ROOT));
        let action = || format!("look up the qdisc of {link}");
        // Without the echo the kernel tells the answer to everybody but who asked.
        match self.ask(message, NLM_F_ECHO, action).await {
            Ok(answers) => Ok(answers.iter().find_map(root_qdisc).unwrap_or(RootQdisc::Default)),
            // Not ENODEV, which says that the link itself is gone.
            Err(error) if error.errno() == Some(rustix::io::Errno::NOENT) => Ok(RootQdisc::Default),
            Err(error) => Err(error),
        }
    }

    /// Puts a token bucket at the root of a link, or changes the one that is there.
    ///
    /// What waits in a bucket that is changed goes on waiting.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn set_token_bucket(&self, link: &Link, bucket: &TokenBucket) -> Result<(), Error> {
        let mut message = at(link, TcHandle::ROOT);
        message.attributes = bucket.attributes();
        let message = RouteNetlinkMessage::NewQueueDiscipline(message);
        let action = || format!("limit {link} to {} bytes a second", bucket.bytes_per_second);
        self.request(message, NLM_F_CREATE | NLM_F_REPLACE, action).await.map(drop)
    }

    /// Removes what stands at the root of a link. That there is nothing is success, and so is that the link is gone.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn remove_root_qdisc(&self, link: &Link) -> Result<(), Error> {
        let message = RouteNetlinkMessage::DelQueueDiscipline(at(link, TcHandle::ROOT));
        match self.request(message, 0, || format!("remove the limit of {link}")).await {
            Err(error) if error.is_gone() => Ok(()),
            other => other.map(drop),
        }
    }
}

fn root_qdisc(answer: &RouteNetlinkMessage) -> Option<RootQdisc> {
    let RouteNetlinkMessage::NewQueueDiscipline(message) = answer else { return None };
    // The kernel's own choice has no handle and is not worth mentioning.
    if message.header.handle == TcHandle::UNSPEC {
        return None;
    }
    match TokenBucket::from_attributes(&message.attributes) {
        Some(bucket) => Some(RootQdisc::TokenBucket(bucket)),
        None => Some(RootQdisc::Other),
    }
}

/// An empty message about what hangs on `parent` of a link.
fn at(link: &Link, parent: TcHandle) -> TcMessage {
    // The kernel counts interfaces in positive signed numbers.
    let mut message = TcMessage::with_index(i32::try_from(link.index).unwrap_or_default());
    message.header.parent = parent;
    message
}

fn kind(attributes: &[TcAttribute]) -> Option<&str> {
    attributes.iter().find_map(|attribute| match attribute {
        TcAttribute::Kind(kind) => Some(kind.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
