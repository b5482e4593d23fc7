//! Who reaches whom: two containers, the node and the world outside, by echo requests and pages.

use std::net::{IpAddr, SocketAddr};

use podnet_testkit::probe;

use crate::image::PAGE;
use crate::network::Network;
use crate::node::{NODE_ADDRESS, Node, WORLD_ADDRESS, wait_for};

/// A running container, by what its runtime can execute in it.
pub(crate) struct Container<F>(pub(crate) F);

impl<F: Fn(&[&str]) -> String> Container<F> {
    fn run(&self, command: &[&str]) -> String {
        (self.0)(command)
    }

    /// Its address, as its own kernel says.
    pub(crate) fn address(&self) -> IpAddr {
        let shown = self.run(&["/bin/ip", "-4", "-o", "addr", "show", "dev", "eth0"]);
        let network = word_after(&shown, "inet");
        network.split('/').next().unwrap().parse().unwrap()
    }

    fn gateway(&self) -> String {
        let shown = self.run(&["/bin/ip", "route"]);
        word_after(&shown, "via").to_owned()
    }

    fn ping(&self, target: &str) {
        self.run(&["/bin/ping", "-c", "1", "-W", "10", target]);
    }

    /// Debian's busybox 1.35 dies of its own time limit (`-T`); the runtimes' is enough.
    fn fetch(&self, host: &str) -> String {
        self.run(&["/bin/wget", "-q", "-O", "-", &format!("http://{host}/")])
    }
}

fn word_after<'a>(text: &'a str, word: &str) -> &'a str {
    let mut words = text.split_whitespace().skip_while(|found| *found != word).skip(1);
    words.next().unwrap_or_else(|| panic!("no `{word}`: {text}"))
}

/// Each container reaches itself, the other, the node and, where the network says so, the world; the node reaches both.
pub(crate) fn check(
    node: &Node,
    network: &Network,
    containers: [&Container<impl Fn(&[&str]) -> String>; 2],
) {
    let [one, two] = containers;
    let addresses = [one.address(), two.address()];
    assert_ne!(addresses[0], addresses[1], "an address was given twice");
    for container in containers {
        container.ping("127.0.0.1");
        container.ping(&container.gateway());
        container.ping(NODE_ADDRESS);
        for address in addresses {
            container.ping(&address.to_string());
            assert_eq!(container.fetch(&address.to_string()), PAGE);
        }
        if network.masquerades() {
            container.ping(WORLD_ADDRESS);
        }
    }
    for address in addresses {
        node.host.netns().run(|| probe::ping(address)).unwrap().unwrap();
        assert_eq!(fetch_from_node(node, address, 80), PAGE);
    }
}

/// A host port leads to the container from outside, from the node by its address and by 127.0.0.1, and from another
/// container.
pub(crate) fn check_host_port(
    node: &Node,
    port: u16,
    other: &Container<impl Fn(&[&str]) -> String>,
) {
    let node_address: IpAddr = NODE_ADDRESS.parse().unwrap();
    let outside = node.world.fetch(SocketAddr::new(node_address, port)).unwrap();
    assert_eq!(outside, PAGE);
    assert_eq!(fetch_from_node(node, node_address, port), PAGE);
    assert_eq!(fetch_from_node(node, "127.0.0.1".parse().unwrap(), port), PAGE);
    assert_eq!(other.fetch(&format!("{NODE_ADDRESS}:{port}")), PAGE);
}

/// Nothing answers at a host port any more.
pub(crate) fn check_host_port_closed(node: &Node, port: u16) {
    let address = SocketAddr::new(NODE_ADDRESS.parse().unwrap(), port);
    wait_for("the host port is closed", || node.world.fetch(address).err());
}

fn fetch_from_node(node: &Node, address: IpAddr, port: u16) -> String {
    let address = SocketAddr::new(address, port);
    node.host.netns().run(|| probe::fetch(address)).unwrap().unwrap()
}
