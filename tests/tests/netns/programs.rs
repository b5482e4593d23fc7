//! `podnet-cni` called as a runtime calls it, alone and in turn with the Go programs.

use std::path::{Path, PathBuf};

use podnet_netutil::{Family, Link, MacAddr, Netlink, sysctl};
use podnet_testkit::{Pod, TestHost};
use podnet_tests::programs::{own, peer};
use podnet_tests::{Cni, Outcome};
use serde_json::{Value, json};

fn bridge_config(host: &TestHost, version: &str) -> Value {
    json!({
        "cniVersion": version, "name": "net", "type": "bridge", "bridge": "br0", "isGateway": true,
        "ipam": {
            "type": "host-local", "subnet": "10.1.0.0/24", "dataDir": host.networks_dir(),
            "routes": [{ "dst": "0.0.0.0/0" }],
        },
    })
}

fn ours<'a>(host: &'a TestHost, plugin: &str, config: Value) -> Cni<'a> {
    let program = own("podnet-cni");
    let path = program.parent().unwrap().to_owned();
    Cni { host, program, arguments: vec![plugin.to_owned()], path, config }
}

fn go(host: &TestHost, program: PathBuf, config: Value) -> Cni<'_> {
    let path = program.parent().unwrap().to_owned();
    Cni { host, program, arguments: Vec::new(), path, config }
}

fn check(cni: &Cni<'_>, id: &str, netns: &Path, result: &Value) -> Outcome {
    let mut cni = cni.clone();
    cni.config["prevResult"] = result.clone();
    cni.call("CHECK", id, netns)
}

fn ports(host: &TestHost) -> Vec<Link> {
    host.run(async || {
        let netlink = Netlink::open().unwrap();
        let bridge = netlink.require_link("br0").await.unwrap();
        netlink.bridge_ports(bridge.index).await.unwrap()
    })
    .unwrap()
}

fn has_eth0(host: &TestHost, pod: &Pod) -> bool {
    host.run(async || pod.link("eth0").await.unwrap().is_some()).unwrap()
}

#[test]
fn a_container_is_attached_checked_and_detached() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    for version in ["0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        let bridge = ours(&host, "bridge", bridge_config(&host, version));
        let result = bridge.call("ADD", "w1", web.path()).ok();
        assert_eq!(result["cniVersion"], version);
        assert_eq!(result["interfaces"][0]["name"], "br0");
        assert_eq!(result["interfaces"][2]["sandbox"], web.path().to_str().unwrap());
        assert_eq!(result["ips"][0]["interface"], 2);
        assert_eq!(result["ips"][0]["gateway"], "10.1.0.1");
        web.ping("10.1.0.1".parse().unwrap()).unwrap();
        if version >= "0.4.0" {
            check(&bridge, "w1", web.path(), &result).ok();
        }
        bridge.call("DEL", "w1", web.path()).ok();
        bridge.call("DEL", "w1", web.path()).ok();
        assert!(ports(&host).is_empty() && !has_eth0(&host, &web));
    }
}

#[test]
fn the_results_of_0_2_0_have_their_own_shape() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let result =
        ours(&host, "bridge", bridge_config(&host, "0.2.0")).call("ADD", "w1", web.path()).ok();
    assert_eq!(result["ip4"]["ip"], "10.1.0.2/24");
    assert_eq!(result["ip4"]["gateway"], "10.1.0.1");
    assert_eq!(result["ip4"]["routes"][0]["dst"], "0.0.0.0/0");
}

#[test]
fn loopback_is_enabled_and_disabled() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let config = json!({ "cniVersion": "1.0.0", "name": "lo", "type": "loopback" });
    let loopback = ours(&host, "loopback", config);
    let result = loopback.call("ADD", "w1", web.path()).ok();
    assert_eq!(result["interfaces"][0]["name"], "lo");
    assert_eq!(result["ips"][0]["address"], "127.0.0.1/8");
    web.ping("127.0.0.1".parse().unwrap()).unwrap();
    check(&loopback, "w1", web.path(), &result).ok();
    loopback.call("DEL", "w1", web.path()).ok();
    let (_, message) = check(&loopback, "w1", web.path(), &result).error();
    assert!(message.contains("lo is not enabled"), "{message}");
    loopback.call("DEL", "w1", Path::new("/nowhere")).ok();
}

