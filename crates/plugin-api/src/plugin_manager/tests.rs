//! Turns, deadlines, errors and metrics, with a plugin that does what each test wants and a clock that is over at once.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all, pending, ready};
use tokio::sync::{Barrier, Semaphore};

use super::*;
use crate::name::PluginName;
use crate::settings::Settings;

/// What the plugin does at a pod's set-up, beside noting it.
enum SetUp {
    /// Lets others run in between, and fails for a pod called `broken`.
    Yield,
    /// Waits until so many set-ups are under way at once.
    Meet(Barrier),
    /// Waits for a permit.
    Gate(Semaphore),
    Never,
}

struct Probe {
    set_up: SetUp,
    /// How many operations are under way, and how many there have been, for each of ten pods.
    running: [AtomicUsize; 10],
    done: [AtomicUsize; 10],
    order: Mutex<Vec<String>>,
    tear_down: TearDown,
}

type TearDown = fn(&PodSandbox) -> Result<(), Error>;

impl Probe {
    fn new(set_up: SetUp) -> Self {
        let (running, done) = Default::default();
        Self { set_up, running, done, order: Mutex::default(), tear_down: |_| Ok(()) }
    }

    /// The number at the end of a pod's name.
    fn number(pod: &PodSandbox) -> usize {
        pod.name().trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap_or(0)
    }

    async fn operate(&self, pod: &PodSandbox) {
        let number = Self::number(pod);
        let others = self.running[number].fetch_add(1, Ordering::SeqCst);
        assert_eq!(others, 0, "two operations on {pod} at once");
        yield_once().await;
        self.running[number].fetch_sub(1, Ordering::SeqCst);
        self.done[number].fetch_add(1, Ordering::SeqCst);
    }

    async fn set_up(&self, pod: &PodSandbox) -> Result<Option<PodNetworkStatus>, Error> {
        self.order.lock().unwrap().push(pod.id().to_owned());
        match &self.set_up {
            SetUp::Yield if pod.name() == "broken" => return Err(Error::set_up(pod, "no address")),
            SetUp::Yield => self.operate(pod).await,
            SetUp::Meet(others) => {
                others.wait().await;
            }
            SetUp::Gate(gate) => gate.acquire().await.unwrap().forget(),
            SetUp::Never => pending().await,
        }
        Ok(None)
    }
}

impl NetworkPlugin for Probe {
    fn name(&self) -> &PluginName {
        static NAME: PluginName = PluginName::from_static("probe");
        &NAME
    }
    fn init<'a>(&'a self, _: &'a Settings) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(ready(Ok(())))
    }
    fn set_up_pod<'a>(
        &'a self,
        pod: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>> {
        Box::pin(self.set_up(pod))
    }
    fn tear_down_pod<'a>(&'a self, pod: &'a PodSandbox) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.operate(pod).await;
            (self.tear_down)(pod)
        })
    }
    fn pod_network_status<'a>(
        &'a self,
        pod: &'a PodSandbox,
    ) -> BoxFuture<'a, Result<Option<PodNetworkStatus>, Error>> {
        Box::pin(async move {
            self.operate(pod).await;
            Err(Error::no_netns(pod))
        })
    }
    fn status(&self) -> BoxFuture<'_, Result<(), NotReady>> {
        Box::pin(ready(Ok(())))
    }
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// Polls once: a future that has all it needs is through then.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    future.poll_unpin(&mut Context::from_waker(Waker::noop()))
}

fn pod(name: &str, id: &str) -> PodSandbox {
    PodSandbox::new("default", name, id).unwrap()
}

fn managed(probe: Probe) -> (Arc<Probe>, PluginManager) {
    let probe = Arc::new(probe);
    (Arc::clone(&probe), PluginManager::new(probe))
}

