//! The request layer against a live kernel: listings that change, refusals with words.

use futures_util::FutureExt as _;

use crate::netns::in_own_netns;
use crate::{Error, MacAddr, Netlink, Route};

const MAC: MacAddr = MacAddr::local([0; 6]);

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

#[test]
fn listings_that_are_asked_for_at_once_are_all_made() {
    in_own_netns(async || {
        let netlink = crowded().await;
        let list = || {
            let netlink = netlink.clone();
            std::thread::spawn(move || netlink.links().now_or_never())
        };
        let threads: Vec<_> = (0..8).map(|_| list()).collect();
        for thread in threads {
            // None where another was at it just then: whoever awaits it gets its turn.
            if let Some(links) = thread.join().unwrap() {
                assert_eq!(links.unwrap().len(), 101);
            }
        }
        let listings = futures_util::future::join_all((0..20).map(|_| netlink.links())).await;
        assert!(listings.into_iter().all(|links| links.unwrap().len() == 101));
    });
}
