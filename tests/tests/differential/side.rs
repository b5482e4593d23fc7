//! One side: its programs, and a case played with them on a host of its own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use podnet_standard_plugins::BUILTIN_TYPES;
use podnet_testkit::{Pod, TestHost};
use podnet_tests::programs::own;
use serde_json::{Map, Value, json};

use crate::case::{CONTAINER, Call, Case, DATA_DIR, HOST_DIR, Input, Previous, Step};
use crate::names::Names;
use crate::world;

/// How long a deleted namespace may take to go.
const GONE: Duration = Duration::from_secs(10);
/// Pods of every host.
const PODS: [&str; 2] = ["web", "db"];

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

    /// Whether its programs know this version of the specification.
    pub(crate) fn speaks(&self, version: &str) -> bool {
        let output = Command::new(self.folder.join("bridge"))
            .env("CNI_COMMAND", "VERSION")
            .stdin(Stdio::null())
            .output();
        String::from_utf8_lossy(&output.unwrap().stdout).contains(&format!("\"{version}\""))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if self.made {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Plays the case and returns all that was seen of it.
pub(crate) fn play(case: &Case, side: &Side) -> Value {
    let host = TestHost::new().unwrap();
    let pods = PODS.map(|name| Some(host.add_pod(name).unwrap()));
    let mut stage = Stage {
        case,
        side,
        host,
        pods,
        names: Names::default(),
        last: Value::Null,
        is_last: false,
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
    host: TestHost,
    pods: [Option<Pod>; 2],
    names: Names,
    last: Value,
    is_last: bool,
}

impl Stage<'_> {
    fn step(&mut self, step: &Step) -> Option<(&'static str, Value)> {
        match step {
            Step::Call(call) => return Some((call.verb, self.call(call))),
            Step::Ip { inside, arguments } => {
                let pod = self.pods[0].as_ref().map(Pod::netns);
                let netns = if *inside { pod.unwrap() } else { self.host.netns() };
                let words: Vec<&str> = arguments.split(' ').collect();
                let done = netns.run(|| Command::new("ip").args(&words).status()).unwrap();
                assert!(done.unwrap().success(), "{}: ip {arguments}", self.case.name);
            }
            Step::File { path, content } => {
                let path = self.host.folder().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, self.own_text(content)).unwrap();
            }
            Step::Remove { path } => fs::remove_file(self.host.folder().join(path)).unwrap(),
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

    fn call(&mut self, call: &Call) -> Value {
        let mut answer = self.execute(call);
        let changes = ["ADD", "DEL", "GC"].contains(&call.verb);
        // host-local touches files only: that it leaves the rest alone is seen at the end.
        let files_only = call.plugin == "host-local" && !self.is_last;
        let state = changes.then(|| {
            if files_only {
                return json!({ "store": self.names.in_value(&world::store(&self.host.networks_dir())) });
            }
            world::see(&self.host, &self.pods, &mut self.names)
        });
        if call.verb == "ADD" && answer["status"] == 0 {
            self.last = answer["output"].clone();
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
        let mut command = Command::new(self.side.folder.join(call.plugin));
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

    /// The variables of a runtime, with the call's own changes.
    fn environment(&self, call: &Call) -> Vec<(&'static str, String)> {
        let pod = call.pod.and_then(|number| self.pods[number].as_ref());
        let netns =
            pod.map_or_else(|| "/nowhere".to_owned(), |pod| pod.path().display().to_string());
        let id = format!(
            "{CONTAINER}{}",
            call.pod.filter(|pod| *pod > 0).map_or(String::new(), |pod| format!("-{pod}"))
        );
        let mut variables = vec![
            ("CNI_COMMAND", call.verb.to_owned()),
            ("CNI_CONTAINERID", id),
            ("CNI_NETNS", netns),
            ("CNI_IFNAME", "eth0".to_owned()),
            ("CNI_PATH", self.side.folder.display().to_string()),
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
            Previous::Last => config["prevResult"] = self.last.clone(),
            Previous::Given(result) => config["prevResult"] = result.clone(),
        }
        self.own_text(&config.to_string())
    }

    fn own_text(&self, text: &str) -> String {
        let id: String = self.case.name.chars().filter(char::is_ascii_alphanumeric).collect();
        text.replace(DATA_DIR, &self.host.networks_dir().display().to_string())
            .replace(HOST_DIR, &self.host.folder().display().to_string())
            .replace(CONTAINER, &id)
    }
}