#[test]
fn check_finds_what_is_missing() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let bridge = ours(&host, "bridge", bridge_config(&host, "1.0.0"));
    let result = bridge.call("ADD", "w1", web.path()).ok();
    let address = host.networks_dir().join("net/10.1.0.2");
    let content = std::fs::read(&address).unwrap();
    assert_eq!(content, b"w1\r\neth0");

    std::fs::remove_file(&address).unwrap();
    let (_, message) = check(&bridge, "w1", web.path(), &result).error();
    assert!(message.contains("10.1.0.2") || message.contains("w1"), "{message}");
    std::fs::write(&address, content).unwrap();
    check(&bridge, "w1", web.path(), &result).ok();

    host.run(async || {
        let inside = Netlink::open_in(web.netns()).unwrap();
        let eth0 = inside.require_link("eth0").await.unwrap();
        inside.delete_address(&eth0, "10.1.0.2/24".parse().unwrap()).await.unwrap();
    })
    .unwrap();
    let (_, message) = check(&bridge, "w1", web.path(), &result).error();
    assert!(message.contains("lost its address 10.1.0.2/24"), "{message}");
}

#[test]
fn errors_are_objects_with_the_specs_codes() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let with = |key: &str, value: Value| {
        let mut config = bridge_config(&host, "1.0.0");
        config[key] = value;
        ours(&host, "bridge", config)
    };
    let cases = [
        (with("cniVersion", json!("9.9.9")), "w1", 1),
        (with("macspoofchk", json!("yes")), "w1", 6),
        (with("name", json!("no/name")), "w1", 7),
        (with("mtu", json!(20)), "w1", 7),
        (with("mtu", json!("much")), "w1", 6),
        (with("mtu", json!(0)), "../w1", 4),
    ];
    for (cni, id, code) in cases {
        let error = cni.call("ADD", id, web.path()).error();
        assert_eq!(error.0, code, "{error:?}");
    }
    let own_netns = with("mtu", json!(0)).call("ADD", "w1", host.netns().path()).error();
    assert_eq!(own_netns.0, 8, "{own_netns:?}");
    assert!(!has_eth0(&host, &web));
}

#[test]
fn version_tells_every_version_of_the_spec() {
    let host = TestHost::new().unwrap();
    let config = json!({ "cniVersion": "1.0.0" });
    let told = ours(&host, "host-local", config).call("VERSION", "", Path::new("")).ok();
    assert_eq!(told["supportedVersions"].as_array().unwrap().len(), 7, "{told}");
}

#[test]
fn what_the_go_bridge_attached_ours_checks_and_detaches() {
    let Some(program) = peer("bridge", "what_the_go_bridge_attached_ours_checks_and_detaches")
    else {
        return;
    };
    let host = TestHost::new().unwrap();
    let (web, gone) = (host.add_pod("web").unwrap(), host.add_pod("gone").unwrap());
    let theirs = go(&host, program, bridge_config(&host, "1.0.0"));
    let bridge = ours(&host, "bridge", bridge_config(&host, "1.0.0"));
    let result = theirs.call("ADD", "w1", web.path()).ok();
    check(&bridge, "w1", web.path(), &result).ok();
    let (_, message) = bridge.call("ADD", "w1", web.path()).error();
    assert!(has_eth0(&host, &web), "a refused ADD leaves the attachment alone: {message}");
    bridge.call("DEL", "w1", web.path()).ok();
    assert!(!has_eth0(&host, &web));

    let result = theirs.call("ADD", "g1", gone.path()).ok();
    assert_eq!(result["ips"][0]["address"], "10.1.0.3/24");
    drop(gone);
    bridge.call("DEL", "g1", Path::new("/nowhere")).ok();
    assert!(!host.networks_dir().join("net/10.1.0.3").exists());
}

#[test]
fn what_ours_attached_the_go_bridge_checks_and_detaches() {
    let Some(program) = peer("bridge", "what_ours_attached_the_go_bridge_checks_and_detaches")
    else {
        return;
    };
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let theirs = go(&host, program, bridge_config(&host, "1.0.0"));
    let bridge = ours(&host, "bridge", bridge_config(&host, "1.0.0"));
    let result = bridge.call("ADD", "w1", web.path()).ok();
    check(&theirs, "w1", web.path(), &result).ok();
    theirs.call("DEL", "w1", web.path()).ok();
    assert!(!has_eth0(&host, &web) && !host.networks_dir().join("net/10.1.0.2").exists());
}

#[test]
fn ours_delegates_to_the_ipam_program_on_the_path() {
    let test = "ours_delegates_to_the_ipam_program_on_the_path";
    let Some(program) = peer("static", test) else { return };
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let mut config = bridge_config(&host, "1.0.0");
    config["ipam"] = json!({ "type": "static", "addresses": [{ "address": "10.1.0.9/24" }] });
    let mut bridge = ours(&host, "bridge", config);
    bridge.path = program.parent().unwrap().to_owned();
    let result = bridge.call("ADD", "w1", web.path()).ok();
    assert_eq!(result["ips"][0]["address"], "10.1.0.9/24");
    bridge.call("DEL", "w1", web.path()).ok();
    assert!(!has_eth0(&host, &web));
}

