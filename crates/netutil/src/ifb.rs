//! Intermediate functional blocks: links that exist to give received packets a queue.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::{LinkIfb, LinkUnspec};

use crate::error::Error;
use crate::link::{Link, link};
use crate::netlink::Netlink;

/// Packets that may lie between the qdisc and the receiving side. The kernel's 32 starve it at 10 Gbit/s.
const QUEUE_PACKETS: u32 = 1000;

impl Netlink {
    /// Makes an ifb, disabled and without a text attached, both of which [`Netlink::commit_ifb`] is for.
    ///
    /// # Errors
    /// [`Error::Netlink`], with [`Error::is_already_there`] when the name is taken.
    pub async fn create_ifb(&self, name: &str, mtu: u32) -> Result<Link, Error> {
        let message = LinkIfb::new(name).mtu(mtu).txqueuelen(QUEUE_PACKETS).build();
        let flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO;
        let message = RouteNetlinkMessage::NewLink(message);
        let answers = self.request(message, flags, || format!("create ifb {name}")).await?;
        match answers.iter().find_map(link) {
            Some(made) => Ok(made),
            // Kernels before 6.2 do not echo what was made.
            None => self.require_link(name).await,
        }
    }

    /// Attaches a text of at most 255 bytes to an ifb and enables it, in one message. The one that makes the ifb ignores
    /// the text.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn commit_ifb(&self, ifb: &Link, alias: &str) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(ifb.index).alias(alias).up().build();
        self.change_link(message, || format!("set alias of {ifb} and enable it")).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::in_own_netns;

    #[test]
    fn an_ifb_is_enabled_with_its_text_and_without_ipv6() {
        in_own_netns(async || {
            let netlink = Netlink::open().unwrap();
            let made = netlink.create_ifb("ifb9", 1400).await.unwrap();
            netlink.keep_without_ipv6(&made).await.unwrap();
            netlink.commit_ifb(&made, "podnet:net/a1/eth0").await.unwrap();
            let ifb = netlink.require_link("ifb9").await.unwrap();
            assert_eq!((ifb.kind.as_str(), ifb.mtu, ifb.up), ("ifb", 1400, true));
            assert_eq!(ifb.alias.as_deref(), Some("podnet:net/a1/eth0"));
            assert_eq!(netlink.addresses(&ifb).await.unwrap(), []);
            assert!(netlink.create_ifb("ifb9", 1400).await.unwrap_err().is_already_there());
        });
    }
}
