//! The IPAM plugin `static` beside the Go program.

use std::path::Path;

use podnet_testkit::TestHost;
use serde_json::{Value, json};

use super::twins::{call_after, go, ours, without_empty_dns};

fn config(version: &str, ipam: &Value) -> Value {
    json!({ "cniVersion": version, "name": "net", "type": "bridge", "ipam": ipam })
}

fn dual_stack() -> Value {
    json!({
        "type": "static",
        "addresses": [
            { "address": "10.1.0.5/24", "gateway": "10.1.0.254" },
            { "address": "fd00:1::5/64" },
        ],
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "192.0.2.0/24", "gw": "10.1.0.1" }],
        "dns": { "nameservers": ["192.0.2.53"], "search": ["example.org"] },
    })
}

#[test]
fn static_gives_what_the_go_program_gives() {
    let test = "static_gives_what_the_go_program_gives";
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    let mut of_runtime = config("1.0.0", &dual_stack());
    of_runtime["runtimeConfig"] = json!({ "ips": ["10.2.0.7/16", "fd00:2::7/48"] });
    of_runtime["args"] = json!({ "cni": { "ips": ["10.3.0.7/16"] } });
    let mut of_args = of_runtime.clone();
    of_args["runtimeConfig"] = Value::Null;
    let mut configs = vec![of_runtime, of_args, config("1.0.0", &json!({ "type": "static" }))];
    configs.extend(["0.2.0", "0.3.1", "0.4.0", "1.0.0"].map(|of| config(of, &dual_stack())));
    for config in configs {
        let Some(theirs) = go(&host, "static", config.clone(), test) else { return };
        let own = ours(&host, "static", config.clone());
        let result = theirs.call("ADD", "w1", pod.path()).ok();
        let expected = without_empty_dns(result.clone());
        assert_eq!(own.call("ADD", "w1", pod.path()).ok(), expected, "{config}");
        if config["cniVersion"].as_str().unwrap() >= "0.4.0" {
            call_after(&theirs, "CHECK", "w1", pod.path(), &result).ok();
            call_after(&own, "CHECK", "w1", pod.path(), &result).ok();
        }
        own.call("DEL", "w1", Path::new("")).ok();
    }
}

#[test]
fn static_refuses_what_the_go_program_refuses() {
    let test = "static_refuses_what_the_go_program_refuses";
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    let address = |text: &str| json!({ "type": "static", "addresses": [{ "address": text }] });
    let two = json!({
        "type": "static",
        "addresses": [{ "address": "10.1.0.5/24" }, { "address": "10.1.0.6/24" }],
    });
    for config in [
        config("1.0.0", &Value::Null),
        config("1.0.0", &address("10.1.0.5")),
        config("1.0.0", &address("10.1.0.300/24")),
        config("0.2.0", &two),
    ] {
        let Some(theirs) = go(&host, "static", config.clone(), test) else { return };
        let _ = theirs.call("ADD", "w1", pod.path()).error();
        let _ = ours(&host, "static", config).call("ADD", "w1", pod.path()).error();
    }
}

#[test]
fn a_bridge_takes_its_addresses_from_static() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    let mut config = config("1.1.0", &dual_stack());
    config["isGateway"] = json!(true);
    let bridge = ours(&host, "bridge", config);
    bridge.call("STATUS", "w1", pod.path()).ok();
    let result = bridge.call("ADD", "w1", pod.path()).ok();
    assert_eq!(result["ips"][0]["address"], "10.1.0.5/24");
    pod.ping("10.1.0.254".parse().unwrap()).unwrap();
    pod.ping("fd00:1::1".parse().unwrap()).unwrap();
    call_after(&bridge, "CHECK", "w1", pod.path(), &result).ok();
    bridge.call("DEL", "w1", pod.path()).ok();
}
