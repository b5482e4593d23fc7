//! DEL.

use std::time::Instant;

use super::*;

#[tokio::test]
async fn it_is_deleted_as_it_was_made_from_the_end() {
    let bed = Bed::new();
    let args = CapabilityArgs::default().with_other("mac", json!("02:00:00:00:00:05"));
    let conf = web().with_args(CniArgs::parse("K=of-the-add").unwrap()).with_capability_args(args);
    let mut made = list("0.4.0", &["one", "two"]);
    made["plugins"][0]["capabilities"] = json!({"mac": true});
    bed.network_of(&made).add(&conf).await.unwrap();
    bed.calls();
    bed.network("1.1.0", &["three"]).del(&web()).await.unwrap();
    assert_eq!(bed.calls(), ["DEL two", "DEL one"]);
    let config = bed.stdin("one", "DEL");
    assert_eq!(config["cniVersion"], "0.4.0");
    assert_eq!(config["runtimeConfig"]["mac"], "02:00:00:00:00:05");
    assert_eq!(address(&config["prevResult"]), "10.1.0.1/24");
    assert_eq!(bed.variable("one", "DEL", "CNI_ARGS").unwrap(), "K=of-the-add");
    assert!(!bed.cached_file().exists());
}

#[tokio::test]
async fn without_configuration_and_network_the_cache_is_enough() {
    let bed = Bed::new();
    bed.network("0.4.0", &["one"]).add(&web()).await.unwrap();
    bed.network("0.4.0", &["one"]).add(&conf("web-2")).await.unwrap();
    bed.calls();
    let found = bed.cni.attachments_of(&kept("web").container_id).await.unwrap();
    assert_eq!(found.len(), 1);
    bed.cni.del_cached(&found[0]).await.unwrap();
    assert_eq!(bed.calls(), ["DEL one"]);
    assert!(bed.cni.attachments_of(&kept("web").container_id).await.unwrap().is_empty());
}

#[tokio::test]
async fn twice_and_never_attached_is_success() {
    let bed = Bed::new();
    let network = bed.network("0.4.0", &["one"]);
    network.add(&web()).await.unwrap();
    for _ in 0..2 {
        network.del(&web()).await.unwrap();
    }
    assert_eq!(bed.stdin("one", "DEL").get("prevResult"), None);
    assert_eq!(bed.calls(), ["ADD one", "DEL one", "DEL one"]);
}

#[tokio::test]
async fn a_failure_keeps_neither_the_others_nor_the_cache_from_their_work() {
    let bed = Bed::new();
    let network = bed.network("0.4.0", &["one", "two", "three"]);
    network.add(&web()).await.unwrap();
    bed.let_fail("three", "DEL", 101);
    bed.uninstall("two");
    bed.calls();
    let error = network.del(&web()).await.unwrap_err();
    assert_eq!(bed.calls(), ["DEL three", "DEL one"]);
    let types: Vec<&str> =
        error.plugin_failures().iter().map(|failure| failure.plugin.as_str()).collect();
    assert_eq!((types, error.code().0), (vec!["three", "two"], 101));
    assert!(bed.cached_file().exists());
    bed.let_succeed("three", "DEL");
    bed.install("two");
    network.del(&web()).await.unwrap();
    assert!(!bed.cached_file().exists());
}

#[tokio::test]
async fn a_plugin_that_does_not_know_the_container_is_done() {
    let bed = Bed::new();
    bed.let_fail("one", "DEL", 3);
    bed.network("0.4.0", &["one"]).del(&web()).await.unwrap();
    assert_eq!(bed.calls(), ["DEL one"]);
}

#[tokio::test]
async fn one_that_hangs_does_not_take_the_time_of_the_others() {
    let mut bed = Bed::new();
    bed.cni.timeout = Duration::from_secs(2);
    bed.let_hang("two", "DEL");
    let started = Instant::now();
    let error = bed.network("0.4.0", &["one", "two"]).del(&web()).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(bed.calls(), ["DEL two", "DEL one"]);
    assert_eq!(error.code().0, 11, "{error}");
}

#[tokio::test]
async fn what_cannot_be_understood_of_the_cache_is_done_without() {
    let bed = Bed::new();
    let entry = |config: &str, result: &str| {
        format!(
            r#"{{"kind": "cniCacheV1", "containerId": "web", "ifName": "eth0", "networkName":
            "pods", "config": "{config}", "result": {result}}}"#
        )
    };
    let contents = [
        String::new(),
        "adfadsfasdfasfdsafaf".to_owned(),
        entry("not base64!", "{}"),
        entry("bm8gSlNPTg==", r#"{"cniVersion": "0.4.0"}"#),
        entry("", r#"{"cniVersion": "0.4567.0"}"#),
    ];
    for content in contents {
        bed.write_cached(&content);
        bed.network("0.4.0", &["one"]).del(&web()).await.unwrap();
        assert_eq!(bed.calls(), ["DEL one"], "{content}");
        assert!(!bed.cached_file().exists(), "{content}");
    }
}

#[tokio::test]
async fn a_bare_result_of_an_older_runtime_is_the_prev_result() {
    let bed = Bed::new();
    let content = r#"{"cniVersion": "0.3.1", "ips": [{"version": "4", "address": "10.9.0.1/24"}]}"#;
    bed.write_cached(content);
    let conf = web().with_args(CniArgs::parse("K=asked").unwrap());
    bed.network("1.0.0", &["one"]).del(&conf).await.unwrap();
    let prev = &bed.stdin("one", "DEL")["prevResult"];
    assert_eq!((address(prev), &prev["cniVersion"]), ("10.9.0.1/24", &json!("1.0.0")));
    assert_eq!(bed.variable("one", "DEL", "CNI_ARGS").unwrap(), "K=asked");
    assert!(!bed.cached_file().exists());
}

#[tokio::test]
async fn before_0_4_0_there_is_no_prev_result() {
    let bed = Bed::new();
    let network = bed.network("0.3.1", &["one"]);
    network.add(&web()).await.unwrap();
    network.del(&web()).await.unwrap();
    assert_eq!(bed.stdin("one", "DEL").get("prevResult"), None);
    assert!(!bed.cached_file().exists());
}

#[tokio::test]
async fn a_namespace_that_has_gone_or_is_the_hosts_is_not_passed_on() {
    let mut bed = Bed::new();
    bed.cni.check_netns = true;
    for netns in ["/no/such/netns", "/proc/self/ns/net", "/dev/null", ""] {
        bed.network("0.4.0", &["one"]).del(&web().with_netns(netns)).await.unwrap();
        assert_eq!(bed.variable("one", "DEL", "CNI_NETNS").unwrap(), "", "{netns}");
    }
}

#[tokio::test]
async fn plugins_of_the_folder_that_a_go_runtime_did_not_cache_are_deleted_too() {
    let bed = Bed::new();
    bed.network("0.4.0", &["one"]).add(&web()).await.unwrap();
    bed.calls();
    bed.network("0.4.0", &["one", "two"]).del(&web()).await.unwrap();
    assert_eq!(bed.calls(), ["DEL two", "DEL one"]);
}
