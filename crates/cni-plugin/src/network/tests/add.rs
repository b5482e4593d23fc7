//! ADD, and the undo of one that failed.

use super::*;

#[tokio::test]
async fn each_plugin_gets_the_result_of_the_one_before() {
    let bed = Bed::new();
    let result = bed.network("0.4.0", &["one", "two", "three"]).add(&web()).await.unwrap();
    assert_eq!(bed.calls(), ["ADD one", "ADD two", "ADD three"]);
    assert_eq!(bed.stdin("one", "ADD").get("prevResult"), None);
    assert_eq!(address(&bed.stdin("two", "ADD")["prevResult"]), "10.1.0.0/24");
    assert_eq!(address(&bed.stdin("three", "ADD")["prevResult"]), "10.1.0.1/24");
    assert_eq!(result.ips[0].address.to_string(), "10.1.0.2/24");
}

#[tokio::test]
async fn the_cache_has_all_that_a_del_needs() {
    let bed = Bed::new();
    let args = CniArgs::parse("IgnoreUnknown=1;K8S_POD_NAME=web").unwrap();
    let capability_args = CapabilityArgs::default().with_other("mac", json!("02:00:00:00:00:05"));
    let conf = web().with_args(args).with_capability_args(capability_args);
    let network = bed.network("0.4.0", &["one"]);
    network.add(&conf).await.unwrap();
    let expected = json!({
        "kind": "cniCacheV1", "containerId": "web", "ifName": "eth0", "networkName": "pods",
        "netns": "/run/netns/web",
        "cniArgs": [["IgnoreUnknown", "1"], ["K8S_POD_NAME", "web"]],
        "capabilityArgs": {"mac": "02:00:00:00:00:05"},
        "result": {
            "cniVersion": "0.4.0", "dns": {},
            "ips": [{"version": "4", "address": "10.1.0.0/24"}],
        },
    });
    let mut found = bed.cached_json();
    assert!(found.as_object_mut().unwrap().remove("config").is_some());
    assert_eq!(found, expected);
    let cached = network.cached_attachment(&conf).await.unwrap().unwrap();
    assert_eq!(cached.list().unwrap().as_ref(), Some(network.list()));
}

#[tokio::test]
async fn capability_arguments_reach_those_that_declare_them() {
    let bed = Bed::new();
    let network = bed.network_of(&json!({
        "name": "pods", "cniVersion": "1.0.0", "plugins": [
            {"type": "one"},
            {"type": "two", "capabilities": {"mac": true, "ips": false}},
            {"type": "three", "capabilities": {"io.example/any": true}},
        ],
    }));
    let args = CapabilityArgs::default()
        .with_other("mac", json!("02:00:00:00:00:05"))
        .with_other("ips", json!(["10.1.0.9/24"]))
        .with_other("io.example/any", json!({"Of": "any form"}));
    network.add(&web().with_capability_args(args)).await.unwrap();
    assert_eq!(bed.stdin("one", "ADD").get("runtimeConfig"), None);
    let two = bed.stdin("two", "ADD");
    assert_eq!(two["runtimeConfig"], json!({"mac": "02:00:00:00:00:05"}));
    assert_eq!(two.get("capabilities"), None);
    let expected = json!({"io.example/any": {"Of": "any form"}});
    assert_eq!(bed.stdin("three", "ADD")["runtimeConfig"], expected);
    assert_eq!(network.capabilities().into_iter().collect::<Vec<_>>(), ["io.example/any", "mac"]);
}

#[tokio::test]
async fn nothing_is_run_where_part_of_the_request_is_wrong() {
    let mut bed = Bed::new();
    bed.cni.check_netns = true;
    let of = |netns: &str| web().with_netns(netns);
    let own = of("/proc/self/ns/net");
    let good = json!({"name": "pods", "cniVersion": "1.0.0", "plugins": [{"type": "one"}]});
    let path_as_type = json!({
        "name": "pods", "cniVersion": "1.0.0",
        "plugins": [{"type": "one"}, {"type": "two", "ipam": {"type": "../../bin/sh"}}],
    });
    let no_plugins = json!({"name": "pods", "cniVersion": "1.0.0"});
    let cases = [
        (&good, RuntimeConf::new(kept("web").container_id, kept("web").interface), 4, "missing"),
        (&good, of("/no/such/netns"), 8, "/no/such/netns"),
        (&good, of("/dev/null"), 8, "not a network namespace"),
        (&good, own.clone(), 8, "own namespace"),
    ];
    for (list, conf, code, text) in cases {
        let error = bed.network_of(list).add(&conf).await.unwrap_err();
        assert_eq!((error.code().0, error.to_string().contains(text)), (code, true), "{error}");
    }
    bed.cni.check_netns = false;
    for list in [&path_as_type, &no_plugins] {
        let error = bed.network_of(list).add(&web()).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert_eq!(error.code().0, 7, "{error}");
    }
    assert_eq!(bed.calls(), [""; 0]);
    assert!(!bed.cached_file().exists());
}

#[tokio::test]
async fn nothing_is_run_without_a_place_in_the_cache() {
    let bed = Bed::new();
    fs::write(bed.folder.path().join("cache"), "no folder").unwrap();
    let error = bed.network("1.0.0", &["one"]).add(&web()).await.unwrap_err();
    assert!(matches!(error, Error::Cache { .. }) && error.code().0 == 5, "{error}");
    assert_eq!(bed.calls(), [""; 0]);
}

