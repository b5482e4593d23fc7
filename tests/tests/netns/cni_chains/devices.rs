//! The plugins that need no bridge: ptp, host-device, macvlan.

use std::process::Command;

use podnet_testkit::{TestHost, UPLINK};
use podnet_tests::programs::skip;
use serde_json::{Value, json};

use super::bed::{ADDRESS, ALL_VERSIONS, Bed, Chain};

fn in_every_version_and_with_both_ipams(plugin: &Value, test: &str, uplink: bool) {
    for which in 0..2 {
        let programs = [plugin["type"].as_str().unwrap(), "host-local", "static"];
        let Some(bed) = Bed::new(&programs, test) else { return };
        let address = "192.0.2.10/24".parse().unwrap();
        let _world = uplink.then(|| bed.host.add_uplink(1500, address).unwrap());
        let mut plugin = plugin.clone();
        plugin["ipam"] = bed.ipams()[which].clone();
        // host-device 1.1.1 fails on a DEL that does not find its device in the pod.
        let deletes = if plugin["type"] == "host-device" { 1 } else { 2 };
        let chain = Chain { deletes, ..Chain::new(json!([plugin])) };
        bed.live_through(&chain, &ALL_VERSIONS, |_, result| {
            assert!(which == 0 || result.ips[0].address.to_string() == ADDRESS);
        });
    }
}

#[test]
fn cni_ptp_in_every_version_and_with_both_ipams() {
    let test = "cni_ptp_in_every_version_and_with_both_ipams";
    in_every_version_and_with_both_ipams(&json!({ "type": "ptp", "ipMasq": true }), test, false);
}

#[test]
fn cni_host_device_in_every_version_and_with_both_ipams() {
    let test = "cni_host_device_in_every_version_and_with_both_ipams";
    let plugin = json!({ "type": "host-device", "device": UPLINK });
    in_every_version_and_with_both_ipams(&plugin, test, true);
}

/// Some kernels have no macvlan.
fn macvlan_can_be_made() -> bool {
    let host = TestHost::new().unwrap();
    let _world = host.add_uplink(1500, "192.0.2.10/24".parse().unwrap()).unwrap();
    let made = || {
        let arguments = ["link", "add", "probe", "link", UPLINK, "type", "macvlan"];
        Command::new("/usr/bin/ip").args(arguments).status()
    };
    host.netns().run(made).unwrap().is_ok_and(|status| status.success())
}

#[test]
fn cni_macvlan_in_every_version_and_with_both_ipams() {
    let test = "cni_macvlan_in_every_version_and_with_both_ipams";
    if !macvlan_can_be_made() {
        return skip(test, "this kernel has no macvlan");
    }
    let plugin = json!({ "type": "macvlan", "master": UPLINK, "mode": "bridge" });
    in_every_version_and_with_both_ipams(&plugin, test, true);
}
