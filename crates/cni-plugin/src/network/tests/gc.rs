//! GC.

use super::*;

async fn attach(bed: &Bed, network: &Network, containers: &[&str]) {
    for container in containers {
        network.add(&conf(container)).await.unwrap();
    }
    bed.calls();
}

#[tokio::test]
async fn what_is_not_to_stay_is_deleted_and_the_list_passed_on() {
    let bed = Bed::new();
    let network = bed.network("1.1.0", &["one", "two"]);
    attach(&bed, &network, &["web", "old"]).await;
    network.gc(&[kept("web")]).await.unwrap();
    assert_eq!(bed.calls(), ["DEL two", "DEL one", "GC one", "GC two"]);
    assert_eq!(bed.variable("one", "DEL", "CNI_CONTAINERID").unwrap(), "old");
    let stays = json!([{"containerID": "web", "ifname": "eth0"}]);
    for plugin in ["one", "two"] {
        let config = bed.stdin(plugin, "GC");
        assert_eq!(config["cni.dev/valid-attachments"], stays);
        assert_eq!(config["cni.dev/attachments"], stays);
        assert_eq!(bed.variable(plugin, "GC", "CNI_CONTAINERID"), None);
    }
    let left = bed.cni.cache.attachments().unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].runtime.attachment.container_id.as_str(), "web");
}

#[tokio::test]
async fn it_is_deleted_by_its_own_configuration() {
    let bed = Bed::new();
    let made = bed.network("1.1.0", &["one"]);
    attach(&bed, &made, &["old"]).await;
    bed.network("1.1.0", &["two"]).gc(&[]).await.unwrap();
    assert_eq!(bed.calls(), ["DEL one", "GC two"]);
    assert_eq!(bed.stdin("two", "GC")["cni.dev/valid-attachments"], json!([]));
}

#[tokio::test]
async fn before_1_1_0_only_the_cache_is_gone_through() {
    let bed = Bed::new();
    let network = bed.network("1.0.0", &["one"]);
    attach(&bed, &network, &["old"]).await;
    network.gc(&[]).await.unwrap();
    assert_eq!(bed.calls(), ["DEL one"]);
}

#[tokio::test]
async fn other_networks_and_a_disabled_gc_lose_nothing() {
    let bed = Bed::new();
    let network = bed.network("1.1.0", &["one"]);
    attach(&bed, &network, &["web"]).await;
    let mut disabled = list("1.1.0", &["one"]);
    disabled["disableGC"] = true.into();
    bed.network_of(&disabled).gc(&[]).await.unwrap();
    assert_eq!(bed.calls(), [""; 0]);
    let mut other = list("1.1.0", &["two"]);
    other["name"] = "other".into();
    bed.network_of(&other).gc(&[]).await.unwrap();
    assert_eq!(bed.calls(), ["GC two"]);
    assert!(bed.cached_file().exists());
}

#[tokio::test]
async fn a_failure_does_not_end_it() {
    let bed = Bed::new();
    let network = bed.network("1.1.0", &["one", "two"]);
    attach(&bed, &network, &["a", "b"]).await;
    bed.let_fail("two", "DEL", 101);
    bed.let_fail("one", "GC", 102);
    let error = network.gc(&[]).await.unwrap_err();
    let calls = bed.calls();
    let deletes = ["DEL two", "DEL one", "DEL two", "DEL one"];
    assert_eq!(
        (&calls[..4], &calls[4..]),
        (&deletes.map(str::to_owned)[..], &["GC one", "GC two"].map(str::to_owned)[..])
    );
    let Error::Gc(errors) = &error else { panic!("{error}") };
    let codes: Vec<u32> = errors.iter().map(|error| error.code().0).collect();
    assert_eq!(codes, [101, 101, 102]);
    assert_eq!(bed.cni.cache.attachments().unwrap().len(), 2);
}

#[tokio::test]
async fn a_cache_that_cannot_be_read_is_an_error_and_plugins_are_told_all_the_same() {
    let bed = Bed::new();
    fs::write(bed.folder.path().join("cache"), "no folder").unwrap();
    let error = bed.network("1.1.0", &["one"]).gc(&[]).await.unwrap_err();
    assert_eq!((error.code().0, bed.calls()), (5, vec!["GC one".to_owned()]), "{error}");
}

#[tokio::test]
async fn a_namespace_of_a_process_that_ended_is_not_passed_on() {
    let bed = Bed::new();
    let network = bed.network("1.1.0", &["one"]);
    network.add(&web().with_netns("/proc/4242/ns/net")).await.unwrap();
    network.gc(&[]).await.unwrap();
    assert_eq!(bed.variable("one", "DEL", "CNI_NETNS").unwrap(), "");
}

#[tokio::test]
async fn it_waits_for_every_add_and_del_and_they_for_it() {
    let mut bed = Bed::new();
    bed.let_hang("one", "ADD");
    bed.cni.timeout = Duration::from_secs(1);
    let hanging = bed.network("1.1.0", &["one"]);
    bed.cni.timeout = Duration::from_secs(30);
    let network = bed.network("1.1.0", &["one"]);
    let (web, db, keep) = (conf("web"), conf("db"), [kept("web")]);
    let (add, gc, del) = tokio::join!(hanging.add(&web), network.gc(&keep), network.del(&db));
    assert!(add.is_err() && gc.is_ok() && del.is_ok());
    assert_eq!(bed.calls(), ["ADD one", "DEL one", "GC one", "DEL one"]);
}
