//! The choice of addresses: order, wrapping, requests, exhaustion, and what is never given.

use proptest::prelude::*;

use super::*;
use crate::host_local::range::RangeOptions;

fn range(subnet: &str, start: &str, end: &str) -> RangeOptions {
    RangeOptions {
        subnet: subnet.parse().unwrap(),
        range_start: start.parse().ok(),
        range_end: end.parse().ok(),
        gateway: None,
    }
}

fn pools(sets: &[&[RangeOptions]]) -> Pools {
    Pools::new(sets.iter().map(|set| RangeSet::new(set).unwrap()).collect()).unwrap()
}

fn at(text: &str) -> Position {
    text.parse::<IpAddr>().unwrap().into()
}

/// A store in memory: what is taken and what was given last from each of two sets.
#[derive(Default)]
struct Store {
    taken: Taken,
    stale: BTreeSet<Position>,
    last_reserved: [Option<Position>; 2],
    held: Vec<Position>,
}

impl Store {
    fn choose<'a>(
        &self,
        pools: &'a Pools,
        requested: &[&str],
    ) -> Result<Vec<Choice<'a>>, AllocationError> {
        let requested: Vec<Position> = requested.iter().map(|text| at(text)).collect();
        let situation = Situation {
            taken: &self.taken,
            stale: &self.stale,
            last_reserved: &self.last_reserved,
            held: &self.held,
        };
        choose(pools, &requested, "pod", situation)
    }

    fn give(&mut self, pools: &Pools) -> Result<String, AllocationError> {
        let choices = self.choose(pools, &[])?;
        for (number, choice) in choices.iter().enumerate() {
            self.taken.insert(choice.address);
            self.stale.remove(&choice.address);
            self.last_reserved[number] = Some(choice.address);
        }
        Ok(choices.iter().map(|choice| choice.address.to_string()).collect::<Vec<_>>().join(" "))
    }
}

