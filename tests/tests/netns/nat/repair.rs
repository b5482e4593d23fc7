//! What others remove comes back, and what nobody changed is not written again.

use podnet_standard_plugins::nat::{Dedup, NatNetwork, Protocol};

use super::echo::tcp;
use super::stage::{HOST, Stage, at, network, port};

fn generation(stage: &Stage) -> u32 {
    let nft = async || podnet_netutil::Nft::open().unwrap().generation().await.unwrap();
    stage.host.run(nft).unwrap()
}

#[test]
fn nothing_is_written_while_all_is_there() {
    let stage = Stage::new();
    let web = stage.server("web");
    stage.table(async |table| {
        assert_eq!(table.ensure(&network()).await.unwrap().len(), 2, "table and sysctl");
        let before = generation(&stage);
        for _ in 0..2 {
            assert_eq!(table.ensure(&network()).await.unwrap(), [""; 0]);
            assert_eq!(table.missing(&network()).await.unwrap(), [""; 0]);
        }
        assert_eq!(generation(&stage), before);
        table.publish(&web.label, &web.ips, &[port(Protocol::Tcp, 80)]).await.unwrap();
        assert_eq!(table.ensure(&network()).await.unwrap(), [""; 0]);
    });
    assert_eq!(stage.ensure(&network()), [""; 0], "nor by another process");
}

#[test]
fn a_deleted_table_is_named_and_made_again() {
    let stage = Stage::new();
    let web = stage.server("web");
    let folder = stage.host.runtime_dir();
    stage
        .host
        .run(async || {
            let table = podnet_standard_plugins::NatTable::open(&folder).unwrap();
            table.ensure(&network()).await.unwrap();
            stage.program("nft", &["delete", "table", "inet", "podnet"]);
            let missing = ["table inet podnet is missing"];
            assert_eq!(table.missing(&network()).await.unwrap(), missing);
            assert_eq!(table.ensure(&network()).await.unwrap(), missing);
            assert_eq!(table.ensure(&network()).await.unwrap(), [""; 0]);
            table.publish(&web.label, &web.ips, &[port(Protocol::Tcp, 80)]).await.unwrap();
        })
        .unwrap();
    assert!(tcp(stage.world.netns(), at(HOST, 80)).is_ok());
}

#[test]
fn mended_rules_leave_host_ports_alone() {
    let stage = Stage::new();
    let web = stage.server("web");
    stage.ensure(&network());
    stage.publish(&web, &[port(Protocol::Tcp, 80)]);
    stage.program("nft", &["flush", "chain", "inet", "podnet", "prerouting"]);
    stage.program("nft", &["delete", "chain", "inet", "podnet", "guard-kubenet"]);
    assert!(tcp(stage.world.netns(), at(HOST, 80)).is_err());
    assert_eq!(
        stage.ensure(&network()),
        [
            "chain inet podnet prerouting is missing or empty",
            "chain inet podnet guard-kubenet is missing or empty",
        ]
    );
    assert!(tcp(stage.world.netns(), at(HOST, 80)).is_ok());
    let other = NatNetwork { non_masquerade: Vec::new(), ..network() };
    let changed = ["chain inet podnet masquerade-kubenet has other rules than it needs"];
    assert_eq!(stage.missing(&other), changed);
}

#[test]
fn a_promiscuous_bridges_rules_come_once_and_go() {
    let stage = Stage::new();
    let web = stage.server("web");
    let dedup = Dedup {
        bridge_mac: "0a:58:0a:09:00:01".parse().unwrap(),
        gateways_and_cidrs: vec![
            ("10.9.0.1".parse().unwrap(), "10.9.0.0/24".parse().unwrap()),
            ("fd00:9::1".parse().unwrap(), "fd00:9::/64".parse().unwrap()),
        ],
    };
    let promiscuous = NatNetwork { dedup: Some(dedup), ..network() };
    for _ in 0..2 {
        stage.ensure(&promiscuous);
        let rules = stage.program("nft", &["list", "chain", "bridge", "podnet", "output-kubenet"]);
        assert_eq!(
            (rules.matches("drop").count() / 2, rules.matches("veth*").count() / 2),
            (2, 4),
            "{rules}"
        );
    }
    web.pod.ping("10.9.0.1".parse().unwrap()).unwrap();
    assert_eq!(
        stage.ensure(&network()),
        ["chain bridge podnet output-kubenet is not needed any more"]
    );
    assert_eq!(stage.missing(&network()), [""; 0]);
}
