//! The flavour with plugins that only note what they are told; `make` makes the interface that they promise.

use std::collections::BTreeSet;
use std::sync::Mutex;

use podnet_cni_invoke::{ExecError, SearchPath};
use podnet_cni_spec::{
    AddResult, CniError, ErrorCode, IpConfig, PluginType, PluginVersions, Request, SpecVersion,
    Verb,
};
use podnet_netutil::{MacAddr, Netlink};
use podnet_plugin_api::NotReadyReason;
use podnet_testkit::{Pod, TestHost};

use super::*;

const ADDRESS: &str = "10.1.0.7/24";

/// Every plugin of every type.
#[derive(Default)]
struct Notes {
    calls: Mutex<Vec<Request>>,
    /// What fails, as `VERB type`.
    failing: Mutex<BTreeSet<String>>,
    versions: Mutex<Vec<&'static str>>,
}

impl Notes {
    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(name).collect()
    }

    fn forget(&self) {
        self.calls.lock().unwrap().clear();
    }

    fn fail(&self, calls: &[&str]) {
        *self.failing.lock().unwrap() = calls.iter().map(ToString::to_string).collect();
    }

    fn last(&self) -> Request {
        self.calls.lock().unwrap().last().unwrap().clone()
    }

    /// Notes the call, and fails if that was asked for.
    fn take(&self, request: &Request) -> Result<(), CniError> {
        self.calls.lock().unwrap().push(request.clone());
        if self.failing.lock().unwrap().contains(&name(request)) {
            return Err(CniError::new(ErrorCode::PLUGIN_NOT_AVAILABLE, "out of order"));
        }
        Ok(())
    }
}

fn result(plugin: &PluginType) -> AddResult {
    let address = IpConfig {
        address: ADDRESS.parse().unwrap(),
        interface: None,
        gateway: None,
        extra: serde_json::Map::new(),
    };
    let ips = if plugin.as_str() == "loopback" { Vec::new() } else { vec![address] };
    AddResult { ips, ..AddResult::default() }
}

fn name(request: &Request) -> String {
    format!("{} {}", request.verb, request.config.plugin_type().unwrap())
}

impl Exec for Notes {
    fn run<'a>(
        &'a self,
        plugin: &'a PluginType,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Option<AddResult>, ExecError>> {
        Box::pin(async {
            self.take(request).map_err(|error| ExecError::reported(plugin, request, error))?;
            Ok((request.verb == Verb::Add).then(|| result(plugin)))
        })
    }

    fn versions<'a>(
        &'a self,
        _: &'a PluginType,
    ) -> BoxFuture<'a, Result<PluginVersions, ExecError>> {
        let mut supported: Vec<String> =
            self.versions.lock().unwrap().iter().map(ToString::to_string).collect();
        if supported.is_empty() {
            supported = SpecVersion::ALL.iter().map(ToString::to_string).collect();
        }
        Box::pin(async { Ok(PluginVersions { cni_version: "1.1.0".to_owned(), supported }) })
    }
}

struct Bed {
    host: TestHost,
    notes: Arc<Notes>,
}

impl Bed {
    fn new() -> Self {
        let bed = Self { host: TestHost::new().unwrap(), notes: Arc::default() };
        std::fs::create_dir(bed.host.folder().join("conf")).unwrap();
        bed
    }

    fn with_network(plugin: &str) -> Self {
        let bed = Self::new();
        bed.configure(plugin);
        bed
    }

    fn configure(&self, plugin: &str) {
        let list = format!(
            r#"{{"cniVersion": "1.1.0", "name": "pods", "plugins": [{plugin}, {{"type": "second"}}]}}"#
        );
        std::fs::write(self.host.folder().join("conf/10-pods.conflist"), list).unwrap();
    }

    async fn start(&self) -> CniPlugin {
        let folder = self.host.folder();
        let mut options = CniOptions::new(folder.join("conf"), SearchPath::default());
        options.cache_dir = folder.join("cache");
        options.runtime_dir = folder.join("locks");
        let exec: Arc<dyn Exec> = Arc::<Notes>::clone(&self.notes);
        let plugin = CniPlugin::new(options, exec);
        plugin.init(&Settings::default()).await.unwrap();
        plugin
    }

    fn is_clean(&self) -> bool {
        let files = |name: &str| std::fs::read_dir(self.host.folder().join(name)).unwrap().count();
        files("cache/results") == 0 && files("locks") == 0
    }
}

