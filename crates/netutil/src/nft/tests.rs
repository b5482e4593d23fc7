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
        nft.commit(Transaction::new()).await.unwrap();
    });
}
