//! SCTP through a published port.

use serde_json::json;

use super::{NODE, NODE6, attach_both, both_families, ours, portmap, printed};
use crate::nat::sctp::Association;

#[test]
fn an_association_comes_to_the_container_and_its_answer_back() {
    let (host, world) = both_families();
    let web = host.add_pod("web").unwrap();
    let attached = attach_both(&host, &web);
    let ports = json!([{ "hostPort": 36412, "containerPort": 2905, "protocol": "sctp" }]);
    let config = portmap(&attached, &ports);
    ours(&host, "portmap", config.clone()).call("ADD", "web", web.path()).ok();
    ours(&host, "portmap", config.clone()).call("CHECK", "web", web.path()).ok();
    for (index, node, client) in [(0, NODE, "192.0.2.1"), (1, NODE6, "2001:db8::1")] {
        let address = attached["ips"][index]["address"].as_str().unwrap();
        let pod_ip = address.split('/').next().unwrap();
        let association = Association {
            client: (world.netns(), client.parse().unwrap(), 40000),
            host: (node.parse().unwrap(), 36412),
            server: (web.netns(), pod_ip.parse().unwrap(), 2905),
        };
        association.open().unwrap();
        let others = Association { host: (association.host.0, 36413), ..association };
        assert!(others.open().is_err(), "another port");
    }
    ours(&host, "portmap", config).call("DEL", "web", web.path()).ok();
    let table = printed(&host, "nft", &["list", "table", "inet", "podnet"]);
    assert!(!table.contains("sctp"), "{table}");
}
