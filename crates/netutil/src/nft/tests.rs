//! Tests of nftables itself, in namespaces of their own.

use super::*;
use crate::netns::in_own_netns;
use crate::sysctl::Family;

const TABLE: Table<'static> = Table { family: TableFamily::Inet, name: "podnet-test" };
const CHAIN: BaseChain<'static> =
    BaseChain { name: "pre", kind: ChainKind::Nat, hook: Hook::Prerouting, priority: -90 };
const MAP: Collection<'static> = Collection {
    name: "ports",
    key: &[Field::Protocol, Field::Ipv4, Field::Port],
    data: &[Field::Ipv4, Field::Port],
};

fn element(port: u16, comment: &str) -> Element {
    let (mut key, mut data) = (Vec::new(), Vec::new());
    push_protocol(&mut key, 6);
    push_address(&mut key, "0.0.0.0".parse().unwrap());
    push_port(&mut key, port);
    push_address(&mut data, "10.1.0.2".parse().unwrap());
    push_port(&mut data, 80);
    Element { key, data, comment: Some(comment.to_owned()) }
}

fn look_up() -> Rule {
    Rule::new()
        .of_family(Family::V4)
        .load(Load::Protocol, Slot(0))
        .load(Load::Destination(Family::V4), Slot(1))
        .load(Load::DestinationPort, Slot(2))
        .look_up("ports", Slot(0), Slot(0))
        .translate_destination(Family::V4, Slot(0), Slot(1))
        .comment("to pods")
}

fn whole() -> Transaction {
    let mut transaction = Transaction::new();
    transaction.add_table(TABLE);
    transaction.add_collection(TABLE, &MAP);
    transaction.add_chain(TABLE, &CHAIN);
    transaction.flush_chain(TABLE, "pre");
    transaction.append_rule(TABLE, "pre", &look_up());
    transaction
}

#[test]
fn what_a_transaction_makes_is_listed() {
    in_own_netns(async || {
        let nft = Nft::open().unwrap();
        let before = nft.generation().await.unwrap();
        let mut transaction = whole();
        let elements = [element(80, "a"), element(81, "b")];
        transaction.add_elements(TABLE, "ports", &elements, Uniqueness::MustBeNew);
        nft.commit(transaction).await.unwrap();

        let rules = nft.rules(TABLE).await.unwrap();
        assert_eq!(rules.len(), 1);
        assert_eq!(
            (rules[0].chain.as_str(), rules[0].comment.as_deref()),
            ("pre", Some("to pods"))
        );
        let mut listed = nft.elements(TABLE, "ports").await.unwrap();
        listed.sort_by_key(|element| element.key.clone());
        assert_eq!(listed, elements);
        assert_eq!(nft.generation().await.unwrap(), before + 1);
    });
}

#[test]
fn a_rule_is_told_with_where_it_comes_from_and_leads_to() {
    in_own_netns(async || {
        let nft = Nft::open().unwrap();
        let mut transaction = whole();
        transaction.add_regular_chain(TABLE, "other");
        let of_eth0 = Rule::new().count().from_interface("eth0").jump("other");
        transaction.append_rule(TABLE, "pre", &of_eth0);
        transaction.append_rule(TABLE, "pre", &Rule::new().to_interface("eth0").go_to("other"));
        nft.commit(transaction).await.unwrap();
        let told = |rule: &ListedRule| (rule.incoming_interface(), rule.jumps_to());
        let (eth0, other) = (Some("eth0".to_owned()), Some("other".to_owned()));
        let rules = nft.chain_rules(TABLE, "pre").await.unwrap();
        let expected = [(None, None), (eth0, other.clone()), (None, other)];
        assert_eq!(rules.iter().map(told).collect::<Vec<_>>(), expected);
    });
}

#[test]
fn a_repeated_transaction_adds_nothing() {
    in_own_netns(async || {
        let nft = Nft::open().unwrap();
        for _ in 0..2 {
            nft.commit(whole()).await.unwrap();
        }
        assert_eq!(nft.rules(TABLE).await.unwrap().len(), 1);
    });
}