/// Ten pods, four rounds, three operations each, all at once on threads: the kubelet's test.
#[test]
fn operations_on_one_pod_exclude_each_other() {
    let (probe, manager) = managed(Probe::new(SetUp::Yield));
    thread::scope(|scope| {
        for number in (0..10).flat_map(|number| [number; 4]) {
            let manager = &manager;
            scope.spawn(move || {
                let sandbox = pod(&format!("pod{number}"), "a1");
                block_on(manager.set_up_pod(&sandbox)).unwrap();
                block_on(manager.pod_network_status(&sandbox)).unwrap_err();
                block_on(manager.tear_down_pod(&sandbox)).unwrap();
            });
        }
    });
    assert!(probe.done.iter().all(|done| done.load(Ordering::SeqCst) == 12));
    assert_eq!(manager.turns.pods(), 0);
}

#[test]
fn set_ups_of_two_pods_run_at_the_same_time() {
    let (_, manager) = managed(Probe::new(SetUp::Meet(Barrier::new(2))));
    let (one, other) = (pod("pod1", "a1"), pod("pod2", "b1"));
    let mut both = Box::pin(join_all([manager.set_up_pod(&one), manager.set_up_pod(&other)]));
    assert!(poll_once(&mut both).is_pending());
    assert!(poll_once(&mut both).is_ready(), "one waits for the other");
}

#[test]
fn two_sandboxes_of_one_pod_take_turns_in_their_order() {
    let (probe, manager) = managed(Probe::new(SetUp::Gate(Semaphore::new(0))));
    let sandboxes = ["a1", "a2", "a3", "a4"].map(|id| pod("pod1", id));
    let mut all = Box::pin(join_all(sandboxes.iter().map(|pod| manager.set_up_pod(pod))));
    for begun in 1..=4 {
        assert!(poll_once(&mut all).is_pending());
        assert_eq!(probe.order.lock().unwrap().len(), begun, "one at a time");
        let SetUp::Gate(gate) = &probe.set_up else { unreachable!() };
        gate.add_permits(1);
    }
    assert!(poll_once(&mut all).is_ready());
    assert_eq!(*probe.order.lock().unwrap(), ["a1", "a2", "a3", "a4"]);
}

#[test]
fn who_gives_up_waiting_leaves_no_place_behind() {
    let (probe, manager) = managed(Probe::new(SetUp::Gate(Semaphore::new(0))));
    let [first, second, third] = ["a1", "a2", "a3"].map(|id| pod("pod1", id));
    let mut first = Box::pin(manager.set_up_pod(&first));
    let mut second = Box::pin(manager.set_up_pod(&second));
    let mut third = Box::pin(manager.set_up_pod(&third));
    for waiting in [&mut first, &mut second, &mut third] {
        assert!(poll_once(waiting).is_pending());
    }
    drop(second);
    // Dropped while the plugin works: the next one begins all the same.
    drop(first);
    assert!(poll_once(&mut third).is_pending());
    assert_eq!(*probe.order.lock().unwrap(), ["a1", "a3"]);
    drop(third);
    assert_eq!(manager.turns.pods(), 0);
}

/// Deadlines that are over at once, but for those of more than a minute, which never are.
fn impatient(manager: PluginManager) -> PluginManager {
    let short = Duration::from_secs(5);
    let deadlines = Deadlines::default().with_set_up(short).with_status(short);
    manager.with_deadlines(deadlines, move |limit| {
        if limit > Duration::from_secs(60) {
            pending().left_future()
        } else {
            ready(()).right_future()
        }
    })
}

