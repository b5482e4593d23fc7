//! What a container left behind once its runtime has deleted it: links, address files, cached results, rules.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use podnet_netutil::Netlink;
use podnet_testkit::UPLINK;

use crate::network::Network;
use crate::node::Node;

/// Panics over what is left of the containers that had these addresses.
pub(crate) fn check_nothing_left(node: &Node, network: &Network, addresses: &[IpAddr]) {
    assert_eq!(links(node, network), Vec::<String>::new(), "links are left");
    assert_eq!(address_files(node), Vec::<PathBuf>::new(), "addresses are left");
    let results = files(&node.cni_state().join("results"));
    assert_eq!(results, Vec::<PathBuf>::new(), "cached results are left");
    let rules = node.run("nft", &["list", "ruleset"]);
    for address in addresses {
        assert!(!mentions(&rules, &address.to_string()), "{address} is left in {rules}");
    }
}

/// How many containers have an address and a cached result.
pub(crate) fn attached(node: &Node) -> (usize, usize) {
    (address_files(node).len(), files(&node.cni_state().join("results")).len())
}

fn links(node: &Node, network: &Network) -> Vec<String> {
    let links = node.host.run(async || Netlink::open().unwrap().links().await.unwrap()).unwrap();
    let names = links.into_iter().filter(|link| !link.loopback).map(|link| link.name);
    names.filter(|name| name != UPLINK && name != network.bridge()).collect()
}

fn address_files(node: &Node) -> Vec<PathBuf> {
    let mut found = files(&node.cni_state().join("networks"));
    let is_address = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.parse::<IpAddr>().is_ok()
    };
    found.retain(is_address);
    found
}

/// All files below a folder, none where it is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(below).collect()
}

/// Whether the address is there, not merely the beginning of another.
fn mentions(rules: &str, address: &str) -> bool {
    let part = |character: char| !(character.is_ascii_digit() || character == '.');
    rules.split(part).any(|word| word == address)
}
