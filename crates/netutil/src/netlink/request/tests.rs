//! The request layer against a live kernel: a connection that dies, listings that change, refusals with words.

use std::task::Poll;

use futures_util::{FutureExt as _, stream};
use netlink_packet_core::{DoneMessage, NetlinkHeader};
use netlink_packet_route::link::LinkMessage;
use rtnetlink::LinkBridge;

use super::*;
use crate::netns::in_own_netns;
use crate::{Error, MacAddr, Netlink, Route};

const MAC: MacAddr = MacAddr::local([0; 6]);

fn get_links() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(LinkMessage::default())
}

fn done(flags: u16) -> NetlinkMessage<RouteNetlinkMessage> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    NetlinkMessage::new(header, NetlinkPayload::Done(DoneMessage::default()))
}

#[test]
fn a_connection_that_dies_is_an_error_and_not_success() {
    in_own_netns(async || {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let message = RouteNetlinkMessage::NewLink(LinkBridge::new("br0").build());
        let request = acknowledged(&handle, message, netlink_packet_core::NLM_F_CREATE);
        let dies = async { drop(connection) };
        let (answer, ()) = futures_util::future::join(request, dies).await;
        assert!(matches!(answer, Err(RequestError::ConnectionEnded)));
        assert_eq!(Netlink::open().unwrap().link_by_name("br0").await.unwrap(), None);
    });
}

#[test]
fn a_listing_cut_short_is_an_error() {
    in_own_netns(async || {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        drop(connection);
        let answer = dump(&handle, &Mutex::default(), &get_links()).await;
        assert!(matches!(answer, Err(RequestError::ConnectionEnded)));
        let cut_short = collect(stream::iter([NetlinkMessage::from(get_links())])).await;
        assert!(matches!(cut_short, Err(RequestError::ConnectionEnded)));
    });
}

#[test]
fn an_interruption_anywhere_in_a_listing_is_seen() {
    in_own_netns(async || {
        let mut first = NetlinkMessage::from(get_links());
        first.header.flags = NLM_F_DUMP_INTR;
        let answer = collect(stream::iter([first, done(0)])).await.unwrap();
        assert!(matches!(answer.end, End::DumpDone { interrupted: true }));
        let answer = collect(stream::iter([done(NLM_F_DUMP_INTR)])).await.unwrap();
        assert!(matches!(answer.end, End::DumpDone { interrupted: true }));
        let answer = collect(stream::iter([done(0)])).await.unwrap();
        assert!(matches!(answer.end, End::DumpDone { interrupted: false }));
    });
}

#[test]
fn listings_are_whole_while_links_come_and_go() {
    in_own_netns(async || {
        let netlink = Netlink::open().unwrap();
        for number in 0..40 {
            netlink.create_bridge(&format!("stays{number}"), MAC).await.unwrap();
        }
        let churn = async {
            for number in 0..60 {
                let name = format!("goes{number}");
                netlink.create_bridge(&name, MAC).await.unwrap();
            }
        };
        let list = async {
            for _ in 0..60 {
                let links = netlink.links().await.unwrap();
                let staying = links.iter().filter(|link| link.name.starts_with("stays")).count();
                assert_eq!(staying, 40);
            }
        };
        futures_util::future::join(churn, list).await;
    });
}

#[test]
fn a_refusal_keeps_the_kernels_own_words() {
    in_own_netns(async || {
        let netlink = Netlink::open().unwrap();
        netlink.create_bridge("br0", MAC).await.unwrap();
        let bridge = netlink.require_link("br0").await.unwrap();
        let gateway = "192.0.2.1".parse().unwrap();
        let route = Route::new("0.0.0.0/0".parse().unwrap(), Some(gateway));
        let error = netlink.add_route(&bridge, &route).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("add route 0.0.0.0/0 by 192.0.2.1 out of br0"), "{text}");
        assert!(text.contains("Nexthop has invalid gateway"), "{text}");
        assert!(!text.contains("os error"), "{text}");
    });
}

#[test]
fn a_taken_name_is_told_from_other_refusals() {
    in_own_netns(async || {
        let netlink = Netlink::open().unwrap();
        netlink.create_bridge("br0", MAC).await.unwrap();
        let again = netlink.create_bridge("br0", MAC).await.unwrap_err();
        assert!(again.is_already_there() && !again.is_gone());
        let missing = netlink.require_link("br1").await.unwrap_err();
        assert!(matches!(&missing, Error::NoSuchLink(name) if name == "br1"));
    });
}

/// A hundred links: more than the kernel puts into one message.
async fn crowded() -> Netlink {
    let netlink = Netlink::open().unwrap();
    for number in 0..100 {
        netlink.create_bridge(&format!("br{number}"), MAC).await.unwrap();
    }
    netlink
}

/// Lets the connection send what it has, but not yet hear that there is something to read: `tokio::task::yield_now` would
/// wait for that.
async fn yield_turns(turns: usize) {
    for _ in 0..turns {
        let mut yielded = false;
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[test]
fn listings_that_are_asked_for_at_once_are_all_made() {
    in_own_netns(async || {
        let netlink = crowded().await;
        let list = |turns: usize| {
            let netlink = netlink.clone();
            tokio::spawn(async move {
                yield_turns(turns).await;
                netlink.links().await
            })
        };
        let listings = futures_util::future::join_all((0..20).map(list)).await;
        assert!(listings.into_iter().all(|links| links.unwrap().unwrap().len() == 101));
    });
}

#[test]
fn a_listing_that_nobody_waits_for_any_longer_does_not_disturb_the_next() {
    in_own_netns(async || {
        let netlink = crowded().await;
        let task = tokio::spawn(async move {
            for turns in 0..10 {
                let mut abandoned = Box::pin(netlink.links());
                assert!((&mut abandoned).now_or_never().is_none(), "it ends at once");
                yield_turns(turns).await;
                drop(abandoned);
                assert_eq!(netlink.links().await.unwrap().len(), 101);
            }
        });
        task.await.unwrap();
    });
}
