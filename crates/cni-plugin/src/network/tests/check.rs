//! CHECK and STATUS.

use super::*;

#[tokio::test]
async fn every_plugin_gets_the_cached_result_in_order() {
    let bed = Bed::new();
    let network = bed.network("0.4.0", &["one", "two"]);
    network.add(&web()).await.unwrap();
    bed.calls();
    network.check(&web()).await.unwrap();
    assert_eq!(bed.calls(), ["CHECK one", "CHECK two"]);
    for plugin in ["one", "two"] {
        assert_eq!(address(&bed.stdin(plugin, "CHECK")["prevResult"]), "10.1.0.1/24");
    }
}

#[tokio::test]
async fn it_is_checked_as_it_was_made() {
    let bed = Bed::new();
    let conf = web().with_args(CniArgs::parse("K=of-the-add").unwrap());
    bed.network("0.4.0", &["one"]).add(&conf).await.unwrap();
    bed.calls();
    bed.network("0.4.0", &["two", "three"]).check(&web()).await.unwrap();
    assert_eq!(bed.calls(), ["CHECK one"]);
    assert_eq!(bed.variable("one", "CHECK", "CNI_ARGS").unwrap(), "K=of-the-add");
}

#[tokio::test]
async fn the_first_objection_ends_it() {
    let bed = Bed::new();
    let network = bed.network("1.0.0", &["one", "two"]);
    network.add(&web()).await.unwrap();
    bed.let_fail("one", "CHECK", 103);
    bed.calls();
    let error = network.check(&web()).await.unwrap_err();
    assert_eq!((bed.calls(), error.code().0), (vec!["CHECK one".to_owned()], 103));
    assert!(matches!(error, Error::Plugin(_)), "{error}");
}

#[tokio::test]
async fn nothing_is_asked_before_0_4_0_nor_where_it_is_disabled() {
    let bed = Bed::new();
    let error = bed.network("0.3.1", &["one"]).check(&web()).await.unwrap_err();
    let text = "network pods: CHECK needs cniVersion 0.4.0 or newer; the configuration says 0.3.1";
    assert_eq!((error.to_string().as_str(), error.code().0), (text, 1));
    let mut disabled = list("1.0.0", &["one"]);
    disabled["disableCheck"] = "true".into();
    bed.network_of(&disabled).check(&web()).await.unwrap();
    assert_eq!(bed.calls(), [""; 0]);
}

#[tokio::test]
async fn what_was_never_added_or_is_deleted_is_not_checked() {
    let bed = Bed::new();
    let network = bed.network("0.4.0", &["one"]);
    let error = network.check(&web()).await.unwrap_err();
    assert_eq!((error.code().0, bed.calls()), (3, vec![]), "{error}");
    network.add(&web()).await.unwrap();
    network.del(&web()).await.unwrap();
    bed.calls();
    let error = network.check(&web()).await.unwrap_err();
    assert_eq!((error.code().0, bed.calls()), (3, vec![]), "{error}");
}

#[tokio::test]
async fn a_corrupt_cache_is_an_error() {
    let bed = Bed::new();
    let network = bed.network("0.4.0", &["one"]);
    let unknown = r#"{"kind": "cniCacheV1", "containerId": "web", "ifName": "eth0",
        "networkName": "pods", "result": {"cniVersion": "0.4567.0"}}"#;
    for content in ["", "{", "adfadsfasdfasfdsafaf", r#"{"kind": "other"}"#, unknown] {
        bed.write_cached(content);
        let error = network.check(&web()).await.unwrap_err();
        assert!(matches!(error, Error::Cache { .. } | Error::Refused { .. }), "{content}: {error}");
    }
    assert_eq!(bed.calls(), [""; 0]);
}

#[tokio::test]
async fn an_add_that_was_cut_off_cannot_be_checked() {
    let bed = Bed::new();
    let network = bed.network("0.4.0", &["one"]);
    let intent = CachedAttachment::new(network.list(), web());
    bed.cni.cache.store(&intent).unwrap();
    let error = network.check(&web()).await.unwrap_err();
    assert_eq!((error.code().0, bed.calls()), (11, vec![]), "{error}");
}

#[tokio::test]
async fn status_is_asked_in_order_until_one_objects() {
    let bed = Bed::new();
    bed.let_fail("two", "STATUS", 50);
    let error = bed.network("1.1.0", &["one", "two", "three"]).status().await.unwrap_err();
    assert_eq!(bed.calls(), ["STATUS one", "STATUS two"]);
    assert_eq!(error.code().0, 50);
    let config = bed.stdin("one", "STATUS");
    assert_eq!(config, json!({"type": "one", "name": "pods", "cniVersion": "1.1.0"}));
    assert_eq!(bed.variable("one", "STATUS", "CNI_CONTAINERID"), None);
}

#[tokio::test]
async fn status_is_not_asked_before_1_1_0() {
    let bed = Bed::new();
    bed.let_fail("one", "STATUS", 50);
    bed.network("1.0.0", &["one"]).status().await.unwrap();
    assert_eq!(bed.calls(), [""; 0]);
}
