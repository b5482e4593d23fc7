//! The runtime side of CNI with plugins that hang, flood, die and answer nonsense: every call is over in time, the error
//! says which plugin it was, and no process is left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join4;
use podnet_cni_invoke::{ProcessExec, SearchPath};
use podnet_cni_plugin::{Cni, Error, Network, ResultCache, RuntimeConf};
use podnet_cni_spec::{ContainerId, InterfaceName, NetworkConfigList, ValidAttachment};
use podnet_testkit::{Behaviour, FakePlugins, Pod, TestHost};
use serde_json::json;

/// What an operation may take, and how much longer it may be on its way back.
const DEADLINE: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(1);
const GIGABYTE: u64 = 1 << 30;
/// Far less than a gigabyte, and more than all other tests of this process need besides.
const MEMORY: u64 = 256 << 20;

/// A host with a pod, and a runtime whose plugins are fake.
struct Bed {
    // Before the host whose folder it is in.
    pod: Pod,
    host: TestHost,
    plugins: FakePlugins,
    cni: Cni,
}

impl Bed {
    /// One plugin is `good`, the other, `bad`, behaves so.
    fn new(behaviours: &[(&str, Behaviour)]) -> Self {
        let host = TestHost::new().unwrap();
        let pod = host.add_pod("web").unwrap();
        let plugins = FakePlugins::new().unwrap();
        plugins.install("good", &[]).unwrap();
        plugins.install("bad", behaviours).unwrap();
        let exec = ProcessExec::new(SearchPath::new(vec![plugins.folder().to_owned()]));
        let cache = ResultCache::new(host.folder().join("cache"));
        let mut cni = Cni::new(Arc::new(exec), cache);
        cni.timeout = DEADLINE;
        Self { pod, host, plugins, cni }
    }

    fn network(&self) -> Network {
        let plugins = json!([{ "type": "good" }, { "type": "bad" }]);
        let list = json!({ "cniVersion": "1.1.0", "name": "net", "plugins": plugins });
        self.cni.network(NetworkConfigList::from_json(list.to_string().as_bytes()).unwrap())
    }

    fn container(&self, id: &str) -> RuntimeConf {
        RuntimeConf::new(ContainerId::new(id).unwrap(), InterfaceName::new("eth0").unwrap())
            .with_netns(self.pod.path())
    }

    /// The error of an ADD, which left nothing.
    fn failed_add(&self) -> Error {
        let adding = async || in_time(self.network().add(&self.container("web"))).await;
        let error = self.host.run(adding).unwrap().unwrap_err();
        self.assert_no_process();
        let cached = std::fs::read_dir(self.host.folder().join("cache/results")).unwrap();
        assert_eq!(cached.count(), 0, "a failed ADD is undone and forgotten: {error}");
        error
    }

    /// A killed process needs a moment to go.
    fn assert_no_process(&self) {
        let begun = Instant::now();
        loop {
            let left = self.plugins.processes().unwrap();
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < GRACE, "still there: {left:?}");
            std::thread::yield_now();
        }
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let outcome = work.await;
    assert!(begun.elapsed() < DEADLINE + GRACE, "it took {:?}", begun.elapsed());
    outcome
}

fn assert_overdue(error: &Error, call: &str) {
    let message = error.to_string();
    assert!(message.contains(&format!("plugin bad: {call}: not done after ")), "{message}");
    assert!(message.ends_with(", killed with its children; stderr: waiting"), "{message}");
    assert_eq!(error.code().0, 11, "{message}");
}

/// The most memory that this process ever had, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn cni_a_plugin_that_answers_nonsense_is_named_with_what_it_said() {
    let result = |version: &str| json!({ "cniVersion": version, "ips": [] }).to_string();
    let object =
        json!({ "cniVersion": "1.1.0", "code": 107, "msg": "no lease", "details": "of 3" });
    let object = object.to_string();
    let fail = |output: &str| Behaviour::Fail(output.to_owned(), "trace\nlast words".to_owned(), 3);
    let cases = [
        (Behaviour::Print(String::new()), 6, "stdout is empty"),
        (Behaviour::Print(result("1.1.0").split_off(9)), 6, "expected"),
        (Behaviour::Print(result("1.1.0")[..20].to_owned()), 6, "EOF while parsing"),
        (Behaviour::Print(result("9.9.9")), 6, "9.9.9"),
        (Behaviour::Print(object.clone()), 107, "no lease: of 3 (code 107)"),
        (fail(&object), 107, "no lease: of 3 (code 107)"),
        (fail(""), 999, "ended without a message, exit status: 3; stderr: trace last words"),
        (fail("Segmentation"), 6, "exit status: 3, and no answer: "),
        (Behaviour::Die(9), 999, "signal: 9 (SIGKILL)"),
        (Behaviour::Die(15), 999, "signal: 15 (SIGTERM)"),
    ];
    for (behaviour, code, text) in cases {
        let error = Bed::new(&[("ADD", behaviour.clone())]).failed_add();
        let message = error.to_string();
        let beginning = "network net (plugin 2 of 2): plugin bad: ADD of container web: ";
        assert!(message.starts_with(beginning) && message.contains(text), "{message}");
        assert!(!message.contains('\n'), "{message}");
        assert_eq!(error.code().0, code, "{behaviour:?}: {message}");
    }
}

