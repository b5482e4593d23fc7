//! The cached result, read back by the documented format: libcni's `cachedInfo`.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podnet_cni_plugin::{Network, RuntimeConf};
use podnet_cni_spec::{AddResult, NetworkConfigList};
use podnet_testkit::TestHost;
use serde_json::{Value, json};

/// Every key, and none besides: those that an attachment with namespace and arguments has.
const KEYS: [&str; 8] =
    ["cniArgs", "config", "containerId", "ifName", "kind", "netns", "networkName", "result"];
/// Only there where the runtime gave any.
const CAPABILITY_ARGS: &str = "capabilityArgs";

/// What libcni would find of this attachment in its cache.
pub(super) fn assert_documented(
    host: &TestHost,
    network: &Network,
    conf: &RuntimeConf,
    result: &AddResult,
) {
    let (list, attachment) = (network.list(), &conf.attachment);
    let name = format!("{}-{}-{}", list.name, attachment.container_id, attachment.interface);
    let file = std::fs::read(host.folder().join("cache/results").join(name)).unwrap();
    let cached: Value = serde_json::from_slice(&file).unwrap();
    let mut keys: BTreeSet<&str> = KEYS.into();
    if !conf.capability_args.is_empty() {
        keys.insert(CAPABILITY_ARGS);
        assert_eq!(cached[CAPABILITY_ARGS].as_object().unwrap(), conf.capability_args.as_map());
    }
    let found: BTreeSet<&str> = cached.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found, keys);

    assert_eq!(cached["kind"], "cniCacheV1");
    assert_eq!(cached["networkName"], list.name.as_str());
    assert_eq!(cached["containerId"], attachment.container_id.as_str());
    assert_eq!(cached["ifName"], attachment.interface.as_str());
    assert_eq!(cached["netns"], attachment.netns.as_ref().unwrap().to_str().unwrap());
    assert_eq!(cached["cniArgs"], json!([["IgnoreUnknown", "1"], ["K8S_POD_NAME", "web"]]));
    assert_eq!(cached["result"], result.to_json(list.version).unwrap());
    let config = STANDARD.decode(cached["config"].as_str().unwrap()).unwrap();
    assert_eq!(NetworkConfigList::from_json(&config).unwrap(), *list);
}
