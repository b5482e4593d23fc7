//! Reading and checking pod CIDRs.

use proptest::prelude::*;

use super::*;

fn refusal(text: &str) -> InvalidPodCidr {
    text.parse::<PodCidrs>().unwrap_err()
}

#[test]
fn what_is_no_cidr_is_quoted() {
    for text in ["", "10.9.0.0", "10.9.0.0/", "10.9.0.0/33", "10.9.0.0/+24", "a/24", "10.9.0/24"] {
        assert_eq!(refusal(text), InvalidPodCidr::NoCidr(text.to_owned()));
    }
    assert!(matches!(refusal("10.9.0.0/255.255.255.0"), InvalidPodCidr::NoCidr(_)));
    assert_eq!(refusal("10.9.0.0/24,"), InvalidPodCidr::NoCidr(String::new()));
}

#[test]
fn a_subnet_needs_room_for_a_gateway_and_a_pod() {
    let cases = [
        ("10.9.0.0/30", true),
        ("10.9.0.0/31", false),
        ("10.9.0.1/32", false),
        ("fd00::/126", true),
        ("fd00::/127", false),
        ("fd00::/128", false),
    ];
    for (text, fits) in cases {
        assert_eq!(text.parse::<PodCidr>().is_ok(), fits, "{text}");
    }
    assert!(refusal("10.9.0.0/31").to_string().contains("at most 30"));
}

#[test]
fn addresses_with_another_meaning_are_refused() {
    for text in [
        "0.0.0.0/0",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/24",
        "::/0",
        "fe80::/64",
        "ff00::/8",
    ] {
        assert!(matches!(refusal(text), InvalidPodCidr::NotAssignable(_)), "{text}");
    }
}

#[test]
fn a_list_keeps_its_order_and_has_one_of_a_family() {
    let cidrs: PodCidrs = "fd00:9::/64, 10.9.0.0/24".parse().unwrap();
    assert_eq!(cidrs.to_string(), "fd00:9::/64,10.9.0.0/24");
    assert!(cidrs.first().is_ipv6());
    assert!(matches!(refusal("10.9.0.0/24,10.8.0.0/24"), InvalidPodCidr::SameFamily { .. }));
    assert!(matches!(refusal("10.9.0.0/24,fd00::/64,10.8.0.0/24"), InvalidPodCidr::TooMany(_)));
}

#[test]
fn host_bits_are_masked_and_told() {
    let cidr: PodCidr = "10.9.0.200/25".parse().unwrap();
    assert_eq!(cidr, "10.9.0.128/25".parse().unwrap());
    assert!(cidr.had_host_bits());
    assert_eq!(cidr.given().to_string(), "10.9.0.200/25");
    assert!(!"10.9.0.128/25".parse::<PodCidr>().unwrap().had_host_bits());
}

proptest! {
    #[test]
    fn the_gateway_is_the_first_address_of_the_network(ip: u32, prefix in 1_u8..=30) {
        let given = IpNetwork::new(Ipv4Addr::from(ip).into(), prefix).unwrap();
        if let Ok(cidr) = PodCidr::new(given) {
            prop_assert_eq!(cidr.network().iter().nth(1), Some(cidr.gateway()));
            prop_assert!(cidr.network().contains(IpAddr::from(Ipv4Addr::from(ip))));
        }
    }

    #[test]
    fn what_is_shown_reads_back(ip: u128, prefix in 0_u8..=126) {
        let given = IpNetwork::new(Ipv6Addr::from(ip).into(), prefix).unwrap();
        if let Ok(cidr) = PodCidr::new(given) {
            prop_assert_eq!(cidr.to_string().parse(), Ok(cidr));
        }
    }
}
