//! Whether an address is one of this host's, as its routes have it: what `fib daddr type local` says of a packet.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteMessage, RouteType};
use rtnetlink::RouteMessageBuilder;

use crate::error::{Error, RequestError};
use crate::netlink::Netlink;

/// Asks by which route a packet to this address would go. An address that no route leads to is somebody else's.
pub(super) async fn is_own_address(netlink: &Netlink, address: IpAddr) -> Result<bool, Error> {
    let action = || format!("look for the route to {address}");
    let prefix = if address.is_ipv4() { 32 } else { 128 };
    let built = RouteMessageBuilder::<IpAddr>::new().destination_prefix(address, prefix);
    let wanted = built.map_err(|error| Error::Netlink {
        action: action(),
        source: RequestError::Malformed(error.to_string()),
    })?;
    // A question has no table, protocol, scope or kind of route: the kernel refuses those of a route to be made.
    let mut question = RouteMessage::default();
    let wanted = wanted.build();
    question.header.address_family = wanted.header.address_family;
    question.header.destination_prefix_length = prefix;
    question.attributes = wanted.attributes;
    match netlink.ask(RouteNetlinkMessage::GetRoute(question), 0, action).await {
        Ok(answers) => Ok(answers.iter().any(is_local)),
        Err(error) if error.errno().is_some() => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_local(answer: &RouteNetlinkMessage) -> bool {
    matches!(answer, RouteNetlinkMessage::NewRoute(route) if route.header.kind == RouteType::Local)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::netns::in_own_netns;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn addresses_are_told_by_their_routes() {
        in_own_netns(async || {
            let netlink = Netlink::open().unwrap();
            let lo = netlink.require_link("lo").await.unwrap();
            netlink.set_link_up(lo.index).await.unwrap();
            netlink.add_address(&lo, "192.0.2.10/24".parse().unwrap()).await.unwrap();
            netlink.add_address(&lo, "2001:db8::10/64".parse().unwrap()).await.unwrap();
            for (address, is_own) in [
                ("127.0.0.1", true),
                ("127.9.9.9", true),
                ("192.0.2.10", true),
                ("198.51.100.1", false),
                ("224.0.0.251", false),
                ("::1", true),
                ("2001:db8::10", true),
                ("2001:db8:1::1", false),
                ("ff02::fb", false),
            ] {
                // The route to an address of IPv6 comes a little after the address.
                let begun = Instant::now();
                let asked = async || is_own_address(&netlink, address.parse().unwrap()).await;
                while asked().await.unwrap() != is_own {
                    assert!(begun.elapsed() < PATIENCE, "{address}");
                    tokio::task::yield_now().await;
                }
            }
        });
    }
}
