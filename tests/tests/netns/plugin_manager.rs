//! Many pods through one `PluginManager` with kubenet behind it, on several threads.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use podnet_kubenet::{BRIDGE, Kubenet, KubenetOptions, NETWORK};
use podnet_netutil::Netlink;
use podnet_plugin_api::prometheus_client::encoding::text;
use podnet_plugin_api::prometheus_client::registry::Registry;
use podnet_plugin_api::{
    BoxFuture, Deadlines, Error, Event, NetworkPlugin, NotReady, PluginManager, PluginName,
    PodNetworkStatus, PodSandbox, Settings,
};
use podnet_testkit::TestHost;

const PODS: usize = 500;
const TASKS: usize = 32;
const THREADS: usize = 4;

/// From when to when an operation on a pod ran inside the plugin.
#[derive(Debug, Clone)]
struct Span {
    pod: String,
    begun: Instant,
    ended: Instant,
}

/// kubenet, noting when it is called.
struct Recorded {
    kubenet: Kubenet,
    spans: Mutex<Vec<Span>>,
}

impl Recorded {
    async fn record<T>(&self, pod: &PodSandbox, operation: BoxFuture<'_, T>) -> T {
        let begun = Instant::now();
        let result = operation.await;
        let span = Span { pod: pod.to_string(), begun, ended: Instant::now() };
        self.spans.lock().unwrap().push(span);
        result
    }
}

impl NetworkPlugin for Recorded {
    fn name(&self) -> &PluginName {
        self.kubenet.name()
    }
    fn init<'a>(&'a self, settings: &'a Settings) -> BoxFuture<'a, Result<(), Error>> {
        self.kubenet.init(settings)
    }
    fn event(&self, event: Event) -> BoxFuture<'_, Result<(), Error>> {
        self.kubenet.event(event)
    }
    fn set_up_pod<'a>(
        &'a self,
        pod: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>> {
        Box::pin(self.record(pod, self.kubenet.set_up_pod(pod)))
    }
    fn tear_down_pod<'a>(&'a self, pod: &'a PodSandbox) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.record(pod, self.kubenet.tear_down_pod(pod)))
    }
    fn pod_network_status<'a>(
        &'a self,
        pod: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>> {
        Box::pin(self.record(pod, self.kubenet.pod_network_status(pod)))
    }
    fn status(&self) -> BoxFuture<'_, Result<(), NotReady>> {
        self.kubenet.status()
    }
}

async fn kubenet(host: &TestHost) -> Arc<Recorded> {
    let kubenet = Kubenet::new(KubenetOptions::new(host.networks_dir(), host.runtime_dir()));
    kubenet.init(&Settings::default()).await.unwrap();
    kubenet.event(Event::PodCidrChange { cidrs: "10.9.0.0/16".parse().unwrap() }).await.unwrap();
    Arc::new(Recorded { kubenet, spans: Mutex::default() })
}