#[tokio::test]
async fn names_that_make_one_file_name_do_not_take_it_from_each_other() {
    let bed = Bed::new();
    bed.network("1.0.0", &["one"]).add(&conf("a-b")).await.unwrap();
    let mut other = list("1.0.0", &["one"]);
    other["name"] = "pods-a".into();
    let error = bed.network_of(&other).add(&conf("b")).await.unwrap_err().to_string();
    assert!(error.contains("container a-b"), "{error}");
    bed.network_of(&other).del(&conf("b")).await.unwrap();
    assert!(
        bed.network("1.0.0", &["one"]).cached_attachment(&conf("a-b")).await.unwrap().is_some()
    );
}

#[tokio::test]
async fn a_failure_is_undone_from_the_end_of_the_list() {
    let bed = Bed::new();
    bed.let_fail("two", "ADD", 101);
    let error = bed.network("0.4.0", &["one", "two", "three"]).add(&web()).await.unwrap_err();
    assert_eq!(bed.calls(), ["ADD one", "ADD two", "DEL three", "DEL two", "DEL one"]);
    assert_eq!(address(&bed.stdin("one", "DEL")["prevResult"]), "10.1.0.0/24");
    assert!(!bed.cached_file().exists());
    let text = error.to_string();
    let expected =
        "network pods (plugin 2 of 3): plugin two: ADD of container web: two objects (code 101)";
    assert_eq!(text, expected);
    let failure = error.plugin_failures()[0];
    assert_eq!((failure.index, failure.plugin.as_str()), (1, "two"));
    assert_eq!(failure.stderr_tail().trim(), "what two has to say");
    assert_eq!(CniError::from(error).code.0, 101);
}

#[tokio::test]
async fn a_failed_undo_is_told_and_can_be_done_again() {
    let bed = Bed::new();
    bed.let_fail("two", "ADD", 101);
    bed.let_fail("one", "DEL", 102);
    let network = bed.network("0.4.0", &["one", "two"]);
    let error = network.add(&web()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("(code 101); undoing it failed, too:"), "{text}");
    assert!(text.ends_with("(code 102)"), "{text}");
    assert_eq!((error.plugin_failures().len(), error.code().0), (2, 101));
    assert_eq!(bed.cached_json()["podnetAdding"], json!(true));
    bed.let_succeed("one", "DEL");
    // By a configuration that knows nothing of the first plugin any more.
    bed.calls();
    bed.network("0.4.0", &["three"]).del(&web()).await.unwrap();
    assert_eq!(bed.calls(), ["DEL two", "DEL one"]);
    assert_eq!(bed.stdin("one", "DEL").get("prevResult"), None);
    assert!(!bed.cached_file().exists());
}

#[tokio::test]
async fn a_second_add_that_fails_does_not_take_the_attachment_away() {
    let bed = Bed::new();
    let network = bed.network("0.4.0", &["one", "two"]);
    network.add(&web()).await.unwrap();
    let cached = bed.cached_json();
    bed.let_fail("one", "ADD", 4);
    bed.calls();
    let error = network.add(&web()).await.unwrap_err();
    assert_eq!(bed.calls(), ["ADD one"]);
    assert!(matches!(error, Error::Add { undo: Undo::AttachedBefore, .. }), "{error}");
    assert_eq!(bed.cached_json(), cached);
}

#[tokio::test]
async fn a_missing_program_is_undone_like_any_failure() {
    let bed = Bed::new();
    bed.uninstall("two");
    let error = bed.network("0.4.0", &["one", "two"]).add(&web()).await.unwrap_err();
    assert!(error.to_string().contains("plugin two: no such program in"), "{error}");
    // Its DEL cannot be run either.
    assert_eq!(bed.calls(), ["ADD one", "DEL one"]);
    assert!(
        matches!(error, Error::Add { undo: Undo::Failed(ref failures), .. } if failures.len() == 1)
    );
}

#[tokio::test]
async fn an_undo_has_a_time_of_its_own() {
    let mut bed = Bed::new();
    bed.cni.timeout = Duration::from_millis(1500);
    bed.let_hang("two", "ADD");
    let error = bed.network("0.4.0", &["one", "two"]).add(&web()).await.unwrap_err();
    assert_eq!(bed.calls(), ["ADD one", "ADD two", "DEL two", "DEL one"]);
    assert!(matches!(error, Error::Add { undo: Undo::Done, .. }), "{error}");
    assert_eq!(error.code().0, 11, "{error}");
}

#[tokio::test]
async fn an_add_that_was_cut_off_is_found_by_gc() {
    let bed = Bed::new();
    bed.let_hang("two", "ADD");
    let network = bed.network("0.4.0", &["one", "two"]);
    let conf = web();
    let cut_off = async {
        while !bed.log("two.ADD.env").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = network.add(&conf) => panic!("it hangs"),
        () = cut_off => {}
    }
    bed.calls();
    network.gc(&[]).await.unwrap();
    assert_eq!(bed.calls(), ["DEL two", "DEL one"]);
    assert!(!bed.cached_file().exists());
}

#[tokio::test]
async fn a_version_without_words_for_a_result_does_without() {
    let bed = Bed::new();
    bed.answer("one", "ADD", &json!({"cniVersion": "0.2.0"}));
    bed.answer("two", "ADD", &json!({"cniVersion": "0.2.0"}));
    let result = bed.network("0.2.0", &["one", "two"]).add(&web()).await.unwrap();
    assert_eq!(result, AddResult::default());
    assert_eq!(bed.stdin("two", "ADD").get("prevResult"), None);
    assert_eq!(bed.cached_json()["result"], json!({"cniVersion": "0.2.0"}));
}