#[test]
fn a_set_up_that_overruns_is_undone_in_a_time_of_its_own() {
    let refuse = |pod: &PodSandbox| Err(Error::tear_down(pod, "device is busy"));
    let cases: [(Duration, TearDown, &str); 3] = [
        (Duration::from_secs(90), |_| Ok(()), " and is undone"),
        (Duration::from_secs(90), refuse, ", and undoing it failed: device is busy"),
        (Duration::from_secs(1), |_| Ok(()), ", nor its undoing within 1s; tear the pod down"),
    ];
    for (undo, tear_down, end) in cases {
        let (_, manager) = managed(Probe { tear_down, ..Probe::new(SetUp::Never) });
        let mut manager = impatient(manager);
        manager.deadlines = manager.deadlines.with_undo(undo);
        let error = block_on(manager.set_up_pod(&pod("web", "a1"))).unwrap_err();
        let expected = format!(
            "network plugin probe cannot set up pod default/web: it did not end within 5s{end}"
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_turn_that_does_not_come_in_time_is_given_up() {
    let (probe, manager) = managed(Probe::new(SetUp::Gate(Semaphore::new(0))));
    let manager = impatient(manager);
    let web = pod("web", "a1");
    let mut working = Box::pin(manager.turns.wait(&web));
    let Poll::Ready(turn) = poll_once(&mut working) else { panic!() };
    let error = manager.set_up_pod(&web).now_or_never().unwrap().unwrap_err();
    let expected = "network plugin probe cannot set up pod default/web: earlier operations on the pod did not end within 5s; try again later";
    assert_eq!(error.to_string(), expected);
    assert!(probe.order.lock().unwrap().is_empty(), "the plugin was called before its turn");
    drop(turn);
    assert_eq!(manager.turns.pods(), 0);
}

#[test]
fn plugin_operation_and_pod_are_named_once() {
    let (_, manager) = managed(Probe {
        tear_down: |pod| Err(Error::tear_down(pod, "device is busy")),
        ..Probe::new(SetUp::Yield)
    });
    let broken = pod("broken", "a1");
    let errors = [
        block_on(manager.set_up_pod(&broken)).unwrap_err(),
        block_on(manager.tear_down_pod(&broken)).unwrap_err(),
        block_on(manager.pod_network_status(&broken)).unwrap_err(),
    ];
    let expected = [
        "network plugin probe cannot set up pod default/broken: no address",
        "network plugin probe cannot tear down pod default/broken completely: device is busy",
        "network plugin probe cannot tell the addresses of pod default/broken: it has no network namespace: give the path of one that exists",
    ];
    assert_eq!(errors.each_ref().map(ToString::to_string), expected);
    assert_eq!(errors.map(|error| error.operation()), Operation::ALL);
}

#[cfg(feature = "metrics")]
#[test]
fn metrics_add_up_to_the_operations() {
    let mut registry = prometheus_client::registry::Registry::default();
    let (_, manager) = managed(Probe::new(SetUp::Yield));
    let manager = manager.with_metrics(&mut registry);
    let (web, broken) = (pod("web", "a1"), pod("broken", "b1"));
    for _ in 0..3 {
        block_on(manager.set_up_pod(&web)).unwrap();
    }
    block_on(manager.set_up_pod(&broken)).unwrap_err();
    // One that nobody waits for any longer was an operation too.
    assert!(poll_once(&mut Box::pin(manager.tear_down_pod(&web))).is_pending());

    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for (metric, operation, expected) in [
        ("kubelet_network_plugin_operations_total", "set_up_pod", 4),
        ("kubelet_network_plugin_operations_errors_total", "set_up_pod", 1),
        ("kubelet_network_plugin_operations_duration_seconds_count", "set_up_pod", 4),
        ("kubelet_network_plugin_operations_total", "tear_down_pod", 1),
        ("kubelet_network_plugin_operations_errors_total", "tear_down_pod", 1),
        ("kubelet_network_plugin_operations_duration_seconds_count", "tear_down_pod", 1),
        ("kubelet_network_plugin_operations_total", "get_pod_network_status", 0),
    ] {
        let line = format!("{metric}{{operation_type=\"{operation}\"}} {expected}\n");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    let bucket = "kubelet_network_plugin_operations_duration_seconds_bucket{le=\"0.005\",operation_type=\"set_up_pod\"}";
    assert!(text.contains(bucket), "{text}");
}