#[test]
fn a_refused_step_is_named_and_nothing_happens() {
    in_own_netns(async || {
        let nft = Nft::open().unwrap();
        let mut transaction = whole();
        let elements = [element(80, "a")];
        transaction.add_elements(TABLE, "ports", &elements, Uniqueness::MustBeNew);
        transaction.delete_chain(TABLE, "nowhere");
        transaction.flush_chain(TABLE, "pre");
        let refused = nft.commit(transaction).await.unwrap_err();
        assert!(refused.is_gone(), "{refused}");
        assert!(
            refused.to_string().starts_with("cannot delete chain inet podnet-test nowhere: "),
            "{refused}"
        );
        assert!(nft.rules(TABLE).await.unwrap().is_empty());
        assert!(nft.elements(TABLE, "ports").await.unwrap().is_empty());
    });
}

#[test]
fn an_element_that_must_be_new_is_refused_the_second_time() {
    in_own_netns(async || {
        let nft = Nft::open().unwrap();
        nft.commit(whole()).await.unwrap();
        let add = |comment, uniqueness| {
            let mut transaction = Transaction::new();
            transaction.add_elements(TABLE, "ports", &[element(80, comment)], uniqueness);
            nft.commit(transaction)
        };
        add("a", Uniqueness::MustBeNew).await.unwrap();
        assert!(add("b", Uniqueness::MustBeNew).await.unwrap_err().is_already_there());
        add("b", Uniqueness::MayExist).await.unwrap();
        let listed = nft.elements(TABLE, "ports").await.unwrap();
        assert_eq!(listed, [element(80, "a")]);
    });
}

#[test]
fn thousands_of_elements_are_made_listed_and_removed() {
    in_own_netns(async || {
        let nft = Nft::open().unwrap();
        nft.commit(whole()).await.unwrap();
        let elements: Vec<Element> = (1..=2000).map(|port| element(port, "pod")).collect();
        let mut transaction = Transaction::new();
        transaction.add_elements(TABLE, "ports", &elements, Uniqueness::MustBeNew);
        nft.commit(transaction).await.unwrap();
        assert_eq!(nft.elements(TABLE, "ports").await.unwrap().len(), 2000);
        let mut transaction = Transaction::new();
        transaction.delete_elements(TABLE, "ports", &elements);
        nft.commit(transaction).await.unwrap();
        assert!(nft.elements(TABLE, "ports").await.unwrap().is_empty());
    });
}

#[test]
fn a_table_that_is_not_there_has_nothing() {
    in_own_netns(async || {
        let nft = Nft::open().unwrap();
        assert!(nft.rules(TABLE).await.unwrap().is_empty());
        assert!(nft.elements(TABLE, "ports").await.unwrap().is_empty());
        assert!(!nft.drops_by_policy(TABLE, "FORWARD").await.unwrap());
        assert!(nft.chains(TABLE).await.unwrap().is_empty());
        assert!(nft.collections(TABLE).await.unwrap().is_empty());
        assert!(nft.present_chains(&[(TABLE, "pre"), (TABLE, "post")]).await.unwrap().is_empty());
        nft.commit(Transaction::new()).await.unwrap();
    });
}

#[test]
fn chains_sets_and_what_a_rule_says_are_listed_and_removed() {
    in_own_netns(async || {
        let nft = Nft::open().unwrap();
        nft.commit(whole()).await.unwrap();
        assert_eq!(nft.chains(TABLE).await.unwrap(), ["pre"]);
        assert_eq!(nft.collections(TABLE).await.unwrap(), ["ports"]);
        let asked = [(TABLE, "nowhere"), (TABLE, "pre")];
        assert_eq!(nft.present_chains(&asked).await.unwrap(), asked[1..]);

        let mut transaction = Transaction::new();
        let source = Test::Source("10.1.0.2".parse().unwrap());
        let tested = Rule::new().of_family(Family::V4).test(&source, true).accept();
        transaction.append_rule(TABLE, "pre", &tested);
        nft.commit(transaction).await.unwrap();
        let rules = nft.rules(TABLE).await.unwrap();
        assert!(rules[1].mentions(&[10, 1, 0, 2]) && !rules[0].mentions(&[10, 1, 0, 2]));
        assert!(rules.iter().all(|rule| rule.jumps_to().is_none()));

        let mut transaction = Transaction::new();
        transaction.delete_rule(TABLE, "pre", rules[1].handle);
        nft.commit(transaction).await.unwrap();
        assert_eq!(nft.rules(TABLE).await.unwrap(), rules[..1]);
        let mut transaction = Transaction::new();
        transaction.delete_collection(TABLE, "ports");
        assert!(nft.commit(transaction.clone()).await.unwrap_err().is_in_use());
        let mut freed = Transaction::new();
        freed.flush_chain(TABLE, "pre");
        nft.commit(freed).await.unwrap();
        nft.commit(transaction).await.unwrap();
        assert!(nft.collections(TABLE).await.unwrap().is_empty());
    });
}

