//! Whole requests against one store, in turn and at once.

use std::collections::BTreeSet;
use std::fs;

use podnet_cni_spec::{Attachment, CniArgs, CniError, ErrorCode, PluginConfig, Verb};
use podnet_netutil::lock::{FileLock, LockError};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// A network with its store, and one host-local that works on it.
struct Network {
    dir: TempDir,
    host_local: HostLocal,
}

impl Network {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), host_local: HostLocal::new() }
    }

    fn request(&self, container: &str, ipam: &Value) -> Request {
        let mut config =
            json!({"cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": ipam});
        config["ipam"]["dataDir"] = self.dir.path().to_str().into();
        Request {
            verb: Verb::Add,
            attachment: Some(Attachment {
                container_id: container.parse().unwrap(),
                interface: "eth0".parse().unwrap(),
                netns: None,
                args: CniArgs::default(),
            }),
            config: PluginConfig::from_value(config).unwrap(),
        }
    }

    /// A request in a network of two sets, 10.1.0.2 to 10.1.0.6 and 10.2.0.2 to 10.2.0.6.
    fn two_sets(&self, container: &str) -> Request {
        self.request(
            container,
            &json!({"ranges": [[{"subnet": "10.1.0.0/29"}], [{"subnet": "10.2.0.0/29"}]]}),
        )
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("net")
    }

    fn addresses(&self) -> Vec<String> {
        let entries = fs::read_dir(self.store()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.parse::<std::net::IpAddr>().is_ok());
        names.sort();
        names
    }
}

fn addresses(result: &AddResult) -> Vec<String> {
    result.ips.iter().map(|ip| ip.address.to_string()).collect()
}