#[test]
fn an_ipam_program_that_is_missing_is_named_and_nothing_is_left() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let mut config = bridge_config(&host, "1.0.0");
    config["ipam"] = json!({ "type": "no-such-ipam" });
    let mut bridge = ours(&host, "bridge", config);
    bridge.path = host.folder().to_owned();
    let (_, message) = bridge.call("ADD", "w1", web.path()).error();
    assert!(message.contains("no-such-ipam"), "{message}");
    assert!(message.contains(host.folder().to_str().unwrap()), "{message}");
    assert!(!has_eth0(&host, &web));
}

#[test]
fn a_default_gateway_gives_a_default_route_of_each_family() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let mut config = bridge_config(&host, "1.0.0");
    config["isDefaultGateway"] = json!(true);
    config["ipam"] = json!({
        "type": "host-local", "dataDir": host.networks_dir(),
        "ranges": [[{ "subnet": "10.6.0.0/24" }], [{ "subnet": "fd00:6::/64" }]],
    });
    let bridge = ours(&host, "bridge", config);
    let result = bridge.call("ADD", "w1", web.path()).ok();
    let routes = json!([
        { "dst": "0.0.0.0/0", "gw": "10.6.0.1" },
        { "dst": "::/0", "gw": "fd00:6::1" },
    ]);
    assert_eq!(result["routes"], routes);
    host.run(async || {
        let inside = Netlink::open_in(web.netns()).unwrap();
        let eth0 = inside.require_link("eth0").await.unwrap();
        let found = inside.routes(&eth0).await.unwrap();
        for gateway in ["10.6.0.1", "fd00:6::1"] {
            let gateway = Some(gateway.parse().unwrap());
            assert!(found.iter().any(|route| route.gateway == gateway), "{found:?}");
        }
    })
    .unwrap();
    check(&bridge, "w1", web.path(), &result).ok();
}

#[test]
fn a_gateway_that_ipam_leaves_out_is_derived_for_routes_too() {
    let test = "a_gateway_that_ipam_leaves_out_is_derived_for_routes_too";
    let Some(program) = peer("static", test) else { return };
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let mut config = bridge_config(&host, "1.0.0");
    config["ipam"] = json!({
        "type": "static", "addresses": [{ "address": "10.7.0.9/24" }], "routes": [{ "dst": "0.0.0.0/0" }],
    });
    let mut bridge = ours(&host, "bridge", config);
    bridge.path = program.parent().unwrap().to_owned();
    let result = bridge.call("ADD", "w1", web.path()).ok();
    assert_eq!(result["ips"][0]["gateway"], "10.7.0.1");
    host.run(async || {
        let inside = Netlink::open_in(web.netns()).unwrap();
        let eth0 = inside.require_link("eth0").await.unwrap();
        let found = inside.routes(&eth0).await.unwrap();
        let by = Some("10.7.0.1".parse().unwrap());
        assert!(found.iter().any(|route| route.gateway == by), "{found:?}");
    })
    .unwrap();
}

#[test]
fn a_plugin_that_gives_no_addresses_is_refused_as_ipam() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let mut config = bridge_config(&host, "1.0.0");
    for plugin in ["bridge", "loopback"] {
        config["ipam"] = json!({ "type": plugin });
        let bridge = ours(&host, "bridge", config.clone());
        for verb in ["ADD", "DEL"] {
            let (code, message) = bridge.call(verb, "w1", web.path()).error();
            assert_eq!(code, 7, "{message}");
        }
    }
    assert!(!has_eth0(&host, &web));
}

#[test]
fn a_delete_leaves_another_container_alone_whose_namespace_has_the_path_now() {
    let test = "a_delete_leaves_another_container_alone_whose_namespace_has_the_path_now";
    let host = TestHost::new().unwrap();
    let (web, other) = (host.add_pod("web").unwrap(), host.add_pod("other").unwrap());
    let bridge = ours(&host, "bridge", bridge_config(&host, "1.0.0"));
    bridge.call("ADD", "w1", web.path()).ok();
    bridge.call("DEL", "gone", web.path()).ok();
    assert!(has_eth0(&host, &web));

    let Some(program) = peer("bridge", test) else { return };
    go(&host, program, bridge_config(&host, "1.0.0")).call("ADD", "o1", other.path()).ok();
    bridge.call("DEL", "gone", other.path()).ok();
    assert!(has_eth0(&host, &other));
    bridge.call("DEL", "o1", other.path()).ok();
    assert!(!has_eth0(&host, &other));
}