/// Has the tasks take every pod twice, one soon after the other, so that two of them want the same pod at once.
async fn for_each_pod_twice<F>(
    pods: &Arc<Vec<PodSandbox>>,
    work: impl Fn(PodSandbox) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (pods, next, work) = (Arc::clone(pods), Arc::clone(&next), work.clone());
            tokio::spawn(async move {
                while let Some(pod) = pods.get(next.fetch_add(1, Ordering::Relaxed) / 2) {
                    work(pod.clone()).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Attaches all pods, asks for their status, detaches them all. Returns the pods' addresses while all were attached.
async fn serve(
    manager: Arc<PluginManager>,
    pods: Arc<Vec<PodSandbox>>,
) -> BTreeMap<String, IpAddr> {
    let addresses = Arc::new(Mutex::new(BTreeMap::new()));
    let (attaching, found) = (Arc::clone(&manager), Arc::clone(&addresses));
    for_each_pod_twice(&pods, move |pod| {
        let (manager, found) = (Arc::clone(&attaching), Arc::clone(&found));
        async move {
            let given = manager.set_up_pod(&pod).await.unwrap().unwrap();
            let known = manager.pod_network_status(&pod).await.unwrap().unwrap();
            assert_eq!(given, known);
            let earlier = found.lock().unwrap().insert(pod.to_string(), given.ip());
            assert!(earlier.is_none_or(|earlier| earlier == given.ip()), "{pod} has two addresses");
        }
    })
    .await;
    assert_eq!(ports().await, PODS);
    for_each_pod_twice(&pods, move |pod| {
        let manager = Arc::clone(&manager);
        async move { manager.tear_down_pod(&pod).await.unwrap() }
    })
    .await;
    assert_eq!(ports().await, 0);
    Arc::into_inner(addresses).unwrap().into_inner().unwrap()
}

async fn ports() -> usize {
    let netlink = Netlink::open().unwrap();
    let bridge = netlink.require_link(BRIDGE).await.unwrap();
    netlink.bridge_ports(bridge.index).await.unwrap().len()
}

/// Two operations on one pod never ran at once, and somewhere two on different pods did.
fn check_spans(spans: &[Span]) {
    let mut by_begin = spans.to_vec();
    by_begin.sort_by_key(|span| span.begun);
    let mut last_of_pod: BTreeMap<&str, &Span> = BTreeMap::new();
    for span in &by_begin {
        if let Some(earlier) = last_of_pod.insert(&span.pod, span) {
            assert!(earlier.ended <= span.begun, "{earlier:?} and {span:?} overlap");
        }
    }
    let overlapping = by_begin.windows(2).filter(|pair| pair[1].begun < pair[0].ended).count();
    assert!(overlapping > spans.len() / 10, "only {overlapping} operations overlap another");
}

/// The value of a metric for one operation.
fn metric(text: &str, name: &str, operation: &str) -> usize {
    let series =
        format!("kubelet_network_plugin_operations_{name}{{operation_type=\"{operation}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&series));
    value.unwrap_or_else(|| panic!("no {series}in\n{text}")).parse().unwrap()
}

fn check_metrics(registry: &Registry, operations: usize) {
    let mut text = String::new();
    text::encode(&mut text, registry).unwrap();
    let types = ["set_up_pod", "tear_down_pod", "get_pod_network_status"];
    for operation in types {
        assert_eq!(metric(&text, "total", operation), 2 * PODS);
        assert_eq!(metric(&text, "duration_seconds_count", operation), 2 * PODS);
        assert_eq!(metric(&text, "errors_total", operation), 0);
    }
    let sum: usize = types.iter().map(|operation| metric(&text, "total", operation)).sum();
    assert_eq!(sum, operations);
}

#[test]
fn five_hundred_pods_by_32_tasks_take_turns_on_each_pod_and_overlap_on_different_ones() {
    let host = TestHost::new().unwrap();
    let sandboxes: Vec<_> = (0..PODS).map(|n| host.add_pod(&format!("p{n}")).unwrap()).collect();
    let pods = sandboxes.iter().map(|sandbox| {
        let pod = PodSandbox::new("default", sandbox.name(), sandbox.name()).unwrap();
        pod.with_netns(sandbox.path())
    });
    let pods = Arc::new(pods.collect::<Vec<_>>());
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(THREADS).enable_all();
    // The runtime's threads are in the namespace of the one that makes them.
    host.netns()
        .run(|| {
            runtime.build().unwrap().block_on(async {
                let plugin = kubenet(&host).await;
                let mut registry = Registry::default();
                let manager = PluginManager::new(Arc::clone(&plugin) as Arc<dyn NetworkPlugin>)
                    .with_deadlines(Deadlines::default(), tokio::time::sleep)
                    .with_metrics(&mut registry);

                let addresses = serve(Arc::new(manager), pods).await;

                assert_eq!(addresses.values().collect::<BTreeSet<_>>().len(), PODS);
                let spans = plugin.spans.lock().unwrap();
                check_spans(&spans);
                check_metrics(&registry, spans.len());
            });
        })
        .unwrap();
    let store = std::fs::read_dir(host.networks_dir().join(NETWORK)).unwrap();
    let names = store.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.parse::<IpAddr>().is_ok()).count(), 0);
}