#[test]
fn addresses_go_round_and_skip_the_gateway() {
    let pools = pools(&[&[range("10.0.0.0/29", "", "")]]);
    let mut store = Store::default();
    let given: Vec<String> = (0..5).map(|_| store.give(&pools).unwrap()).collect();
    assert_eq!(given, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
    store.taken.remove(at("10.0.0.6"));
    store.taken.remove(at("10.0.0.3"));
    assert_eq!(
        store.give(&pools).unwrap(),
        "10.0.0.3",
        "the one after the last, all the way round"
    );
    assert_eq!(store.give(&pools).unwrap(), "10.0.0.6", "the last given comes last");
    assert_eq!(
        store.give(&pools).unwrap_err().to_string(),
        "failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.6 (5 of 5 taken)"
    );
}

#[test]
fn the_round_leads_through_every_range_of_a_set() {
    let pools = pools(&[&[
        range("10.1.0.0/24", "10.1.0.10", "10.1.0.11"),
        range("10.2.0.0/24", "10.2.0.20", "10.2.0.20"),
        range("10.3.0.0/24", "10.3.0.30", "10.3.0.30"),
    ]]);
    let mut store = Store { last_reserved: [Some(at("10.2.0.20")), None], ..Store::default() };
    let given: Vec<String> = (0..4).map(|_| store.give(&pools).unwrap()).collect();
    assert_eq!(given, ["10.3.0.30", "10.1.0.10", "10.1.0.11", "10.2.0.20"]);
}

#[test]
fn a_last_address_from_elsewhere_is_no_hint() {
    let pools = pools(&[&[range("10.1.0.0/24", "10.1.0.10", "")]]);
    let mut store = Store { last_reserved: [Some(at("10.9.0.1")), None], ..Store::default() };
    assert_eq!(store.give(&pools).unwrap(), "10.1.0.10");
}

#[test]
fn empty_files_are_taken_over_when_nothing_else_is_left() {
    let pools = pools(&[&[range("10.0.0.0/29", "10.0.0.2", "10.0.0.4")]]);
    let mut store = Store::default();
    store.taken.insert(at("10.0.0.2"));
    store.stale.insert(at("10.0.0.2"));
    let given: Vec<String> = (0..3).map(|_| store.give(&pools).unwrap()).collect();
    assert_eq!(given, ["10.0.0.3", "10.0.0.4", "10.0.0.2"]);
    assert!(store.give(&pools).is_err());
}

#[test]
fn a_requested_address_serves_the_set_that_contains_it() {
    let pools = pools(&[&[range("10.1.0.0/24", "", "")], &[range("10.2.0.0/24", "", "")]]);
    let choices = Store::default().choose(&pools, &["10.2.0.77"]).unwrap();
    let given: Vec<String> = choices.iter().map(|choice| choice.address.to_string()).collect();
    assert_eq!(given, ["10.1.0.2", "10.2.0.77"]);
}

#[test]
fn what_cannot_be_given_is_refused_in_words() {
    let pools = pools(&[&[range("10.1.0.0/24", "", "")], &[range("10.2.0.0/24", "", "")]]);
    let taken = [at("10.1.0.9"), at("10.2.0.9")].into_iter().collect();
    let store = Store { taken, ..Store::default() };
    let cases = [
        (
            vec!["10.1.0.1"],
            "failed to allocate for range 0: requested ip 10.1.0.1 is subnet's gateway",
        ),
        (
            vec!["10.2.0.9"],
            "failed to allocate for range 1: requested IP address 10.2.0.9 is not available in range set 10.2.0.1-10.2.0.254",
        ),
        (vec!["10.3.0.9"], "failed to allocate all requested IPs: 10.3.0.9"),
        (vec!["10.1.0.7", "10.1.0.8"], "failed to allocate all requested IPs: 10.1.0.8"),
    ];
    for (requested, message) in cases {
        assert_eq!(store.choose(&pools, &requested).unwrap_err().to_string(), message);
    }
    let store = Store { held: vec![at("10.2.0.9")], ..store };
    for requested in [&[][..], &["10.2.0.10"]] {
        assert_eq!(
            store.choose(&pools, requested).unwrap_err().to_string(),
            "failed to allocate for range 1: 10.2.0.9 has been allocated to pod, duplicate allocation is not allowed"
        );
    }
}

proptest! {
    #[test]
    fn what_is_given_is_free_and_the_set_is_exhausted_only_when_full(
        occupied in prop::collection::btree_set(0_u8..=63, 0..64),
        last in prop::option::of(0_u8..=63),
        split in 1_u8..62,
        own_gateway in 0_u8..=63,
    ) {
        let host = |host: u8| format!("10.0.0.{host}");
        let one = RangeOptions { gateway: host(own_gateway).parse().ok(), ..range("10.0.0.0/26", "", &host(split)) };
        let pools = pools(&[&[one, range("10.0.0.0/26", &host(split + 1), "")]]);
        let taken: Taken = occupied.iter().map(|n| at(&host(*n))).collect();
        let store = Store { taken, last_reserved: [last.map(|n| at(&host(n))), None], ..Store::default() };
        // The second range's gateway is the default, the first address.
        let free: Vec<u8> = (1..=62).filter(|n| *n != 1 && *n != own_gateway && !occupied.contains(n)).collect();
        let after = |n: &&u8| last.is_some_and(|last| last != 0 && last != 63 && **n > last);
        let expected = free.iter().find(after).or(free.first()).map(|n| host(*n));
        let given = store.choose(&pools, &[]).ok().map(|choices| choices[0].address.to_string());
        prop_assert_eq!(given, expected);
    }

    #[test]
    fn a_container_that_restarts_meets_every_other_address_first(occupied in prop::collection::btree_set(2_u8..=14, 0..12)) {
        let pools = pools(&[&[range("10.0.0.0/28", "", "")]]);
        let taken: Taken = occupied.iter().map(|n| at(&format!("10.0.0.{n}"))).collect();
        let mut store = Store { taken, ..Store::default() };
        let free = 13 - occupied.len();
        let mut given = BTreeSet::new();
        for _ in 0..free {
            let address = store.give(&pools).unwrap();
            store.taken.remove(at(&address));
            prop_assert!(given.insert(address));
        }
    }
}
