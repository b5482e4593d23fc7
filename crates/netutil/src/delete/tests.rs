//! How deletions of several processes come together.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::*;
use crate::netns::in_own_netns;
use crate::{MacAddr, Netns, VethPair};

/// Where the process that this test starts is to announce a deletion.
const ANNOUNCE: &str = "PODNET_TEST_ANNOUNCE";
const READY: &str = "announced";

#[test]
fn anothers_announcement_counts_as_long_as_it_is_held_and_ones_own_does_not() {
    if let Some(turn) = std::env::var_os(ANNOUNCE) {
        return hold_an_announcement(Path::new(&turn));
    }
    let folder = tempfile::tempdir().unwrap();
    let turn = folder.path().join("link-delete.lock");
    let own = announce(&turn).unwrap();
    assert!(!others_are_coming(&turn));
    drop(own);
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("delete::tests::anothers_announcement_counts_as_long_as_it_is_held_and_ones_own_does_not")
        .env(ANNOUNCE, &turn)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with(READY)));
    assert!(others_are_coming(&turn));
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    assert!(!others_are_coming(&turn));
}

/// Until the standard input ends.
#[allow(clippy::print_stdout, reason = "the process that started this one reads it")]
fn hold_an_announcement(turn: &Path) {
    let _held = announce(turn).unwrap();
    println!("{READY}");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

#[test]
fn the_line_begins_anew_with_each_turn() {
    let folder = tempfile::tempdir().unwrap();
    let turn = folder.path().join("link-delete.lock");
    let length = || fs::metadata(&turn).unwrap().len();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let held = FileLock::try_acquire(&turn).unwrap();
    for expected in 1..=3 {
        stand_in_line(&turn);
        assert_eq!(length(), expected);
    }
    runtime.block_on(wait_for_others(&turn));
    assert_eq!(length(), 0);
    drop(held);
}

#[test]
fn a_port_leaves_its_bridge_when_it_is_marked_and_whoever_deletes_next_takes_it_along() {
    in_own_netns(async || {
        let netlink = Netlink::open().unwrap();
        netlink.create_bridge("br0", MacAddr::local([0; 6])).await.unwrap();
        let bridge = netlink.require_link("br0").await.unwrap();
        let mut ends = Vec::new();
        for (number, host_name, peer_name) in [(1, "a0", "a1"), (2, "b0", "b1")] {
            let pair = VethPair {
                host_name,
                host_mac: MacAddr::local([0, 0, 0, 0, number, 0]),
                bridge: Some(bridge.index),
                peer_name,
                peer_mac: MacAddr::local([0, 0, 0, 0, number, 1]),
                peer_netns: &Netns::current().unwrap(),
                mtu: None,
            };
            ends.push(netlink.create_veth(&pair).await.unwrap().host);
        }
        let deleter = LinkDeleter::new(netlink.clone(), None);
        // As of a process that was killed before its turn.
        deleter.condemn(&ends[0]).await.unwrap();
        let marked = netlink.require_link("a0").await.unwrap();
        assert!(marked.condemned && marked.master.is_none());
        deleter.delete(&ends[1]).await.unwrap();
        for name in ["a0", "a1", "b0", "b1"] {
            assert!(netlink.link_by_name(name).await.unwrap().is_none(), "{name}");
        }
        deleter.delete(&ends[0]).await.unwrap();
    });
}