#[test]
fn operations_on_one_container_exclude_each_other() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    let bridge = ours(&host, "bridge", bridge_config(&host, "1.0.0"));
    for _ in 0..10 {
        std::thread::scope(|scope| {
            for verb in ["ADD", "ADD", "DEL"] {
                let (bridge, netns) = (&bridge, web.path());
                scope.spawn(move || bridge.call(verb, "w1", netns));
            }
        });
        let store = host.networks_dir().join("net");
        let names = std::fs::read_dir(store).unwrap().map(|file| file.unwrap().file_name());
        let reserved = names.filter(|name| name.to_str().unwrap().starts_with("10.1.")).count();
        assert_eq!(reserved == 1, has_eth0(&host, &web), "{reserved} addresses are reserved");
        bridge.call("DEL", "w1", web.path()).ok();
    }
}

#[test]
fn an_operators_bridge_is_taken_as_it_is_and_refuses_router_advertisements() {
    let host = TestHost::new().unwrap();
    let web = host.add_pod("web").unwrap();
    host.run(async || {
        let netlink = Netlink::open().unwrap();
        netlink.create_bridge("br0", MacAddr::local([0; 6])).await.unwrap();
        let bridge = netlink.require_link("br0").await.unwrap();
        netlink.set_link_mtu(bridge.index, 1400).await.unwrap();
        netlink.set_link_up(bridge.index).await.unwrap();
        sysctl::set_interface(Family::V6, "br0", "accept_ra", "1").unwrap();
        std::fs::write("/sys/class/net/br0/bridge/stp_state", "1").ok();
    })
    .unwrap();
    let bridge = ours(&host, "bridge", bridge_config(&host, "1.0.0"));
    bridge.call("ADD", "w1", web.path()).ok();
    host.run(async || {
        let bridge = Netlink::open().unwrap().require_link("br0").await.unwrap();
        assert_eq!(bridge.mtu, 1400);
        assert_eq!(sysctl::read_interface(Family::V6, "br0", "accept_ra").unwrap(), "0");
    })
    .unwrap();
}

#[test]
fn gc_removes_what_no_valid_attachment_holds_and_keeps_the_rest() {
    let host = TestHost::new().unwrap();
    let (web, gone) = (host.add_pod("web").unwrap(), host.add_pod("gone").unwrap());
    let mut bridge = ours(&host, "bridge", bridge_config(&host, "1.1.0"));
    bridge.call("ADD", "w1", web.path()).ok();
    bridge.call("ADD", "g1", gone.path()).ok();
    let (code, message) = bridge.call("GC", "", Path::new("")).error();
    assert!(code == 7 && message.contains("cni.dev/valid-attachments"), "{code} {message}");
    assert_eq!(ports(&host).len(), 2);

    bridge.config["cni.dev/valid-attachments"] = json!([{ "containerID": "w1", "ifname": "eth0" }]);
    bridge.call("GC", "", Path::new("")).ok();
    assert!(has_eth0(&host, &web) && !has_eth0(&host, &gone));
    let store = host.networks_dir().join("net");
    assert!(store.join("10.1.0.2").exists() && !store.join("10.1.0.3").exists());
    bridge.config["cni.dev/valid-attachments"] = json!([]);
    bridge.call("GC", "", Path::new("")).ok();
    assert!(ports(&host).is_empty() && !store.join("10.1.0.2").exists());
}

#[test]
fn ip_masq_gives_what_leaves_the_network_the_hosts_address() {
    let host = TestHost::new().unwrap();
    let world = host.add_uplink(1500, "192.0.2.10/24".parse().unwrap()).unwrap();
    let web = host.add_pod("web").unwrap();
    let mut config = bridge_config(&host, "1.0.0");
    config["ipMasq"] = json!(true);
    ours(&host, "bridge", config).call("ADD", "w1", web.path()).ok();
    let server = world.netns().run(|| {
        let address = ["address", "add", "192.0.2.1/24", "dev", podnet_testkit::UPLINK];
        assert!(std::process::Command::new("ip").args(address).status().unwrap().success());
        std::net::TcpListener::bind("192.0.2.1:80").unwrap()
    });
    let server = server.unwrap();
    let asked = web.netns().run(|| std::net::TcpStream::connect("192.0.2.1:80").map(drop));
    asked.unwrap().unwrap();
    assert_eq!(server.accept().unwrap().1.ip().to_string(), "192.0.2.10");
}
