//! containerd driven as the kubelet drives it, by the Container Runtime Interface.

mod client;
mod messages;
mod pod;

use crate::containerd::{Containerd, PROGRAMS};
use crate::network::{self, Network};
use crate::node::{Node, wait_for};
use crate::reach::{self, Container};
use crate::remains::{attached, check_nothing_left};
use client::Client;
use messages::{StatusRequest, StatusResponse};
use pod::{PodSpec, SandboxedPod};

/// The namespace of containerd's that its CRI plugin uses.
const NAMESPACE: &str = "k8s.io";
const HOST_PORT: u16 = 8081;

#[test]
fn pods_of_the_cri_reach_each_other_and_leave_nothing() {
    for network in network::usable() {
        let test = "cri::pods_of_the_cri_reach_each_other_and_leave_nothing";
        let Some(node) = Node::new(test, &network, &PROGRAMS) else { return };
        let containerd = Containerd::start(&node);
        containerd.import(NAMESPACE);
        let client = Client::connect(&containerd.socket());
        wait_until_ready(&client, &containerd);
        run_two(&node, &network, &client);
    }
}

#[test]
fn a_pod_that_is_removed_while_its_namespace_is_gone_leaves_nothing() {
    for network in network::usable() {
        let test = "cri::a_pod_that_is_removed_while_its_namespace_is_gone_leaves_nothing";
        let Some(node) = Node::new(test, &network, &PROGRAMS) else { return };
        let containerd = Containerd::start(&node);
        containerd.import(NAMESPACE);
        let client = Client::connect(&containerd.socket());
        wait_until_ready(&client, &containerd);
        let pod = SandboxedPod::run(&client, &spec(&node, &network, "one"));
        let address = pod.address();
        // The sandbox's process keeps the namespace as well as the mount does.
        containerd.ctr(NAMESPACE, &["task", "kill", "--signal", "KILL", pod.id()]);
        for name in node.run("ls", &["/run/netns"]).split_whitespace() {
            node.run("umount", &[&format!("/run/netns/{name}")]);
            node.run("rm", &[&format!("/run/netns/{name}")]);
        }
        pod.stop();
        pod.remove();
        check_nothing_left(&node, &network, &[address]);
    }
}

/// The network is ready when containerd has loaded the configuration and found its programs.
fn wait_until_ready(client: &Client, containerd: &Containerd<'_>) {
    let mut unmet = Vec::new();
    wait_for("the runtime and its network are ready", || {
        let response: StatusResponse = client.call("Status", &StatusRequest {}).unwrap();
        unmet = response.status.unwrap_or_default().conditions;
        unmet.retain(|condition| !condition.status);
        unmet.is_empty().then_some(())
    });
    assert!(unmet.is_empty(), "{unmet:?}: {}", containerd.log());
}

fn spec<'a>(node: &'a Node, network: &Network, name: &'a str) -> PodSpec<'a> {
    let shaped = network.has("bandwidth");
    PodSpec {
        name,
        cgroup: node.name(),
        host_port: (network.has("portMappings") && name == "one").then_some(HOST_PORT),
        egress: shaped.then_some("100M"),
    }
}

fn run_two(node: &Node, network: &Network, client: &Client) {
    let pods = ["one", "two"].map(|name| SandboxedPod::run(client, &spec(node, network, name)));
    for pod in &pods {
        pod.add_container();
    }
    let [one, two] = pods.each_ref().map(|pod| Container(|command: &[&str]| pod.execute(command)));
    reach::check(node, network, [&one, &two]);
    let addresses = pods.each_ref().map(SandboxedPod::address);
    assert_eq!(addresses, [one.address(), two.address()], "the pod's status and its eth0");
    assert_eq!(attached(node), (2, 4), "a pod's loopback is an attachment too");
    if network.has("portMappings") {
        reach::check_host_port(node, HOST_PORT, &two);
    }
    if network.has("bandwidth") {
        assert!(shapers(node) > 0, "no limit is in force");
    }
    for pod in &pods {
        pod.stop();
        pod.stop();
    }
    check_nothing_left(node, network, &addresses);
    assert_eq!(shapers(node), 0);
    for pod in &pods {
        pod.remove();
    }
    if network.has("portMappings") {
        reach::check_host_port_closed(node, HOST_PORT);
    }
}

/// How many token buckets the node's links have.
fn shapers(node: &Node) -> usize {
    node.run("tc", &["qdisc", "show"]).matches("qdisc tbf").count()
}