fn sandbox(pod: &Pod) -> PodSandbox {
    PodSandbox::new("default", pod.name(), "a1").unwrap().with_netns(pod.path())
}

/// Makes the interface that the plugins promise.
async fn make_eth0(pod: &Pod) {
    let netlink = Netlink::open_in(pod.netns()).unwrap();
    netlink.create_bridge("eth0", MacAddr::local([0; 6])).await.unwrap();
    let eth0 = netlink.require_link("eth0").await.unwrap();
    netlink.add_address(&eth0, ADDRESS.parse().unwrap()).await.unwrap();
}

const SET_UP: [&str; 3] = ["ADD loopback", "ADD first", "ADD second"];
const FIRST: &str = r#"{"type": "first"}"#;

#[test]
fn lo_is_attached_first_and_each_plugin_gets_what_it_declares() {
    let bed = Bed::with_network(r#"{"type": "first", "capabilities": {"ipRanges": true}}"#);
    let web = bed.host.add_pod("web").unwrap();
    bed.host
        .run(async || {
            let plugin = bed.start().await;
            let cidrs = "10.9.0.0/24".parse().unwrap();
            plugin.event(Event::PodCidrChange { cidrs }).await.unwrap();
            plugin.set_up_pod(&sandbox(&web)).await.unwrap();
        })
        .unwrap();
    assert_eq!(bed.notes.calls(), SET_UP);
    let calls = bed.notes.calls.lock().unwrap();
    let configured: Vec<_> = calls.iter().map(|request| request.config.to_value()).collect();
    assert_eq!(configured[0]["name"], "cni-loopback");
    assert_eq!(configured[0]["cniVersion"], "0.2.0");
    let ranges = serde_json::json!({ "ipRanges": [[{ "subnet": "10.9.0.0/24" }]] });
    assert_eq!(configured[1]["runtimeConfig"], ranges);
    assert!(configured[2].get("runtimeConfig").is_none());
    let interfaces = calls.iter().map(|request| request.attachment.as_ref().unwrap());
    let interfaces: Vec<_> = interfaces.map(|to| to.interface.as_str()).collect();
    assert_eq!(interfaces, ["lo", "eth0", "eth0"]);
}

#[test]
fn a_pod_that_is_attached_keeps_what_it_has() {
    let bed = Bed::with_network(FIRST);
    let web = bed.host.add_pod("web").unwrap();
    bed.host
        .run(async || {
            let first = bed.start().await.set_up_pod(&sandbox(&web)).await.unwrap().unwrap();
            make_eth0(&web).await;
            bed.notes.forget();
            let second = bed.start().await.set_up_pod(&sandbox(&web)).await.unwrap().unwrap();
            assert_eq!(first, second);
            assert_eq!(bed.notes.calls(), [""; 0]);
        })
        .unwrap();
}

#[test]
fn what_a_set_up_left_that_was_cut_off_is_taken_away_first() {
    let bed = Bed::with_network(FIRST);
    let web = bed.host.add_pod("web").unwrap();
    bed.host
        .run(async || {
            let plugin = bed.start().await;
            plugin.set_up_pod(&sandbox(&web)).await.unwrap();
            bed.notes.forget();
            // The interface that was promised is not there.
            plugin.set_up_pod(&sandbox(&web)).await.unwrap();
            let calls = bed.notes.calls();
            assert_eq!(calls[..2], ["DEL second", "DEL first"]);
            assert_eq!(calls[2..], SET_UP);
        })
        .unwrap();
}

#[test]
fn a_failed_set_up_is_undone_and_told_whole() {
    let bed = Bed::with_network(FIRST);
    let web = bed.host.add_pod("web").unwrap();
    bed.notes.fail(&["ADD second", "DEL loopback"]);
    bed.host
        .run(async || {
            let plugin = bed.start().await;
            let error = plugin.set_up_pod(&sandbox(&web)).await.unwrap_err().to_string();
            let expected = "cannot set up pod default/web: network pods (plugin 2 of 2): plugin second: ADD of \
                            container a1: out of order (code 50); then network cni-loopback (plugin 1 of 1): plugin \
                            loopback: DEL of container a1: out of order (code 50)";
            assert_eq!(error, expected);
            let calls = bed.notes.calls();
            assert_eq!(calls[..3], SET_UP);
            assert_eq!(calls[3..], ["DEL second", "DEL first", "DEL loopback"]);
            bed.notes.fail(&[]);
            plugin.tear_down_pod(&sandbox(&web)).await.unwrap();
        })
        .unwrap();
    assert!(bed.is_clean());
}

#[test]
fn a_limit_out_of_range_is_refused_before_anything_is_touched() {
    let bed = Bed::with_network(FIRST);
    let web = bed.host.add_pod("web").unwrap();
    bed.host
        .run(async || {
            let plugin = bed.start().await;
            let pod = sandbox(&web).with_annotation("kubernetes.io/ingress-bandwidth", "999");
            let error = plugin.set_up_pod(&pod).await.unwrap_err().to_string();
            assert!(error.contains("\"999\" is no rate from 1k to 1P bits a second"), "{error}");
            assert_eq!(bed.notes.calls(), [""; 0]);
            plugin.tear_down_pod(&pod).await.unwrap();
        })
        .unwrap();
}

#[test]
fn a_tear_down_uses_what_is_cached_once_the_configuration_has_gone() {
    let bed = Bed::with_network(FIRST);
    let web = bed.host.add_pod("web").unwrap();
    bed.host
        .run(async || {
            bed.start().await.set_up_pod(&sandbox(&web)).await.unwrap();
            std::fs::remove_file(bed.host.folder().join("conf/10-pods.conflist")).unwrap();
            bed.notes.forget();
            let without_netns = PodSandbox::new("default", "web", "a1").unwrap();
            let plugin = bed.start().await;
            plugin.tear_down_pod(&without_netns).await.unwrap();
            assert_eq!(bed.notes.calls(), ["DEL second", "DEL first", "DEL loopback"]);
            let told = bed.notes.last().attachment.unwrap();
            assert_eq!((told.netns, told.args.get("K8S_POD_NAME")), (None, Some("web")));
            plugin.tear_down_pod(&without_netns).await.unwrap();
            assert_eq!(bed.notes.calls().len(), 3, "nothing is known of it any more");
        })
        .unwrap();
    assert!(bed.is_clean());
}

#[test]
fn a_namespace_that_is_not_named_is_found_by_the_pods_address_alone() {
    let bed = Bed::with_network(FIRST);
    let (web, other) = (bed.host.add_pod("web").unwrap(), bed.host.add_pod("other").unwrap());
    let netns = web.path().to_owned();
    bed.host
        .run(async || {
            let plugin = bed.start().await;
            let without_netns = PodSandbox::new("default", "web", "a1").unwrap();
            for (attached, expected) in [(&web, Some(netns)), (&other, None)] {
                plugin.set_up_pod(&sandbox(attached)).await.unwrap();
                if expected.is_some() {
                    make_eth0(attached).await;
                }
                plugin.tear_down_pod(&without_netns).await.unwrap();
                assert_eq!(bed.notes.last().attachment.unwrap().netns, expected);
            }
        })
        .unwrap();
}

#[test]
fn a_tear_down_goes_on_after_a_failure_and_can_be_repeated() {
    let bed = Bed::with_network(FIRST);
    let web = bed.host.add_pod("web").unwrap();
    bed.host
        .run(async || {
            let plugin = bed.start().await;
            plugin.set_up_pod(&sandbox(&web)).await.unwrap();
            bed.notes.forget();
            bed.notes.fail(&["DEL second", "DEL loopback"]);
            let error = plugin.tear_down_pod(&sandbox(&web)).await.unwrap_err().to_string();
            assert!(error.contains("plugin second: DEL") && !error.contains("loopback"), "{error}");
            assert_eq!(bed.notes.calls(), ["DEL second", "DEL first", "DEL loopback"]);
            bed.notes.fail(&[]);
            plugin.tear_down_pod(&sandbox(&web)).await.unwrap();
        })
        .unwrap();
    assert!(bed.is_clean());
}

#[test]
fn a_pod_that_nobody_knows_is_deleted_by_todays_configuration() {
    let bed = Bed::with_network(FIRST);
    bed.host
        .run(async || {
            let plugin = bed.start().await;
            let unknown = PodSandbox::new("default", "web", "a1").unwrap();
            plugin.tear_down_pod(&unknown).await.unwrap();
            assert_eq!(bed.notes.calls(), ["DEL second", "DEL first"]);
        })
        .unwrap();
}

async fn reason(plugin: &CniPlugin) -> (NotReadyReason, String) {
    let NotReady { reason, message } = plugin.status().await.unwrap_err();
    (reason, message)
}

#[test]
fn not_ready_says_what_is_missing() {
    let bed = Bed::new();
    bed.host
        .run(async || {
            let plugin = bed.start().await;
            let (word, message) = reason(&plugin).await;
            assert_eq!(word, NotReadyReason::NoNetworkConfig);
            assert!(
                message.contains(bed.host.folder().join("conf").to_str().unwrap()),
                "{message}"
            );

            bed.configure(r#"{"type": "first", "capabilities": {"ipRanges": true}}"#);
            let (word, message) = reason(&plugin).await;
            assert_eq!(word, NotReadyReason::NoPodCidr);
            assert!(
                message.starts_with("network pods needs ipRanges, and no pod CIDR"),
                "{message}"
            );
            let cidrs = "10.9.0.0/24".parse().unwrap();
            plugin.event(Event::PodCidrChange { cidrs }).await.unwrap();
            plugin.status().await.unwrap();
            assert_eq!(bed.notes.calls(), ["STATUS first", "STATUS second"]);

            bed.notes.fail(&["STATUS second"]);
            let (word, message) = reason(&plugin).await;
            assert_eq!(word, NotReadyReason::NetworkUnavailable);
            assert!(message.contains("plugin second: STATUS: out of order"), "{message}");
        })
        .unwrap();
}

#[test]
fn programs_that_are_too_old_are_named() {
    let bed = Bed::with_network(FIRST);
    *bed.notes.versions.lock().unwrap() = vec!["0.1.0", "1.0.0"];
    bed.host
        .run(async || {
            let (word, message) = reason(&bed.start().await).await;
            assert_eq!(word, NotReadyReason::PluginsMissing);
            assert!(message.contains("plugin first does not speak CNI 1.1.0"), "{message}");
        })
        .unwrap();
    *bed.notes.versions.lock().unwrap() = vec!["0.1.0"];
    let old = r#"{"cniVersion": "0.1.0", "name": "pods", "type": "first"}"#;
    std::fs::write(bed.host.folder().join("conf/10-pods.conflist"), "").unwrap();
    std::fs::write(bed.host.folder().join("conf/20-old.conf"), old).unwrap();
    let web = bed.host.add_pod("web").unwrap();
    bed.host
        .run(async || {
            let plugin = bed.start().await;
            let too_old = "plugin loopback: supports CNI 0.1.0, at least 0.2.0 is needed";
            assert!(reason(&plugin).await.1.starts_with(too_old));
            let error = plugin.set_up_pod(&sandbox(&web)).await.unwrap_err().to_string();
            assert!(
                error.contains("cannot set up pod default/web yet: plugin loopback"),
                "{error}"
            );
        })
        .unwrap();
}

#[test]
fn an_uninitialised_plugin_does_nothing_and_a_second_init_is_refused() {
    let bed = Bed::with_network(FIRST);
    let web = bed.host.add_pod("web").unwrap();
    bed.host
        .run(async || {
            let exec: Arc<dyn Exec> = Arc::<Notes>::clone(&bed.notes);
            let plugin = CniPlugin::new(CniOptions::default(), exec);
            assert_eq!(reason(&plugin).await.0, NotReadyReason::NotInitialised);
            assert!(plugin.set_up_pod(&sandbox(&web)).await.is_err());
            assert!(plugin.tear_down_pod(&sandbox(&web)).await.is_err());
            let started = bed.start().await;
            let again = started.init(&Settings::default()).await;
            assert!(matches!(again, Err(PluginError::AlreadyInitialised { .. })));
        })
        .unwrap();
}

#[test]
fn operations_on_one_pod_wait_for_each_other_whatever_its_id() {
    let bed = Bed::with_network(FIRST);
    bed.host
        .run(async || {
            let plugin = bed.start().await;
            let longest: ContainerId = "a".repeat(255).parse().unwrap();
            let turn = plugin.turn(&longest).await.unwrap();
            let mut other = bed.start().await;
            other.options.timeout = std::time::Duration::from_millis(5);
            assert!(other.turn(&longest).await.is_err());
            other.turn(&"b".parse().unwrap()).await.unwrap();
            drop(turn);
            other.turn(&longest).await.unwrap();
        })
        .unwrap();
}
