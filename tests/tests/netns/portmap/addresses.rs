//! Mappings of one port: that of an address of the host goes before that of all.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    NODE, NODE6, attach_both, bare, both_families, fetch, ours, portmap, printed, published,
};

fn mapping(container: u16, host_ip: &str) -> Value {
    json!({ "hostPort": 8080, "containerPort": container, "protocol": "tcp", "hostIP": host_ip })
}

#[test]
fn a_port_of_an_address_goes_before_the_same_containers_port_of_all() {
    let (host, world) = both_families();
    let (web, other) = (host.add_pod("web").unwrap(), host.add_pod("other").unwrap());
    let attached = attach_both(&host, &web);
    let call = |verb: &str, ports: &Value| {
        ours(&host, "portmap", portmap(&attached, ports)).call(verb, "web", web.path())
    };
    let _pages = [(80, "one"), (81, "all")]
        .map(|(port, page)| web.serve(format!("[::]:{port}").parse().unwrap(), page).unwrap());
    let (one, all) = (mapping(80, NODE), mapping(81, ""));
    for ports in [json!([one, all]), json!([all, one])] {
        call("ADD", &ports).ok();
        call("CHECK", &ports).ok();
        assert_eq!(published(&host).len(), 3, "one and two families");
        for (from, target, page) in [
            (world.netns(), format!("{NODE}:8080"), "one"),
            (host.netns(), format!("{NODE}:8080"), "one"),
            (web.netns(), format!("{NODE}:8080"), "one"),
            (host.netns(), "127.0.0.1:8080".to_owned(), "all"),
            (world.netns(), format!("[{NODE6}]:8080"), "all"),
        ] {
            assert_eq!(fetch(from, &target).as_deref(), Some(page), "{ports} {target}");
        }
        let (_, message) = call("CHECK", &json!([all])).error();
        assert!(message.contains("host port 192.0.2.10:8080/tcp is published"), "{message}");
        call("DEL", &ports).ok();
        assert!(published(&host).is_empty());
    }
    for same in [json!([all, mapping(82, "0.0.0.0")]), json!([one, mapping(82, NODE)])] {
        let (code, message) = call("ADD", &same).error();
        assert!(code == 7 && message.contains("asked for twice by one pod"), "{message}");
        assert!(published(&host).is_empty());
    }

    // Of two containers neither may have an address's port while the other has that of all.
    let elsewhere = attach_both(&host, &other);
    let add_other = |ports: Value| {
        ours(&host, "portmap", portmap(&elsewhere, &ports)).call("ADD", "other", other.path())
    };
    for (first, second) in [(&one, &all), (&all, &one)] {
        call("ADD", &json!([first])).ok();
        let (_, message) = add_other(json!([second])).error();
        assert!(message.contains("host port 8080/tcp is taken by container web"), "{message}");
        ours(&host, "portmap", bare()).call("DEL", "web", Path::new("")).ok();
    }
    add_other(json!([all])).ok();
    let table = printed(&host, "nft", &["list", "table", "inet", "podnet"]);
    assert!(table.contains("/other/") && !table.contains("/web/"), "{table}");
}