#[test]
fn a_transaction_for_an_earlier_generation_is_refused() {
    in_own_netns(async || {
        let nft = Nft::open().unwrap();
        let seen = nft.generation().await.unwrap();
        let mut first = whole();
        first.only_at(seen);
        let mut second = whole();
        second.only_at(seen);
        nft.commit(first).await.unwrap();
        assert!(nft.commit(second).await.unwrap_err().is_overtaken());
        assert_eq!(nft.generation().await.unwrap(), seen + 1);
    });
}

/// Each test, with what `nft` prints where it must hold and where it must not.
fn conditions() -> Vec<(Test, &'static str, &'static str)> {
    let interface = |name| InterfaceMatch::exactly(name).unwrap();
    vec![
        (
            Test::Source("10.0.0.0/8".parse().unwrap()),
            "ip saddr 10.0.0.0/8",
            "ip saddr != 10.0.0.0/8",
        ),
        (
            Test::Destination("fd00::1".parse().unwrap()),
            "ip6 daddr fd00::1",
            "ip6 daddr != fd00::1",
        ),
        (Test::FromInterface(interface("eth0")), "iifname \"eth0\"", "iifname != \"eth0\""),
        (
            Test::ToInterface(InterfaceMatch::beginning_with("eth").unwrap()),
            "oifname \"eth*\"",
            "oifname != \"eth*\"",
        ),
        (
            Test::Mark { value: 1, mask: u32::MAX },
            "meta mark 0x00000001",
            "meta mark != 0x00000001",
        ),
        (
            Test::Mark { value: 2, mask: 6 },
            "meta mark & 0x00000006 == 0x00000002",
            "meta mark & 0x00000006 != 0x00000002",
        ),
        (Test::Protocol(17), "meta l4proto udp", "meta l4proto != udp"),
        (Test::SourcePort(53, 53), "th sport 53", "th sport != 53"),
        (Test::DestinationPort(1, 1023), "th dport 1-1023", "th dport != 1-1023"),
        (Test::SourceKind(AddressKind::Local), "fib saddr type local", "fib saddr type != local"),
        (
            Test::DestinationKind(AddressKind::Unicast),
            "fib daddr type unicast",
            "fib daddr type != unicast",
        ),
    ]
}

#[test]
fn every_condition_is_taken_by_the_kernel_and_reads_as_it_should() {
    in_own_netns(async || {
        let nft = Nft::open().unwrap();
        nft.commit(whole()).await.unwrap();
        for (test, holds, holds_not) in conditions() {
            for (negated, expected) in [(false, holds), (true, holds_not)] {
                let mut transaction = Transaction::new();
                transaction.flush_chain(TABLE, "pre");
                let family = match &test {
                    Test::Destination(_) => Family::V6,
                    _ => Family::V4,
                };
                let rule = Rule::new().of_family(family).test(&test, negated).accept();
                transaction.append_rule(TABLE, "pre", &rule);
                nft.commit(transaction).await.unwrap();
                let mut program = std::process::Command::new("nft");
                program.args(["list", "chain", "inet", "podnet-test", "pre"]);
                let printed = String::from_utf8(program.output().unwrap().stdout).unwrap();
                assert!(printed.contains(expected), "{expected}: {printed}");
            }
        }
    });
}
