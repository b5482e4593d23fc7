//! Small clusters exhaustively, and random sequences of allocation, release and occupation against a model.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::range::bounds;
use super::*;

fn range(cluster: &str, mask_size: u8) -> NodeCidrRange {
    NodeCidrRange::new(cluster.parse().unwrap(), mask_size).unwrap()
}

fn net(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

/// Every way to cut a /24 and a /120: what is given out is the cluster, each address once.
#[test]
fn all_subnets_together_are_the_cluster_and_none_overlaps_another() {
    for (cluster, masks) in [("10.1.2.0/24", 24..=30), ("fd00::100/120", 120..=126)] {
        for mask_size in masks {
            let mut range = range(cluster, mask_size);
            let subnets: Vec<_> =
                (0..range.capacity()).map(|_| range.allocate().unwrap()).collect();
            let (mut expected, end) = bounds(&net(cluster));
            for subnet in subnets {
                let (first, last) = bounds(&subnet.network());
                assert_eq!((subnet.network().prefix(), first), (mask_size, expected));
                expected = last + 1;
            }
            assert_eq!(expected, end + 1, "{cluster} in /{mask_size}");
            assert!(matches!(range.allocate(), Err(NodeCidrError::Exhausted { .. })));
        }
    }
}

/// Every network from the whole cluster to a single address takes the subnets that it touches and no other.
#[test]
fn an_occupied_network_takes_exactly_what_it_touches() {
    for prefix in 24..=32 {
        for host in 0..=255_u8 {
            let occupied = IpNetwork::new(Ipv4Addr::new(10, 1, 2, host).into(), prefix).unwrap();
            let mut range = range("10.1.2.0/24", 28);
            range.occupy(occupied).unwrap();
            let free: Vec<_> = (0..range.free()).map(|_| range.allocate().unwrap()).collect();
            let touched = |base: u8| {
                let subnet = IpNetwork::new(Ipv4Addr::new(10, 1, 2, base).into(), 28).unwrap();
                let ((a, b), (c, d)) = (bounds(&subnet), bounds(&occupied));
                a <= d && c <= b
            };
            let expected = (0..=240_u8).step_by(16).filter(|base| !touched(*base)).count();
            assert_eq!(free.len(), expected, "{occupied}");
            assert!(free.iter().all(|subnet| !subnet.network().contains(occupied.ip())));
        }
    }
}

#[test]
fn a_released_subnet_is_given_again_after_all_others() {
    let mut range = range("10.1.0.0/22", 24);
    let first = range.allocate().unwrap();
    range.release(first.network()).unwrap();
    range.release(first.network()).unwrap();
    let given: Vec<_> = (0..4).map(|_| range.allocate().unwrap().to_string()).collect();
    assert_eq!(given, ["10.1.1.0/24", "10.1.2.0/24", "10.1.3.0/24", "10.1.0.0/24"]);
}

#[test]
fn a_larger_network_than_the_cluster_takes_all_of_it() {
    let mut range = range("10.1.0.0/22", 24);
    range.occupy(net("10.0.0.0/8")).unwrap();
    assert_eq!(range.free(), 0);
    range.release(net("10.1.2.0/23")).unwrap();
    assert_eq!(range.allocate().unwrap().to_string(), "10.1.2.0/24");
}

#[test]
fn sizes_that_do_not_fit_are_refused_with_one_that_does() {
    let cases = [
        ("10.1.0.0/16", 15, "too small for the cluster CIDR 10.1.0.0/16: use one of at least 16"),
        ("10.1.0.0/16", 31, "use a prefix length of at most 30"),
        ("10.1.0.0/16", 200, "use one of at most 38"),
        ("fd00::/48", 65, "too large for the cluster CIDR fd00::/48: use one of at most 64"),
        ("fd00::/112", 127, "use a prefix length of at most 126"),
        ("fd00::/112", 255, "use one of at most 128"),
    ];
    for (cluster, mask_size, expected) in cases {
        let error = NodeCidrRange::new(cluster.parse().unwrap(), mask_size).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(range("fd00::/48", 64).capacity(), 1 << 16);
    assert_eq!(range("10.0.0.0/8", 30).capacity(), 1 << 22);
}

#[test]
fn what_is_elsewhere_or_only_a_part_is_refused() {
    let mut range = range("10.1.0.0/16", 24);
    for elsewhere in ["10.2.0.0/24", "fd00::/64"] {
        let expected =
            NodeCidrError::OutOfRange { network: net(elsewhere), cluster: range.cluster() };
        assert_eq!(range.occupy(net(elsewhere)), Err(expected));
    }
    assert!(matches!(range.release(net("10.2.0.0/24")), Err(NodeCidrError::OutOfRange { .. })));
    assert!(matches!(range.release(net("10.1.0.0/25")), Err(NodeCidrError::NotWhole { .. })));
    assert_eq!(range.free(), range.capacity());
}

#[test]
fn addresses_with_another_meaning_are_passed_over() {
    let mut range = range("169.252.0.0/14", 16);
    let given: Vec<_> = std::iter::from_fn(|| range.allocate().ok()).collect();
    let given: Vec<_> = given.iter().map(ToString::to_string).collect();
    assert_eq!(given, ["169.252.0.0/16", "169.253.0.0/16", "169.255.0.0/16"]);
}

#[test]
fn a_node_gets_one_subnet_of_each_family_or_none() {
    let cluster: PodCidrs = "10.1.0.0/22,fd00::/63".parse().unwrap();
    let mut allocator = NodeCidrAllocator::new(&cluster, NodeMaskSizes::default()).unwrap();
    allocator.reserve([net("10.1.1.0/30"), net("192.0.2.0/24")]);
    assert_eq!(allocator.allocate().unwrap().to_string(), "10.1.0.0/24,fd00::/64");
    let second = allocator.allocate().unwrap();
    assert_eq!(second.to_string(), "10.1.2.0/24,fd00:0:0:1::/64");
    let error = allocator.allocate().unwrap_err().to_string();
    assert!(error.starts_with("cluster CIDR fd00::/63 has no free subnet of /64"), "{error}");
    allocator.release(&second).unwrap();
    assert_eq!(allocator.allocate().unwrap().to_string(), "10.1.2.0/24,fd00:0:0:1::/64");
}

#[test]
fn occupying_and_releasing_is_all_or_nothing() {
    let mut allocator =
        NodeCidrAllocator::new(&"10.1.0.0/23".parse().unwrap(), NodeMaskSizes::default()).unwrap();
    assert!(allocator.occupy(&"10.1.0.0/24,fd00::/64".parse().unwrap()).is_err());
    assert!(allocator.release(&"10.1.0.0/24,fd00::/64".parse().unwrap()).is_err());
    allocator.occupy(&"10.1.0.0/24".parse().unwrap()).unwrap();
    assert_eq!(allocator.allocate().unwrap().to_string(), "10.1.1.0/24");
}

#[derive(Debug, Clone)]
enum Step {
    Allocate,
    Release(usize),
    Occupy(u128, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Allocate),
        3 => any::<usize>().prop_map(Step::Release),
        1 => (0..256_u128, 0..=8_u8).prop_map(|(host, bits)| Step::Occupy(host, bits)),
    ];
    prop::collection::vec(step, 0..200)
}

/// An address of the cluster by its last eight bits, in a network that leaves so many of them free.
fn within(cluster: &IpNetwork, host: u128, free_bits: u8) -> IpNetwork {
    let base = bounds(cluster).0 + host;
    match cluster {
        IpNetwork::V4(_) => {
            let address = Ipv4Addr::from(u32::try_from(base).unwrap());
            IpNetwork::new(address.into(), 32 - free_bits).unwrap()
        }
        IpNetwork::V6(_) => IpNetwork::new(Ipv6Addr::from(base).into(), 128 - free_bits).unwrap(),
    }
}

proptest! {
    #[test]
    fn what_is_given_overlaps_nothing_that_is_in_use(
        v4 in any::<bool>(),
        subnet_bits in 0..=6_u8,
        steps in steps(),
    ) {
        let (cluster, prefix) = if v4 { ("10.1.2.0/24", 24) } else { ("fd00::/120", 120) };
        let mut range = range(cluster, prefix + subnet_bits);
        let mut given: Vec<PodCidr> = Vec::new();
        // By their first addresses; every subnet has the same size.
        let mut used = BTreeSet::new();
        let size = 1_u128 << (8 - subnet_bits);
        for step in steps {
            match step {
                Step::Allocate if used.len() == range.capacity() => {
                    prop_assert!(range.allocate().is_err());
                }
                Step::Allocate => {
                    let subnet = range.allocate().unwrap();
                    prop_assert!(used.insert(bounds(&subnet.network()).0), "{subnet} is in use");
                    given.push(subnet);
                }
                Step::Release(which) if !given.is_empty() => {
                    let subnet = given.swap_remove(which % given.len());
                    range.release(subnet.network()).unwrap();
                    used.remove(&bounds(&subnet.network()).0);
                }
                Step::Release(_) => {}
                Step::Occupy(host, free_bits) => {
                    let network = within(&net(cluster), host, free_bits);
                    range.occupy(network).unwrap();
                    let (first, last) = bounds(&network);
                    used.extend((first / size..=last / size).map(|index| index * size));
                }
            }
            prop_assert_eq!(range.free(), range.capacity() - used.len());
        }
    }
}
