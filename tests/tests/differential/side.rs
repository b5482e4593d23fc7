//! One side: its programs, and a case played with them on a host of its own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use podnet_netutil::Netns;
use podnet_standard_plugins::BUILTIN_TYPES;
use podnet_testkit::{Pod, TestHost};
use podnet_tests::programs::own;
use serde_json::{Map, Value, json};

use crate::base;
use crate::case::{CONTAINER, Call, Case, DATA_DIR, HOST_DIR, Input, NETNS, Previous, Step};
use crate::names::Names;
use crate::reach::Places;
use crate::world::{self, Watch};

/// How long a deleted namespace may take to go.
const GONE: Duration = Duration::from_secs(10);
/// Pods of every host.
const PODS: [&str; 2] = ["web", "db"];
/// Where the programs find those that they run.
const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// The programs of one side, in a folder by their names.
#[derive(Debug)]
pub(crate) struct Side {
    folder: PathBuf,
    made: bool,
}

impl Side {
    /// The Go programs.
    pub(crate) fn theirs(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), made: false }
    }

    /// Ours, by links as `podnet install` makes them.
    pub(crate) fn ours() -> Self {
        let folder = std::env::temp_dir().join(format!(
            "podnet-bin-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        fs::create_dir(&folder).unwrap();
        for name in BUILTIN_TYPES {
            symlink(own("podnet-cni"), folder.join(name)).unwrap();
        }
        Self { folder, made: true }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if self.made {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Plays the case with a side's programs, and with the other's where it says so; returns all that was seen of it.
pub(crate) fn play(case: &Case, side: &Side, other: &Side) -> Value {
    let host = TestHost::new().unwrap();
    let count = case.pods();
    let pods = [0, 1].map(|number| (number < count).then(|| host.add_pod(PODS[number]).unwrap()));
    let mut stage = Stage {
        case,
        side,
        other,
        host,
        pods,
        world: None,
        names: Names::default(),
        last: Default::default(),
        is_last: false,
        watch: Watch::of(case),
    };
    let folder = stage.host.folder().display().to_string();
    stage.names.learn(&folder, HOST_DIR);
    let mut seen = Map::new();
    for (number, step) in case.steps.iter().enumerate() {
        stage.is_last = number + 1 == case.steps.len();
        if let Some((title, value)) = stage.step(step) {
            seen.insert(format!("{}-{title}", number + 1), value);
        }
    }
    Value::Object(seen)
}

/// A host while a case is played on it.
struct Stage<'a> {
    case: &'a Case,
    side: &'a Side,
    other: &'a Side,
    host: TestHost,
    pods: [Option<Pod>; 2],
    world: Option<Pod>,
    names: Names,
    /// Of each pod the result of the last ADD that succeeded.
    last: [Value; 2],
    is_last: bool,
    watch: Watch,
}

impl Stage<'_> {
    fn step(&mut self, step: &Step) -> Option<(&'static str, Value)> {
        match step {
            Step::Call(call) => return Some((call.verb, self.call(call))),
            Step::Ip { inside, arguments } => {
                let pod = self.pods[0].as_ref().map(Pod::netns);
                self.run(if *inside { pod.unwrap() } else { self.host.netns() }, "ip", arguments);
            }
            Step::Tool { program, arguments } => self.run(self.host.netns(), program, arguments),
            Step::Uplink => self.world = Some(base::join_world(&self.host, &self.pods)),
            Step::Base => base::attach(&self.host, &self.pods),
            Step::Reach { ports, addresses } => {
                let (host, world) = (self.host.netns(), self.world.as_ref());
                let places = Places { host, world, pods: &self.pods };
                return Some(("REACH", places.ask(ports, addresses)));
            }
            Step::File { path, content } => {
                let path = self.host.folder().join(self.own_text(path));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, self.own_text(content)).unwrap();
            }
            Step::Remove { path } => {
                fs::remove_file(self.host.folder().join(self.own_text(path))).unwrap();
            }
            Step::DeletePod => {
                let before = world::veths(self.host.netns());
                self.pods[0] = None;
                // The kernel clears a namespace away in its own time.
                let deadline = Instant::now() + GONE;
                while before > 0 && world::veths(self.host.netns()) == before {
                    assert!(Instant::now() < deadline, "the pod's veth pair stays");
                    std::thread::yield_now();
                }
            }
        }
        None
    }

    fn run(&self, netns: &Netns, program: &str, arguments: &str) {
        let words: Vec<&str> = arguments.split(' ').collect();
        let done = netns.run(|| Command::new(program).args(&words).status()).unwrap();
        assert!(done.unwrap().success(), "{}: {program} {arguments}", self.case.name);
    }

    fn call(&mut self, call: &Call) -> Value {
        let mut answer = self.execute(call);
        let changes = ["ADD", "DEL", "GC"].contains(&call.verb);
        // An IPAM plugin touches files at most: that it leaves the rest alone is seen at the end.
        let files_only = ["host-local", "static"].contains(&call.plugin) && !self.is_last;
        let state = changes.then(|| {
            if files_only {
                return json!({ "store": self.names.in_value(&world::store(&self.host.networks_dir())) });
            }
            world::see(&self.host, &self.pods, &mut self.names, self.watch)
        });
        if call.verb == "ADD" && answer["status"] == 0 {
            self.last[call.pod.unwrap_or_default()] = answer["output"].clone();
        }
        if answer["status"] != 0 {
            // What it says is for a person and in its own words.
            let said = answer["output"]["msg"].as_str().is_some_and(|msg| !msg.is_empty());
            answer["output"]["msg"] = json!(if said { "some words" } else { "no words" });
            answer["output"].as_object_mut().map(|object| object.remove("details"));
        }
        let mut seen = self.names.in_value(&answer);
        if let Some(state) = state {
            seen["state"] = state;
        }
        seen
    }

    fn execute(&self, call: &Call) -> Value {
        let mut command = Command::new(self.programs(call).join(call.plugin));
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        for (name, value) in self.environment(call) {
            command.env(name, value);
        }
        let input = self.input(call);
        let output = self.host.netns().run(|| {
            let mut child = command.spawn().unwrap();
            // A program that ends without reading its input is judged by what it says.
            drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
            child.wait_with_output().unwrap()
        });
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let printed = match text.trim() {
            "" => Value::Null,
            text => {
                serde_json::from_str(text).unwrap_or_else(|_| json!(format!("no JSON: {text}")))
            }
        };
        json!({ "status": output.status.code(), "output": printed })
    }

    fn programs(&self, call: &Call) -> &Path {
        let side = if call.by_other { self.other } else { self.side };
        &side.folder
    }

    fn netns_of(&self, call: &Call) -> String {
        let pod = call.pod.and_then(|number| self.pods[number].as_ref());
        pod.map_or_else(|| "/nowhere".to_owned(), |pod| pod.path().display().to_string())
    }

    /// The variables of a runtime, with the call's own changes.
    fn environment(&self, call: &Call) -> Vec<(&'static str, String)> {
        let id = format!(
            "{CONTAINER}{}",
            call.pod.filter(|pod| *pod > 0).map_or(String::new(), |pod| format!("-{pod}"))
        );
        let mut variables = vec![
            ("CNI_COMMAND", call.verb.to_owned()),
            ("CNI_CONTAINERID", id),
            ("CNI_NETNS", self.netns_of(call)),
            ("CNI_IFNAME", "eth0".to_owned()),
            ("CNI_PATH", self.programs(call).display().to_string()),
            ("PATH", SEARCH_PATH.to_owned()),
        ];
        for (name, value) in &call.environment {
            variables.retain(|(usual, _)| usual != name);
            variables.extend(value.iter().map(|value| (*name, value.clone())));
        }
        variables.into_iter().map(|(name, value)| (name, self.own_text(&value))).collect()
    }

    fn input(&self, call: &Call) -> String {
        let config = match &call.input {
            Input::Text(text) => return self.own_text(text),
            Input::Config(config) => config,
        };
        let mut config = config.clone();
        match &call.previous {
            Previous::None => {}
            Previous::Last => {
                config["prevResult"] = self.last[call.pod.unwrap_or_default()].clone();
            }
            Previous::Given(result) => config["prevResult"] = result.clone(),
        }
        self.own_text(&config.to_string()).replace(NETNS, &self.netns_of(call))
    }

    fn own_text(&self, text: &str) -> String {
        let id: String = self.case.name.chars().filter(char::is_ascii_alphanumeric).collect();
        text.replace(DATA_DIR, &self.host.networks_dir().display().to_string())
            .replace(HOST_DIR, &self.host.folder().display().to_string())
            .replace(CONTAINER, &id)
    }
}
