//! Options as they stand in configurations, with every place an address can be asked for.

use podnet_cni_spec::{Attachment, CniError, ErrorCode, Verb};
use serde_json::{Value, json};

use super::*;

fn request(config: Value, args: &str) -> Request {
    Request {
        verb: Verb::Add,
        attachment: Some(Attachment {
            container_id: "c1".parse().unwrap(),
            interface: "eth0".parse().unwrap(),
            netns: None,
            args: CniArgs::parse(args).unwrap(),
        }),
        config: PluginConfig::from_value(config).unwrap(),
    }
}

fn with_ipam(ipam: &Value) -> Value {
    json!({"cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": ipam})
}

fn sets(config: &Config) -> Vec<String> {
    config.pools.sets().iter().map(ToString::to_string).collect()
}

fn requested(config: &Config) -> Vec<String> {
    config.requested.iter().map(ToString::to_string).collect()
}

#[test]
fn ranges_of_the_runtime_come_first_then_the_inline_one() {
    let mut config = with_ipam(&json!({
        "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "gateway": "10.1.0.254",
        "ranges": [[{"subnet": "10.2.0.0/24"}, {"subnet": "10.3.0.0/24", "rangeEnd": "10.3.0.20"}]],
    }));
    // The spelling is go-cni's, whose structs have no JSON tags.
    config["runtimeConfig"] = json!({"ipRanges": [[
        {"Subnet": "2001:db8::/120", "RangeStart": "", "RangeEnd": "", "Gateway": ""},
    ]]});
    let config = Config::new(&request(config, "")).unwrap();
    let expected = [
        "2001:db8::1-2001:db8::ff",
        "10.1.0.9-10.1.0.254",
        "10.2.0.1-10.2.0.254,10.3.0.1-10.3.0.20",
    ];
    assert_eq!(sets(&config), expected);
}

#[test]
fn requested_addresses_come_from_three_places() {
    let mut config = with_ipam(&json!({"subnet": "10.1.0.0/24"}));
    config["args"] = json!({"cni": {"ips": ["10.1.0.6/16", "::ffff:10.1.0.5"]}});
    config["runtimeConfig"] = json!({"ips": ["10.1.0.7"]});
    let config =
        Config::new(&request(config, "IgnoreUnknown=1;IP=10.1.0.5;K8S_POD_NAME=x")).unwrap();
    assert_eq!(requested(&config), ["10.1.0.5", "10.1.0.6", "10.1.0.7"]);
}

#[test]
fn the_rest_is_taken_as_it_is() {
    let ipam = json!({
        "subnet": "10.1.0.0/24", "resolvConf": "/etc/resolv.conf", "dataDir": "/data",
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.0.0.0/8", "gw": "10.1.0.3"}],
    });
    let request = request(with_ipam(&ipam), "");
    let config = Config::new(&request).unwrap();
    assert_eq!(config.resolv_conf.as_deref(), Some(Path::new("/etc/resolv.conf")));
    assert_eq!(config.routes.len(), 2);
    assert_eq!(config.routes[1].gw, Some("10.1.0.3".parse().unwrap()));
    assert_eq!(store_dir(&request.config).unwrap(), Path::new("/data/net"));
}

#[test]
fn a_del_needs_only_the_place_of_the_store() {
    let config = with_ipam(&json!({"subnet": "nonsense", "ranges": 5}));
    let config = PluginConfig::from_value(config).unwrap();
    assert_eq!(store_dir(&config).unwrap(), Path::new("/var/lib/cni/networks/net"));
    let config = PluginConfig::from_value(json!({"name": "net"})).unwrap();
    assert!(matches!(store_dir(&config), Err(Error::MissingIpam)));
}

#[test]
fn nonsense_is_refused_with_its_code() {
    let subnet = || json!({"subnet": "10.1.0.0/24"});
    let old = json!({"cniVersion": "0.2.0", "name": "net", "ipam": {
        "subnet": "10.1.0.0/24", "ranges": [[{"subnet": "10.2.0.0/24"}]]}});
    let cases = [
        (json!({"name": "net"}), "", 7, "has no key ipam"),
        (with_ipam(&json!({"rangeStart": "10.1.0.1"})), "", 7, "no IP ranges specified"),
        (with_ipam(&json!({"ranges": [[]]})), "", 7, "invalid range set 0: empty range set"),
        (
            with_ipam(&json!({"ranges": [[{}]]})),
            "",
            7,
            "invalid range set 0: a range has no subnet",
        ),
        (
            with_ipam(&json!({"subnet": "10.1.0.5/24"})),
            "",
            7,
            "invalid range set 0: network 10.1.0.5/24 has host bits set",
        ),
        (
            with_ipam(&json!({"ranges": [[subnet()], [subnet()]]})),
            "",
            7,
            "range set 0 overlaps with 1",
        ),
        (old, "", 7, "CNI version 0.2.0 does not support more than 1 address per family"),
        (
            with_ipam(&json!({"ranges": [[{"subnet": "10.1.0.0"}]]})),
            "",
            6,
            "ipam.ranges[0][0].subnet: \"10.1.0.0\" is no network",
        ),
        (
            with_ipam(&json!({"subnet": "10.1.0.0/24", "gateway": "x"})),
            "",
            6,
            "ipam.gateway: \"x\" is no IP address",
        ),
        (
            with_ipam(&subnet()),
            "IP=10.1.0.x",
            4,
            "cannot use IP of CNI_ARGS: \"10.1.0.x\" is no IP address",
        ),
        (with_ipam(&subnet()), "FOO=1", 4, "FOO"),
    ];
    for (config, args, code, message) in cases {
        let error = CniError::from(Config::new(&request(config, args)).unwrap_err());
        assert!(error.msg.contains(message), "{error}");
        assert_eq!(error.code, ErrorCode(code), "{error}");
    }
}
