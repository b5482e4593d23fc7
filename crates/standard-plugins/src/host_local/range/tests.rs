//! Ranges: canonical form, overlaps and what is refused.

use proptest::prelude::*;

use super::*;

fn options(subnet: &str, start: &str, end: &str, gateway: &str) -> RangeOptions {
    let address = |text: &str| text.parse().ok();
    RangeOptions {
        subnet: subnet.parse().unwrap(),
        range_start: address(start),
        range_end: address(end),
        gateway: address(gateway),
    }
}

fn plain(subnet: &str) -> RangeOptions {
    options(subnet, "", "", "")
}

#[test]
fn what_is_left_out_is_filled_in() {
    let cases = [
        (plain("192.0.2.0/24"), "192.0.2.1-192.0.2.254", "192.0.2.1"),
        (plain("192.0.2.0/30"), "192.0.2.1-192.0.2.2", "192.0.2.1"),
        (
            plain("2001:db8:1::/64"),
            "2001:db8:1::1-2001:db8:1:0:ffff:ffff:ffff:ffff",
            "2001:db8:1::1",
        ),
        (
            options("192.0.2.0/24", "192.0.2.40", "192.0.2.50", ""),
            "192.0.2.40-192.0.2.50",
            "192.0.2.1",
        ),
        (
            options("192.0.2.0/24", "192.0.2.0", "192.0.2.255", ""),
            "192.0.2.1-192.0.2.254",
            "192.0.2.1",
        ),
        (
            options("192.0.2.0/24", "::ffff:192.0.2.9", "", "192.0.3.1"),
            "192.0.2.9-192.0.2.254",
            "192.0.3.1",
        ),
    ];
    for (options, range, gateway) in cases {
        let made = Range::new(&options).unwrap();
        assert_eq!(
            (made.to_string().as_str(), made.gateway.to_string().as_str()),
            (range, gateway)
        );
        assert_eq!(made.prefix, options.subnet.prefix());
    }
}

#[test]
fn nonsense_is_refused_in_words() {
    let cases = [
        (
            plain("192.0.2.0/31"),
            "network 192.0.2.0/31 too small to allocate from; at most /30 for IPv4 and /126 for IPv6",
        ),
        (
            plain("2001:db8::/127"),
            "network 2001:db8::/127 too small to allocate from; at most /30 for IPv4 and /126 for IPv6",
        ),
        (
            plain("192.0.2.12/24"),
            "network 192.0.2.12/24 has host bits set: for a subnet mask of length 24 the network address is 192.0.2.0",
        ),
        (
            options("192.0.2.0/24", "192.0.3.0", "", ""),
            "rangeStart 192.0.3.0 not in network 192.0.2.0/24",
        ),
        (
            options("192.0.2.0/24", "", "192.0.4.0", ""),
            "rangeEnd 192.0.4.0 not in network 192.0.2.0/24",
        ),
        (
            options("192.0.2.0/24", "", "2001:db8::1", ""),
            "rangeEnd 2001:db8::1 not in network 192.0.2.0/24",
        ),
        (
            options("192.0.2.0/24", "192.0.2.50", "192.0.2.40", ""),
            "rangeStart 192.0.2.50 comes after rangeEnd 192.0.2.40",
        ),
        (
            options("192.0.2.0/24", "", "", "2001:db8::1"),
            "gateway 2001:db8::1 cannot be reached from network 192.0.2.0/24: it is of another address family",
        ),
        (
            plain("::ffff:10.0.0.0/120"),
            "network ::ffff:10.0.0.0/120 contains IPv4-mapped addresses; write it as an IPv4 network",
        ),
    ];
    for (options, message) in cases {
        assert_eq!(Range::new(&options).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_set_is_of_one_family_and_without_overlap() {
    let cases = [
        (vec![], "empty range set"),
        (vec![plain("192.0.2.0/24"), plain("2001:db8::/64")], "mixed address families"),
        (
            vec![plain("192.0.2.0/24"), plain("192.0.2.128/25")],
            "subnets 192.0.2.1-192.0.2.254 and 192.0.2.129-192.0.2.254 overlap",
        ),
    ];
    for (options, message) in cases {
        assert_eq!(RangeSet::new(&options).unwrap_err().to_string(), message);
    }
}

#[test]
fn sets_that_overlap_are_named() {
    let set = |subnet| RangeSet::new(&[plain(subnet)]).unwrap();
    let sets =
        vec![set("10.1.0.0/24"), set("10.2.0.0/24"), set("2001:db8::/64"), set("10.2.0.0/16")];
    assert_eq!(Pools::new(sets), Err((1, 3)));
}

#[test]
fn gateways_do_not_count_as_room() {
    let set = RangeSet::new(&[
        plain("10.1.0.0/24"),
        options("10.2.0.0/24", "10.2.0.10", "10.2.0.19", ""),
    ])
    .unwrap();
    let pools = Pools::new(vec![set]).unwrap();
    assert_eq!(pools.size_of(&pools.sets()[0]), 253 + 10);
}

proptest! {
    #[test]
    fn a_range_never_leaves_its_subnet_nor_holds_its_ends(network: u32, prefix in 1_u8..=30, a: u32, b: u32) {
        let whole = IpNetwork::new(std::net::Ipv4Addr::from(network).into(), prefix).unwrap();
        let subnet = IpNetwork::new(whole.network(), prefix).unwrap();
        let host = |n: u32| {
            let IpAddr::V4(base) = whole.network() else { unreachable!() };
            IpAddr::from(std::net::Ipv4Addr::from(u32::from(base) | (n & (u32::MAX >> prefix))))
        };
        let made = Range::new(&RangeOptions {
            subnet, range_start: Some(host(a)), range_end: Some(host(b)), gateway: None,
        });
        if let Ok(range) = made {
            prop_assert!(range.first <= range.last);
            for end in [range.first, range.last] {
                prop_assert!(subnet.contains(end.address()));
                prop_assert!(end.address() != subnet.network() && end.address() != subnet.broadcast());
            }
        }
    }
}
