//! The cache: the format of libcni, and what crashes and others leave in its folder.

use std::os::unix::fs::{PermissionsExt, symlink};

use podnet_cni_spec::{CniArgs, NetworkConfigList};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::attachment::RuntimeConf;
use crate::capability::CapabilityArgs;

/// The keys of libcni's `cachedInfo` in the order of its fields, as Go's encoder writes them.
const OF_LIBCNI: &str = r#"{"kind":"cniCacheV1","containerId":"web","config":"eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoicG9kcyIsInBsdWdpbnMiOlt7InR5cGUiOiJicmlkZ2UifV19","ifName":"eth0","networkName":"pods","netns":"/run/netns/web","cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAME","web"]],"capabilityArgs":{"portMappings":[{"HostPort":8080}]},"result":{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.5/24"}]}}"#;

fn cache() -> (TempDir, ResultCache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = ResultCache::new(folder.path().join("cni"));
    (folder, cache)
}

fn runtime(container: &str, interface: &str) -> RuntimeConf {
    let id = ContainerId::new(container).unwrap();
    RuntimeConf::new(id, InterfaceName::new(interface).unwrap())
}

fn made(name: &str, runtime: RuntimeConf) -> CachedAttachment {
    let list = json!({"name": name, "cniVersion": "1.0.0", "plugins": [{"type": "bridge"}]});
    let list = NetworkConfigList::from_json(list.to_string().as_bytes()).unwrap();
    let result = Some(json!({"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.5/24"}]}));
    CachedAttachment { result, ..CachedAttachment::new(&list, runtime) }
}

fn web() -> CachedAttachment {
    let capability_args = [("portMappings".to_owned(), json!([{"HostPort": 8080}]))];
    let runtime = runtime("web", "eth0")
        .with_netns("/run/netns/web")
        .with_args(CniArgs::parse("IgnoreUnknown=1;K8S_POD_NAME=web").unwrap())
        .with_capability_args(capability_args.into_iter().collect());
    made("pods", runtime)
}

fn lookup(
    cache: &ResultCache,
    like: &CachedAttachment,
) -> Result<Option<CachedAttachment>, CacheError> {
    let Key { network, container_id, interface } = like.key();
    cache.lookup(network, container_id, interface)
}

fn put(cache: &ResultCache, name: &str, content: &str) {
    fs::create_dir_all(&cache.folder).unwrap();
    fs::write(cache.folder.join(name), content).unwrap();
}

#[test]
fn the_file_is_that_of_libcni_byte_for_byte() {
    let (_folder, cache) = cache();
    cache.store(&web()).unwrap();
    let path = cache.path_of(web().key());
    assert!(path.ends_with("cni/results/pods-web-eth0"));
    assert_eq!(fs::read_to_string(&path).unwrap(), OF_LIBCNI);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cache.folder), mode(&path)), (0o700, 0o600));
}

#[test]
fn a_file_of_libcni_is_read() {
    let (_folder, cache) = cache();
    put(&cache, "pods-web-eth0", OF_LIBCNI);
    let found = lookup(&cache, &web()).unwrap().unwrap();
    assert_eq!(found, web());
    assert_eq!(found.result().unwrap().unwrap().ips[0].address.to_string(), "10.1.0.5/24");
}

#[test]
fn the_single_plugin_of_a_conf_file_is_a_list_of_one() {
    let config = br#"{"name": "pods", "cniVersion": "0.4.0", "type": "bridge"}"#.to_vec();
    let list = CachedAttachment { config, ..web() }.list().unwrap().unwrap();
    assert_eq!(list.plugins.len(), 1);
    let config = br#"{"name": "other", "cniVersion": "0.4.0", "type": "bridge"}"#.to_vec();
    assert!(CachedAttachment { config, ..web() }.list().is_err());
}

#[test]
fn an_unfinished_add_is_told_from_a_finished_one() {
    let (_folder, cache) = cache();
    let intent = CachedAttachment { result: None, ..web() };
    assert_eq!(cache.begin(&intent).unwrap(), Before::Unattached);
    assert_eq!(lookup(&cache, &web()).unwrap(), Some(intent.clone()));
    // What a runtime in Go, of any age, takes for an empty result.
    let file: Value =
        serde_json::from_slice(&fs::read(cache.path_of(intent.key())).unwrap()).unwrap();
    assert_eq!(file["result"], json!({"cniVersion": "0.4.0"}));
    assert_eq!(cache.begin(&intent).unwrap(), Before::Unattached, "killed, and tried again");
    cache.store(&web()).unwrap();
    assert_eq!(cache.begin(&intent).unwrap(), Before::Attached);
    assert_eq!(lookup(&cache, &web()).unwrap(), Some(web()));
}

#[test]
fn what_a_crash_left_is_replaced_by_the_next_add() {
    let (_folder, cache) = cache();
    put(&cache, "pods-web-eth0", "");
    let intent = CachedAttachment { result: None, ..web() };
    assert_eq!(cache.begin(&intent).unwrap(), Before::Unattached);
    assert_eq!(lookup(&cache, &web()).unwrap(), Some(intent));
}