#[tokio::test]
async fn an_attachment_gets_an_address_of_each_set_and_gives_all_back() {
    let network = Network::new();
    let resolv_conf = network.dir.path().join("resolv.conf");
    fs::write(&resolv_conf, "nameserver 10.9.9.9\n").unwrap();
    let ipam = json!({
        "ranges": [[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}], [{"subnet": "2001:db8::/64"}]],
        "routes": [{"dst": "0.0.0.0/0"}], "resolvConf": resolv_conf,
    });
    let request = network.request("a1", &ipam);
    let result = network.host_local.add(&request).await.unwrap();
    assert_eq!(addresses(&result), ["10.1.0.1/24", "2001:db8::2/64"]);
    assert_eq!(result.ips[0].gateway, Some("10.1.0.254".parse().unwrap()));
    assert_eq!(result.ips[1].gateway, Some("2001:db8::1".parse().unwrap()));
    assert_eq!((result.routes.len(), result.dns.nameservers.len()), (1, 1));
    assert_eq!(network.addresses(), ["10.1.0.1", "2001:db8::2"]);
    for _ in 0..2 {
        network.host_local.del(&request).await.unwrap();
        assert_eq!(network.addresses(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_second_add_is_refused_also_for_a_requested_address() {
    let network = Network::new();
    let request = network.two_sets("a1");
    network.host_local.add(&request).await.unwrap();
    let mut wish = request.clone();
    wish.config.set("runtimeConfig", json!({"ips": ["10.1.0.5"]}));
    for request in [request, wish] {
        let error = network.host_local.add(&request).await.unwrap_err();
        assert!(error.to_string().contains("duplicate allocation is not allowed"), "{error}");
        assert_eq!(error.code(), ErrorCode::INTERNAL);
    }
    assert_eq!(network.addresses(), ["10.1.0.2", "10.2.0.2"]);
}

#[tokio::test]
async fn nothing_is_reserved_when_one_set_has_nothing_to_give() {
    let network = Network::new();
    let small = json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/30"}]]});
    network.host_local.add(&network.request("a1", &small)).await.unwrap();
    let error = network.host_local.add(&network.request("a2", &small)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to allocate for range 1: no IP addresses available in range set: 10.2.0.1-10.2.0.2 (1 of 1 taken)"
    );
    assert_eq!(CniError::from(error).code, ErrorCode::INTERNAL);
    assert_eq!(network.addresses(), ["10.1.0.2", "10.2.0.2"]);
}

#[tokio::test]
async fn an_address_taken_in_spite_of_the_lock_leads_to_another_choice() {
    let network = Network::new();
    let request = network.two_sets("a1");
    let (store, owner) = (network.store(), Owner::new(request.attachment().unwrap()));
    let mut index = Index::default();
    fs::create_dir_all(&store).unwrap();
    let mut opened =
        Access { dir: &store, index: &mut index, notes: None, wait: WAIT }.open().unwrap().unwrap();
    fs::write(store.join("10.2.0.2"), "thief\r\neth0").unwrap();
    let config = Config::new(&request).unwrap();
    let choices = add::choose_and_reserve(&config, &owner, &mut opened).unwrap();
    let chosen: Vec<String> = choices.iter().map(|choice| choice.address.to_string()).collect();
    assert_eq!(chosen, ["10.1.0.2", "10.2.0.3"]);
    assert_eq!(network.addresses(), ["10.1.0.2", "10.2.0.2", "10.2.0.3"]);
}

#[tokio::test]
async fn every_one_of_many_at_once_gets_an_address_of_its_own() {
    let network = Network::new();
    let request = |n: usize| network.request(&format!("c{n}"), &json!({"subnet": "10.1.0.0/24"}));
    let requests: Vec<Request> = (0..200).map(request).collect();
    let adds = requests.iter().map(|request| network.host_local.add(request));
    let results = futures_util::future::join_all(adds).await;
    let given: BTreeSet<String> =
        results.iter().flat_map(|result| addresses(result.as_ref().unwrap())).collect();
    assert_eq!(given.len(), 200);
    let dels = requests.iter().map(|request| network.host_local.del(request));
    assert!(futures_util::future::join_all(dels).await.iter().all(Result::is_ok));
    assert_eq!(network.addresses(), Vec::<String>::new());
}

#[tokio::test]
async fn two_processes_on_one_store_never_give_an_address_twice() {
    let network = Network::new();
    let others = [HostLocal::new(), HostLocal::new(), HostLocal::new()];
    let mut given = BTreeSet::new();
    for n in 0..60 {
        let request = network.request(&format!("c{n}"), &json!({"subnet": "10.1.0.0/26"}));
        let result = others[n % 3].add(&request).await.unwrap();
        assert!(given.insert(addresses(&result)), "{n}");
        if n % 4 == 0 {
            others[(n + 1) % 3].del(&request).await.unwrap();
            given.remove(&addresses(&result));
        }
    }
    assert_eq!(network.addresses().len(), given.len());
}

#[tokio::test]
async fn an_empty_file_is_taken_over_when_its_address_is_the_last() {
    let network = Network::new();
    fs::create_dir_all(network.store()).unwrap();
    fs::write(network.store().join("10.1.0.2"), "").unwrap();
    let request = |container: &str| network.request(container, &json!({"subnet": "10.1.0.0/30"}));
    let result = network.host_local.add(&request("a1")).await.unwrap();
    assert_eq!(addresses(&result), ["10.1.0.2/30"]);
    assert!(network.host_local.add(&request("a2")).await.is_err());
}

#[tokio::test]
async fn a_file_of_an_old_version_is_released_by_its_id() {
    let network = Network::new();
    fs::create_dir_all(network.store()).unwrap();
    for (name, content) in [("10.1.0.2", "old"), ("10.1.0.3", "other\r\neth0")] {
        fs::write(network.store().join(name), content).unwrap();
    }
    network.host_local.del(&network.two_sets("old")).await.unwrap();
    assert_eq!(network.addresses(), ["10.1.0.3"]);
}

#[tokio::test]
async fn a_del_without_store_makes_none() {
    let network = Network::new();
    network.host_local.del(&network.two_sets("a1")).await.unwrap();
    assert!(!network.store().exists());
}

#[tokio::test]
async fn a_check_finds_a_lost_address() {
    let network = Network::new();
    let mut request = network.two_sets("a1");
    let error = network.host_local.check(&request).await.unwrap_err();
    assert!(matches!(error, Error::NotAllocated { .. }), "{error}");
    let result = network.host_local.add(&request).await.unwrap();
    network.host_local.check(&request).await.unwrap();
    request.config = request.config.with_prev_result(&result).unwrap();
    network.host_local.check(&request).await.unwrap();
    fs::write(network.store().join("10.2.0.2"), "thief\r\neth0").unwrap();
    let error = network.host_local.check(&request).await.unwrap_err();
    let Error::AddressNotReserved { address, .. } = error else { panic!("{error}") };
    assert_eq!(address.to_string(), "10.2.0.2");
}

#[tokio::test]
async fn a_lock_held_by_another_is_named_and_the_error_says_try_again() {
    let network = Network::new();
    fs::create_dir_all(network.store()).unwrap();
    let _held = FileLock::acquire(&network.store().join("lock"), WAIT).unwrap();
    let host_local = HostLocal::new().waiting_at_most(Duration::from_millis(20));
    let (first, second) = (network.two_sets("a1"), network.two_sets("a2"));
    let (one, other) = tokio::join!(host_local.add(&first), host_local.add(&second));
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert!(
            matches!(error, Error::Lock(LockError::Held { .. }) | Error::StoreBusy { .. }),
            "{error}"
        );
        assert_eq!(CniError::from(error).code, ErrorCode::TRY_AGAIN_LATER);
    }
}

#[tokio::test]
async fn an_address_that_only_a_note_has_is_given_to_whoever_asks() {
    let (network, notes) = (Network::new(), tempfile::tempdir().unwrap());
    let process = || HostLocal::new().noting_in(notes.path());
    let only = json!({
        "ranges": [[{"subnet": "10.1.0.0/29", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.2"}]],
    });
    process().add(&network.request("a1", &only)).await.unwrap();
    assert!(process().add(&network.request("b2", &only)).await.is_err());
    // Emptied in place, which the directory does not tell.
    fs::write(network.store().join("10.1.0.2"), "").unwrap();
    let given = process().add(&network.request("b2", &only)).await.unwrap();
    assert_eq!(addresses(&given), ["10.1.0.2/29"]);
}
