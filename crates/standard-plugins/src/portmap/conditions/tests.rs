//! Tests of reading conditions.

use super::*;

fn read_words(family: Family, words: &[&str]) -> Result<String, String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let read = read(family, &words).map_err(|error| error.to_string())?;
    let texts: Vec<String> = read.iter().map(Condition::to_string).collect();
    Ok(texts.join("; "))
}

#[test]
fn the_words_of_iptables_are_read() {
    for (words, meaning) in [
        (&["!", "-s", "192.0.2.0/24"][..], "not from 192.0.2.0/24"),
        (&["-d", "192.0.2.9/24"], "to 192.0.2.0/24"),
        (&["-d", "192.0.2.9/255.255.0.0"], "to 192.0.0.0/16"),
        (&["--source=192.0.2.1,198.51.100.0/24"], "from 192.0.2.1/32 or from 198.51.100.0/24"),
        (&["-i", "eth0", "!", "-o", "br+"], "in by eth0; not out by br*"),
        (&["--sport", "1024:"], "from port 1024-65535"),
        (&["!", "--dport", "80"], "not to port 80"),
        (&["-m", "mark", "--mark", "0x1/0xff"], "mark 0x1/0xff"),
        (&["-m", "mark", "!", "--mark", "7"], "not mark 0x7/0xffffffff"),
        (&["-m", "addrtype", "!", "--src-type", "LOCAL"], "not from local addresses"),
        (&["", "-s", "10.0.0.1"], "from 10.0.0.1/32"),
        (&[""], ""),
        (&[], ""),
    ] {
        assert_eq!(read_words(Family::V4, words).as_deref(), Ok(meaning), "{words:?}");
    }
    let six = ["!", "-s", "2001:db8::/64"];
    assert_eq!(read_words(Family::V6, &six).as_deref(), Ok("not from 2001:db8::/64"));
}

#[test]
fn the_words_of_nftables_are_read() {
    for (words, meaning) in [
        (&["ip saddr != 192.0.2.0/24"][..], "not from 192.0.2.0/24"),
        (&["ip", "daddr", "192.0.2.1"], "to 192.0.2.1/32"),
        (&["ip daddr {192.0.2.1,", "192.0.2.2}"], "to 192.0.2.1/32 or to 192.0.2.2/32"),
        (&["ip daddr == { 192.0.2.1 , }"], "to 192.0.2.1/32"),
        (&["iifname \"eth*\" oifname != lo"], "in by eth*; not out by lo"),
        (&["meta iif eth0"], "in by eth0"),
        (&["tcp sport 1024-65535"], "protocol 6; from port 1024-65535"),
        (&["th dport != {80, 443}"], "not to port 80 or to port 443"),
        (&["meta mark 0x10"], "mark 0x10/0xffffffff"),
        (&["mark and 0xff != 0x1"], "not mark 0x1/0xff"),
        (&["mark & 0xff==1"], "mark 0x1/0xff"),
        (&["meta l4proto udp"], "protocol 17"),
        (&["ip protocol != 132"], "not protocol 132"),
        (&["fib saddr type != local"], "not from local addresses"),
    ] {
        assert_eq!(read_words(Family::V4, words).as_deref(), Ok(meaning), "{words:?}");
    }
    let six = ["ip6", "saddr", "2001:db8::/64"];
    assert_eq!(read_words(Family::V6, &six).as_deref(), Ok("from 2001:db8::/64"));
}

#[test]
fn what_cannot_be_said_is_refused_with_the_option_and_the_words() {
    for (words, reason) in [
        (&["-s", "2001:db8::1"][..], "\"2001:db8::1\" is no IPv4 address or network"),
        (&["-s", "example.org"], "\"example.org\" is no IPv4"),
        (&["-s"], "nothing follows \"-s\""),
        (&["-s", "!", "10.0.0.1"], "\"!\" is no IPv4"),
        (&["!"], "nothing follows \"!\""),
        (&["-p", "tcp"], "\"-p\" cannot be expressed: each port has its own protocol"),
        (&["-m", "conntrack", "--ctstate", "NEW"], "the match \"conntrack\" cannot be expressed"),
        (&["--mark", "1"], "\"--mark\" needs \"-m\", \"mark\" before it"),
        (&["-m", "mark", "--mark", "one"], "\"one\" is no number"),
        (&["-i", "+"], "\"+\" is no name"),
        (&["--sport", "2:1"], "\"2:1\" is no port"),
        (&["-m", "addrtype", "--src-type", "PROHIBIT"], "addresses of type \"PROHIBIT\""),
        (&["-j", "ACCEPT"], "\"-j\" cannot be expressed"),
        (&["ct state new"], "\"ct\" cannot be expressed"),
        (&["ip6 saddr ::1"], "\"ip6\" cannot be expressed"),
        (&["ip ttl 64"], "\"ip ttl\" cannot be expressed"),
        (&["ip saddr { 10.0.0.1"], "nothing follows"),
        (&["ip saddr { 10.0.0.1 10.0.0.2 }"], "\"10.0.0.2\" cannot be expressed"),
        (&["ip saddr @mine"], "\"@mine\" is no IPv4"),
        (&["fib daddr oif"], "\"fib daddr oif\" cannot be expressed"),
        (&["accept"], "\"accept\" cannot be expressed"),
    ] {
        let refused = read_words(Family::V4, words).unwrap_err();
        let expected = format!("option conditionsV4 cannot be used: {reason}");
        assert!(refused.starts_with(&expected), "{words:?}: {refused}");
        assert!(refused.ends_with(&format!("(in {words:?})")), "{refused}");
    }
}

#[test]
fn more_alternatives_than_a_chain_should_have_are_refused() {
    let list = ["192.0.2.1"; 9].join(",");
    assert!(read_words(Family::V4, &["-s", &list]).is_ok());
    let refused = read_words(Family::V4, &["-s", &list, "-d", &list]).unwrap_err();
    assert!(refused.contains("more than 64 rules"), "{refused}");
}
