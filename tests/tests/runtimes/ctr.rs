//! `ctr run --cni`.

use std::process::Child;

use crate::containerd::{Containerd, PROGRAMS};
use crate::network::{self, Network};
use crate::node::{Node, wait_for};
use crate::reach::{self, Container};
use crate::remains::{attached, check_nothing_left};

const CONTAINERS: [&str; 2] = ["one", "two"];

#[test]
fn containers_of_ctr_reach_each_other_and_leave_nothing() {
    for network in network::usable() {
        let test = "ctr::containers_of_ctr_reach_each_other_and_leave_nothing";
        let Some(node) = Node::new(test, &network, &PROGRAMS) else { return };
        run_two(&node, &network);
    }
}

fn run_two(node: &Node, network: &Network) {
    let containerd = Containerd::start(node);
    // containerd names cgroups by its own namespaces, and the node's cgroups are found by its name.
    let namespace = node.name();
    containerd.import(namespace);
    let mut running = CONTAINERS.map(|id| containerd.spawn(namespace, id));
    wait_until_running(&containerd, namespace);
    let [one, two] = CONTAINERS.map(|id| {
        Container(|command: &[&str]| {
            let execute = ["task", "exec", "--exec-id", "probe", id];
            containerd.ctr(namespace, &[&execute[..], command].concat())
        })
    });
    reach::check(node, network, [&one, &two]);
    assert_eq!(attached(node).0, 2, "each container has an address");
    let addresses = [one.address(), two.address()];
    for id in CONTAINERS {
        containerd.ctr(namespace, &["task", "kill", "--signal", "KILL", id]);
    }
    for run in &mut running {
        await_end(run);
    }
    check_nothing_left(node, network, &addresses);
}

fn wait_until_running(containerd: &Containerd<'_>, namespace: &str) {
    wait_for("both containers run", || {
        let listed = containerd.ctr(namespace, &["task", "list"]);
        (listed.matches("RUNNING").count() == CONTAINERS.len()).then_some(())
    });
}

/// By then `ctr` has had the plugins detach the container; its status is that of the killed program.
fn await_end(run: &mut Child) {
    let status = wait_for("ctr ends after its container", || run.try_wait().unwrap());
    assert_eq!(status.code(), Some(128 + 9));
}
