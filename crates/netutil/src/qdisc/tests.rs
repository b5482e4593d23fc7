//! Disciplines as the kernel takes and tells them.

use super::*;
use crate::netns::in_own_netns;
use crate::{MacAddr, Netlink};

async fn bridge(netlink: &Netlink, name: &str) -> Link {
    netlink.create_bridge(name, MacAddr::local([0; 6])).await.unwrap();
    netlink.require_link(name).await.unwrap()
}

#[test]
fn a_bucket_is_put_at_the_root_changed_told_and_removed() {
    in_own_netns(async || {
        let netlink = Netlink::open().unwrap();
        let link = bridge(&netlink, "br0").await;
        netlink.set_link_up(link.index).await.unwrap();
        assert_eq!(netlink.root_qdisc(&link).await.unwrap(), RootQdisc::Default);
        netlink.remove_root_qdisc(&link).await.unwrap();
        // 1 kbit/s, 1 Mbit/s, 1 Gbit/s, 100 Gbit/s (more than 32 bits of bytes a second), 1 Pbit/s.
        for rate in [125, 125_000, 125_000_000, 12_500_000_000, 125_000_000_000_000] {
            let burst = TokenBucket::largest_burst(rate);
            for burst in [3028.min(burst), burst] {
                let bucket = TokenBucket { bytes_per_second: rate, burst, queue: 70_000 };
                netlink.set_token_bucket(&link, &bucket).await.unwrap();
                let RootQdisc::TokenBucket(told) = netlink.root_qdisc(&link).await.unwrap() else {
                    panic!("no bucket at {rate}")
                };
                assert!(told.is_told_of(&bucket), "{bucket:?} is told as {told:?}");
            }
        }
        netlink.remove_root_qdisc(&link).await.unwrap();
        assert_eq!(netlink.root_qdisc(&link).await.unwrap(), RootQdisc::Default);
        let gone = Link { index: 4711, ..link };
        netlink.remove_root_qdisc(&gone).await.unwrap();
        assert!(netlink.root_qdisc(&gone).await.unwrap_err().is_gone());
    });
}

#[test]
fn a_redirect_is_made_told_and_removed() {
    in_own_netns(async || {
        let netlink = Netlink::open().unwrap();
        let (from, to) = (bridge(&netlink, "br0").await, bridge(&netlink, "br1").await);
        assert_eq!(netlink.ingress_redirects(&from).await.unwrap(), []);
        netlink.remove_ingress(&from).await.unwrap();
        netlink.redirect_ingress(&from, &to).await.unwrap();
        assert_eq!(netlink.ingress_redirects(&from).await.unwrap(), [to.index]);
        let again = netlink.redirect_ingress(&from, &to).await.unwrap_err();
        assert!(again.is_already_there(), "{again}");
        crate::LinkDeleter::new(netlink.clone(), None).delete(&to).await.unwrap();
        assert_eq!(netlink.ingress_redirects(&from).await.unwrap(), [0]);
        netlink.remove_ingress(&from).await.unwrap();
        netlink.remove_ingress(&from).await.unwrap();
        assert_eq!(netlink.ingress_redirects(&from).await.unwrap(), []);
    });
}