#[test]
fn a_bare_result_is_read_and_anything_else_refused() {
    let (_folder, cache) = cache();
    let bare = r#"{"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.5/24"}}"#;
    put(&cache, "pods-web-eth0", bare);
    let found = lookup(&cache, &web()).unwrap().unwrap();
    assert!(found.config.is_empty());
    assert_eq!(found.result().unwrap().unwrap().ips.len(), 1);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let other_kind = OF_LIBCNI.replace("cniCacheV1", "cniCacheV2");
    let bad_name = OF_LIBCNI.replace(r#""eth0""#, r#""../eth0""#);
    for content in ["", "{", "null", "{}", "{\"kind\": 7}", &deep, &other_kind, &bad_name] {
        put(&cache, "pods-web-eth0", content);
        let error = lookup(&cache, &web()).unwrap_err();
        assert!(matches!(error, CacheError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("pods-web-eth0"), "{error}");
    }
}

#[test]
fn a_missing_cache_is_an_empty_one() {
    let (_folder, cache) = cache();
    assert_eq!(lookup(&cache, &web()).unwrap(), None);
    assert_eq!(cache.attachments().unwrap(), []);
    let web = web();
    let Key { network, container_id, interface } = web.key();
    cache.remove(network, container_id, interface).unwrap();
    cache.remove_abandoned().unwrap();
}

#[test]
fn a_listing_passes_over_what_is_none_of_it() {
    let (folder, cache) = cache();
    for attachment in
        [web(), made("pods", runtime("a-web-b", "eth0")), made("lo", runtime("web", "lo"))]
    {
        cache.store(&attachment).unwrap();
    }
    put(&cache, "pods-empty-eth0", "");
    put(&cache, "pods-half-eth0", &OF_LIBCNI[..100]);
    put(&cache, "copy-of-pods-web-eth0", OF_LIBCNI);
    put(&cache, ".podnet-AbCdEf", OF_LIBCNI);
    fs::create_dir(cache.folder.join("pods-folder-eth0")).unwrap();
    symlink("/etc/passwd", cache.folder.join("pods-web-link")).unwrap();
    let fifo = cache.folder.join("pods-web-fifo");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, rustix::fs::Mode::RUSR, 0).unwrap();
    let id = ContainerId::new("web").unwrap();
    assert_eq!(cache.attachments_of(&id).unwrap(), [made("lo", runtime("web", "lo")), web()]);
    assert_eq!(cache.attachments().unwrap().len(), 3);
    drop(folder);
}

#[test]
fn only_old_temporary_files_are_abandoned() {
    let (_folder, cache) = cache();
    for name in [".podnet-new", ".podnet-old", "pods-web-eth0"] {
        put(&cache, name, OF_LIBCNI);
    }
    let old = fs::File::options().write(true).open(cache.folder.join(".podnet-old")).unwrap();
    old.set_modified(SystemTime::now() - 2 * ABANDONED).unwrap();
    cache.remove_abandoned().unwrap();
    let mut names = cache.file_names().unwrap();
    names.sort_unstable();
    assert_eq!(names, [".podnet-new", "pods-web-eth0"]);
}

fn identifier() -> impl Strategy<Value = String> {
    "[A-Za-z0-9][A-Za-z0-9_.-]{0,40}"
}

fn interface() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_.@-]{1,15}".prop_filter("no folder", |name| name != "." && name != "..")
}

prop_compose! {
    fn attachment()(
        name in identifier(), container in identifier(), interface in interface(),
        netns in proptest::option::of("/[ -~é]{1,20}"),
        args in proptest::collection::btree_map("[A-Za-z_]{1,8}", "[^;=\0]{0,8}", 0..4),
        capability in "[A-Za-z./]{1,8}", argument in any::<Option<String>>(),
        result in proptest::option::of(any::<String>()),
    ) -> CachedAttachment {
        let mut runtime = runtime(&container, &interface);
        for (key, value) in args {
            runtime.attachment.args.insert(key, value).unwrap();
        }
        runtime.attachment.netns = netns.map(PathBuf::from);
        runtime.capability_args = CapabilityArgs::default().with_other(capability, json!(argument));
        let result = result.map(|text| json!({"cniVersion": "1.0.0", "dns": {"domain": text}}));
        CachedAttachment { result, ..made(&name, runtime) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_stored_is_found(stored in attachment()) {
        let (_folder, cache) = cache();
        cache.store(&stored).unwrap();
        let path = cache.path_of(stored.key());
        prop_assert_eq!(path.parent(), Some(cache.folder.as_path()));
        prop_assert_eq!(lookup(&cache, &stored).unwrap(), Some(stored.clone()));
        prop_assert_eq!(cache.attachments().unwrap(), vec![stored]);
    }

    #[test]
    fn an_attachment_is_never_taken_for_another_of_the_same_file_name(
        parts in proptest::collection::vec("[a-z]{1,2}", 3..5), first in 1usize..3, second in 1usize..3,
    ) {
        let split = |at: usize| {
            let (name, rest) = parts.split_at(at.min(parts.len() - 2));
            let (id, interface) = rest.split_at(rest.len() - 1);
            made(&name.join("-"), runtime(&id.join("-"), &interface.join("-")))
        };
        let (one, other) = (split(first), split(second));
        prop_assert_eq!(one.key().file_name(), other.key().file_name());
        let (_folder, cache) = cache();
        cache.store(&one).unwrap();
        prop_assert_eq!(lookup(&cache, &other).unwrap().is_some(), one == other);
        prop_assert_eq!(cache.begin(&other).is_ok(), one == other);
    }

    #[test]
    fn no_content_brings_a_panic(content in any::<Vec<u8>>()) {
        let (_folder, cache) = cache();
        fs::create_dir_all(&cache.folder).unwrap();
        fs::write(cache.path_of(web().key()), content).unwrap();
        prop_assert!(lookup(&cache, &web()).is_err());
        prop_assert_eq!(cache.attachments().unwrap(), vec![]);
    }
}