#[test]
fn cni_a_result_of_another_version_is_understood() {
    let answer = json!({
        "cniVersion": "0.4.0", "ips": [{ "version": "4", "address": "10.4.0.2/24" }], "dns": {},
    });
    let bed = Bed::new(&[("ADD", Behaviour::Print(answer.to_string()))]);
    let adding = async || bed.network().add(&bed.container("web")).await;
    let result = bed.host.run(adding).unwrap().unwrap();
    assert_eq!(result.ips[0].address.to_string(), "10.4.0.2/24");
}

#[test]
fn cni_a_plugin_that_hangs_is_over_in_time_on_every_verb() {
    for hang in [Behaviour::Hang, Behaviour::HangDeaf, Behaviour::HangWithChildren] {
        let verbs = ["CHECK", "DEL", "GC", "STATUS"];
        let bed = Bed::new(&verbs.map(|verb| (verb, hang.clone())));
        let network = bed.network();
        let [web, db] = ["web", "db"].map(|id| bed.container(id));
        let kept = [ValidAttachment {
            container_id: web.attachment.container_id.clone(),
            interface: web.attachment.interface.clone(),
        }];
        let errors = bed.host.run(async || {
            network.add(&web).await.unwrap();
            let (check, del) = (network.check(&web), network.del(&db));
            let (status, gc) = (network.status(), network.gc(&kept));
            let all = join4(in_time(check), in_time(del), in_time(status), in_time(gc));
            <[_; 4]>::from(all.await).map(Result::unwrap_err)
        });
        let calls = ["CHECK of container web", "DEL of container db", "STATUS", "GC"];
        for (error, call) in errors.unwrap().iter().zip(calls) {
            assert_overdue(error, call);
        }
        bed.assert_no_process();
    }
}

#[test]
fn cni_an_add_that_hangs_is_over_in_time_and_undone() {
    for hang in [Behaviour::Hang, Behaviour::HangDeaf, Behaviour::HangWithChildren] {
        let error = Bed::new(&[("ADD", hang)]).failed_add();
        assert_overdue(&error, "ADD of container web");
    }
}

#[test]
fn cni_an_add_whose_undo_hangs_has_twice_the_time_and_tells_both() {
    let hang = Behaviour::HangWithChildren;
    let mut bed = Bed::new(&[("ADD", hang.clone()), ("DEL", hang)]);
    bed.cni.undo_timeout = DEADLINE;
    let begun = Instant::now();
    let adding = async || bed.network().add(&bed.container("web")).await;
    let error = bed.host.run(adding).unwrap().unwrap_err();
    assert!(begun.elapsed() < DEADLINE * 2 + GRACE, "{:?}", begun.elapsed());
    let message = error.to_string();
    assert!(message.contains("undoing it failed, too: network net (plugin 2 of 2): "), "{message}");
    assert_eq!(error.plugin_failures().len(), 2, "{message}");
    bed.assert_no_process();
}

#[test]
fn cni_a_gigabyte_takes_neither_memory_nor_time() {
    let before = peak_memory();
    let error = Bed::new(&[("ADD", Behaviour::Flood(GIGABYTE))]).failed_add();
    let message = error.to_string();
    assert!(
        message.contains("plugin bad: ADD of container web: killed, for it wrote"),
        "{message}"
    );

    let bed = Bed::new(&[("ADD", Behaviour::FloodStderr(GIGABYTE))]);
    let adding = async || in_time(bed.network().add(&bed.container("web"))).await;
    // It succeeds if the machine is quick.
    if let Err(error) = bed.host.run(adding).unwrap() {
        assert_eq!(error.code().0, 11, "{error}");
    }
    bed.assert_no_process();
    let grown = peak_memory() - before;
    assert!(grown < MEMORY, "{grown} bytes");
}

#[test]
fn cni_a_child_that_is_left_behind_keeps_nobody_waiting() {
    let bed = Bed::new(&[("ADD", Behaviour::LeaveChild)]);
    let begun = Instant::now();
    let adding = async || bed.network().add(&bed.container("web")).await;
    bed.host.run(adding).unwrap().unwrap();
    assert!(begun.elapsed() < GRACE, "{:?}", begun.elapsed());
    let left = bed.plugins.processes().unwrap();
    assert_eq!(left.len(), 1, "a successful plugin may leave a daemon");
    std::process::Command::new("kill").arg(left[0].to_string()).status().unwrap();
    bed.assert_no_process();
}
