//! Beside Docker's and the service proxy's rules, of both iptables.

use podnet_standard_plugins::nat::Protocol;

use super::echo::{Echo, tcp};
use super::stage::{HOST, Stage, WORLD, at, network, port};

/// What Docker and kube-proxy leave, as far as it matters here.
fn foreign_rules(stage: &Stage, flavour: &str) {
    for rule in [
        "-P FORWARD DROP",
        "-N DOCKER-USER",
        "-A FORWARD -j DOCKER-USER",
        "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A DOCKER-USER -j RETURN",
        "-t nat -N KUBE-SERVICES",
        "-t nat -A PREROUTING -m comment --comment services -j KUBE-SERVICES",
        "-t nat -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 192.0.2.99:6443",
        "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    ] {
        let arguments: Vec<&str> = rule.split(' ').collect();
        stage.program(flavour, &arguments);
    }
}

fn saved(stage: &Stage, save: &str) -> Vec<String> {
    let text = stage.program(save, &[]);
    // Comments hold the time, chains their counters.
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(" [").next().unwrap_or_default().to_owned()).collect()
}

fn works_beside(flavour: &str, save: &str) {
    let stage = Stage::new();
    foreign_rules(&stage, flavour);
    let (web, client) = (stage.server("web"), stage.server("client"));
    let before = saved(&stage, save);
    stage.table(async |table| {
        let mended = table.ensure(&network()).await.unwrap();
        assert_eq!(mended.iter().filter(|line| line.contains("FORWARD")).count(), 2, "{mended:?}");
        assert_eq!(table.ensure(&network()).await.unwrap(), [""; 0]);
    });
    assert_eq!(stage.ensure(&network()), [""; 0]);
    assert_eq!(stage.missing(&network()), [""; 0]);
    let after = saved(&stage, save);
    let ours = |line: &&String| line.contains("podnet: kubenet");
    assert_eq!(after.iter().filter(ours).count(), 2, "{after:#?}");
    let rest: Vec<String> = after.iter().filter(|line| !ours(line)).cloned().collect();
    assert_eq!(rest, before);

    stage.publish(&web, &[port(Protocol::Tcp, 80)]);
    assert!(tcp(stage.world.netns(), at(HOST, 80)).is_ok());
    assert!(tcp(client.pod.netns(), at(HOST, 80)).is_ok());
    assert!(tcp(client.pod.netns(), at(&web.ip(), 8080)).is_ok());
    let _world = Echo::start(stage.world.netns(), "world", at("::", 80));
    assert_eq!(tcp(web.pod.netns(), at(WORLD, 80)).unwrap(), format!("world {HOST}"));
}

#[test]
fn pods_pass_a_dropping_forward_chain_of_iptables_on_nftables() {
    works_beside("iptables-nft", "iptables-nft-save");
}

#[test]
fn pods_pass_a_dropping_forward_chain_of_the_older_iptables() {
    works_beside("iptables-legacy", "iptables-legacy-save");
}
