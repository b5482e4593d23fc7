//! Options of `bridge` that few configurations have.

use podnet_netutil::{Netlink, sysctl, sysctl::Family};
use podnet_testkit::{Pod, TestHost};
use serde_json::{Value, json};

use super::twins::{call_after, comparable, go, ours};

fn config(host: &TestHost, options: &Value) -> Value {
    let mut config =
        json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "br0" });
    if options["disableContainerInterface"] != true {
        config["ipam"] = json!({
            "type": "host-local", "dataDir": host.networks_dir(),
            "ranges": [[{ "subnet": "fd00:1::/64" }]],
        });
    }
    config.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    config
}

fn is_enabled(host: &TestHost, pod: &Pod) -> bool {
    host.run(async || pod.link("eth0").await.unwrap().unwrap().up).unwrap()
}

#[test]
fn a_disabled_container_interface_stays_disabled_as_with_go() {
    let test = "a_disabled_container_interface_stays_disabled_as_with_go";
    let options = json!({ "disableContainerInterface": true });
    let (one, other) = (TestHost::new().unwrap(), TestHost::new().unwrap());
    let (theirs, own) = (one.add_pod("web").unwrap(), other.add_pod("web").unwrap());
    let bridge = ours(&other, "bridge", config(&other, &options));
    let result = bridge.call("ADD", "w1", own.path()).ok();
    assert!(!is_enabled(&other, &own));
    call_after(&bridge, "CHECK", "w1", own.path(), &result).ok();
    // Go programs before 1.2 do not have the option: the same result, and the interface enabled.
    let Some(go) = go(&one, "bridge", config(&one, &options), test) else { return };
    let expected = comparable(go.call("ADD", "w1", theirs.path()).ok(), &theirs);
    assert_eq!(comparable(result, &own), expected);
    bridge.call("DEL", "w1", own.path()).ok();

    let mut with_ipam = config(&other, &json!({}));
    with_ipam["disableContainerInterface"] = json!(true);
    let (code, message) = ours(&other, "bridge", with_ipam).call("ADD", "w1", own.path()).error();
    assert!(code == 7 && message.contains("disableContainerInterface"), "{code} {message}");
}

#[test]
fn addresses_are_claimed_where_the_configuration_says_so() {
    let host = TestHost::new().unwrap();
    let pods = ["web", "db"].map(|name| host.add_pod(name).unwrap());
    let options = json!({ "enabledad": true, "isGateway": true });
    let mut bridge = ours(&host, "bridge", config(&host, &options));
    let result = bridge.call("ADD", "w1", pods[0].path()).ok();
    let read = || sysctl::read_interface(Family::V6, "eth0", "accept_dad").unwrap();
    assert_eq!(pods[0].netns().run(read).unwrap(), "1");
    pods[0].ping("fd00:1::1".parse().unwrap()).unwrap();
    call_after(&bridge, "CHECK", "w1", pods[0].path(), &result).ok();

    // The second pod is to have the first one's address.
    bridge.config["ipam"] =
        json!({ "type": "static", "addresses": [{ "address": "fd00:1::2/64" }] });
    let (_, message) = bridge.call("ADD", "d1", pods[1].path()).error();
    assert!(message.contains("fd00:1::2/64") && message.contains("somebody else"), "{message}");
    assert!(host.run(async || pods[1].link("eth0").await.unwrap().is_none()).unwrap());
}

/// Kernels without the feature refuse it, and then the option is named and nothing is left.
#[test]
fn a_vlan_is_had_or_refused_by_name() {
    for (option, value) in
        [("vlan", json!(100)), ("vlanTrunk", json!([{ "minID": 5, "maxID": 7 }]))]
    {
        let host = TestHost::new().unwrap();
        let pod = host.add_pod("web").unwrap();
        let bridge = ours(&host, "bridge", config(&host, &json!({ option: value })));
        let outcome = bridge.call("ADD", "w1", pod.path());
        let links = host.run(async || Netlink::open().unwrap().links().await.unwrap()).unwrap();
        if outcome.status == 0 {
            let port = links.iter().find(|link| link.name.starts_with("veth")).unwrap();
            let vlans = host.run(async || Netlink::open().unwrap().port_vlans(port).await.unwrap());
            assert_eq!(vlans.unwrap().contains(&100), option == "vlan");
            continue;
        }
        let (code, message) = outcome.error();
        assert_eq!(code, 2, "{message}");
        assert!(message.contains(&format!("option {option} ")), "{message}");
        assert!(message.contains("Operation not supported"), "{message}");
        assert!(links.iter().all(|link| link.name == "lo"), "{links:?}");
    }
}
