//! Calls as a runtime makes them, and what it gets back.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;

use podnet_cni_spec::{Interface, MAX_CONFIG_BYTES};
use serde_json::json;

use super::*;

const CONFIG: &str = r#"{"cniVersion": "1.1.0", "name": "pods", "type": "test"}"#;

fn plugin() -> Plugin {
    let about = "CNI plugin test v1".to_owned();
    Plugin { name: "test", about, versions: SpecVersion::ALL }
}

fn result() -> AddResult {
    let interfaces = vec![Interface { name: "eth0".into(), mtu: Some(1400), ..Default::default() }];
    AddResult { interfaces, ..Default::default() }
}

/// What a call printed, and how it ended.
struct Outcome {
    status: u8,
    stdout: String,
    handled: bool,
}

impl Outcome {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The error's code; an error is never handled work unless the handler made it.
    fn code(&self) -> u64 {
        assert_eq!(self.status, 1, "{}", self.stdout);
        self.json()["code"].as_u64().unwrap()
    }
}

#[derive(Clone)]
struct Caller {
    variables: BTreeMap<&'static str, &'static str>,
    config: String,
    plugin: Plugin,
}

impl Caller {
    fn new(verb: &'static str) -> Self {
        let variables = BTreeMap::from([
            ("CNI_COMMAND", verb),
            ("CNI_CONTAINERID", "c0ffee"),
            ("CNI_NETNS", "/run/netns/does-not-exist"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_ARGS", "IgnoreUnknown=1;A=b"),
            ("CNI_PATH", "/opt/cni/bin::/usr/lib/cni"),
        ]);
        Self { variables, config: CONFIG.to_owned(), plugin: plugin() }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.insert(name, value);
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    fn config(self, config: impl Into<String>) -> Self {
        Self { config: config.into(), ..self }
    }

    fn call(&self) -> Outcome {
        self.handled_by(
            |call| if call.request.verb == Verb::Add { Ok(Some(result())) } else { Ok(None) },
        )
    }

    fn handled_by(
        &self,
        handler: impl FnOnce(Call) -> Result<Option<AddResult>, CniError>,
    ) -> Outcome {
        let mut stdout = Vec::new();
        let called = Cell::new(false);
        let environment = Environment::new(self.variables.clone());
        let status = run(
            &self.plugin,
            &environment,
            self.config.as_bytes(),
            &mut stdout,
            io::sink(),
            |call| {
                called.set(true);
                handler(call)
            },
        );
        let stdout = String::from_utf8(stdout).unwrap();
        Outcome { status, stdout, handled: called.get() }
    }
}

#[test]
fn result_is_printed_in_the_version_of_the_configuration() {
    for (version, interface) in [
        ("1.1.0", json!({"name": "eth0", "mtu": 1400})),
        ("1.0.0", json!({"name": "eth0"})),
        ("0.3.1", json!({"name": "eth0"})),
    ] {
        let config = CONFIG.replace("1.1.0", version);
        let outcome = Caller::new("ADD").config(config).call();
        assert_eq!(outcome.status, 0);
        assert_eq!(outcome.json()["cniVersion"], version);
        assert_eq!(outcome.json()["interfaces"][0], interface);
    }
}

#[test]
fn handler_gets_the_whole_call() {
    let outcome = Caller::new("DEL").handled_by(|call| {
        let attachment = call.request.attachment()?;
        assert_eq!(call.request.verb, Verb::Del);
        assert_eq!(attachment.container_id.as_str(), "c0ffee");
        assert_eq!(attachment.interface.as_str(), "eth0");
        assert_eq!(attachment.args.get("A"), Some("b"));
        assert_eq!(call.request.netns()?.to_str(), Some("/run/netns/does-not-exist"));
        assert_eq!(call.request.config.name()?.as_str(), "pods");
        assert_eq!(
            call.plugin_path,
            ["/opt/cni/bin", "/usr/lib/cni"].map(std::path::PathBuf::from)
        );
        Ok(None)
    });
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""));
}

#[test]
fn missing_variables_are_all_reported_together() {
    for (verb, missing) in [
        ("ADD", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
        ("CHECK", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
        ("DEL", "CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"),
        ("GC", "CNI_PATH"),
        ("STATUS", "CNI_PATH"),
    ] {
        let mut caller = Caller::new(verb).with("CNI_IFNAME", "");
        for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_PATH", "CNI_ARGS"] {
            caller = caller.without(name);
        }
        let outcome = caller.call();
        assert_eq!((outcome.code(), outcome.handled), (4, false), "{verb}");
        let expected = format!("required env variables [{missing}] missing");
        assert_eq!(outcome.json()["msg"], expected, "{verb}");
    }
}

#[test]
fn each_required_variable_is_required() {
    let required: [(&str, &[&str]); 5] = [
        ("ADD", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"]),
        ("CHECK", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"]),
        ("DEL", &["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"]),
        ("GC", &["CNI_PATH"]),
        ("STATUS", &["CNI_PATH"]),
    ];
    for (verb, required) in required {
        for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"] {
            let outcome = Caller::new(verb).without(name).call();
            assert_eq!(outcome.handled, !required.contains(&name), "{verb} without {name}");
        }
    }
}

#[test]
fn names_are_checked_where_the_verb_needs_them() {
    for (name, value, code) in [
        ("CNI_CONTAINERID", "../x", 4),
        ("CNI_IFNAME", "much-too-long-name", 4),
        ("CNI_IFNAME", "a/b", 4),
        ("CNI_ARGS", "A", 4),
    ] {
        for verb in ["ADD", "DEL", "CHECK"] {
            let outcome = Caller::new(verb).with(name, value).call();
            assert_eq!((outcome.code(), outcome.handled), (code, false), "{verb} {name}");
        }
        for verb in ["GC", "STATUS"] {
            let outcome = Caller::new(verb).with(name, value).call();
            assert_eq!((outcome.status, outcome.handled), (0, true), "{verb} {name}");
        }
    }
}

#[test]
fn configuration_is_checked_before_the_work() {
    let large = format!(r#"{{"name": "{}"}}"#, "x".repeat(MAX_CONFIG_BYTES));
    for (config, code) in [
        ("", 6),
        ("{", 6),
        ("[]", 6),
        (large.as_str(), 6),
        (r#"{"cniVersion": "1.1.0"}"#, 7),
        (r#"{"cniVersion": "1.1.0", "name": ""}"#, 7),
        (r#"{"cniVersion": "1.1.0", "name": "a/b"}"#, 7),
        (r#"{"cniVersion": "9.0.0", "name": "pods"}"#, 1),
        (r#"{"cniVersion": 1, "name": "pods"}"#, 6),
    ] {
        for verb in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
            let outcome = Caller::new(verb).config(config).call();
            assert_eq!((outcome.code(), outcome.handled), (code, false), "{verb} {config:.60}");
        }
    }
}

#[test]
fn verbs_are_gated_by_the_version_of_the_configuration() {
    for (verb, version, allowed) in [
        ("ADD", "0.3.0", true),
        ("DEL", "", true),
        ("CHECK", "0.3.1", false),
        ("CHECK", "0.4.0", true),
        ("GC", "1.0.0", false),
        ("GC", "1.1.0", true),
        ("STATUS", "1.0.0", false),
        ("STATUS", "1.1.0", true),
    ] {
        let outcome = Caller::new(verb).config(CONFIG.replace("1.1.0", version)).call();
        assert_eq!(outcome.handled, allowed, "{verb} {version}");
        if !allowed {
            assert_eq!(outcome.code(), 1);
            let expected = format!("config version does not allow {verb}");
            assert_eq!(outcome.json()["msg"], expected);
        }
    }
}

#[test]
fn version_the_plugin_does_not_speak_is_refused() {
    let mut caller = Caller::new("ADD").config(CONFIG.replace("1.1.0", "0.4.0"));
    caller.plugin.versions = &[SpecVersion::V0_3_1, SpecVersion::V1_0_0];
    let outcome = caller.call();
    assert_eq!((outcome.code(), outcome.handled), (1, false));
    let expected = json!({
        "cniVersion": "0.4.0", "code": 1, "msg": "incompatible CNI versions",
        "details": "config is \"0.4.0\", plugin test supports 0.3.1, 1.0.0",
    });
    assert_eq!(outcome.json(), expected);
}

/// Standard input that must not be touched, or that fails.
struct Unreadable;

impl Read for Unreadable {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("no such thing"))
    }
}

fn run_unreadable(verb: &str) -> (u8, Value, String) {
    let caller = Caller::new("");
    let mut variables = caller.variables.clone();
    variables.insert("CNI_COMMAND", verb);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let environment = Environment::new(variables);
    let status = run(&plugin(), &environment, Unreadable, &mut stdout, &mut stderr, |_| Ok(None));
    let answer = serde_json::from_slice(&stdout).unwrap_or_default();
    (status, answer, String::from_utf8(stderr).unwrap())
}

#[test]
fn version_is_answered_without_standard_input() {
    let (status, answer, _) = run_unreadable("VERSION");
    let versions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
    assert_eq!(status, 0);
    assert_eq!(answer, json!({"cniVersion": "1.1.0", "supportedVersions": versions}));
}

#[test]
fn unreadable_standard_input_has_code_5() {
    let (status, answer, _) = run_unreadable("ADD");
    assert_eq!((status, &answer["code"]), (1, &json!(5)));
}

#[test]
fn without_a_command_a_person_is_told_what_this_is() {
    let (status, answer, stderr) = run_unreadable("");
    assert_eq!((status, answer), (0, Value::Null));
    let versions = "0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0";
    let expected = format!("CNI plugin test v1\nCNI protocol versions supported: {versions}\n");
    assert_eq!(stderr, expected);
}

#[test]
fn unknown_command_has_code_4() {
    let outcome = Caller::new("FROB").call();
    assert_eq!((outcome.code(), outcome.handled), (4, false));
    assert_eq!(outcome.json()["msg"], "unknown CNI_COMMAND: FROB");
    assert_eq!(outcome.json()["cniVersion"], "1.1.0");
}

#[test]
fn error_of_the_handler_passes_with_the_version_of_the_configuration() {
    let caller = Caller::new("DEL").config(CONFIG.replace("1.1.0", "0.4.0"));
    let error = CniError::new(ErrorCode::TRY_AGAIN_LATER, "busy").with_details("by 7");
    let outcome = caller.handled_by(|_| Err(error.clone()));
    assert_eq!(outcome.status, 1);
    assert_eq!(outcome.json()["cniVersion"], "0.4.0");
    assert_eq!(CniError::from_json(&outcome.json()), Some(error));
}

#[test]
fn panic_of_the_handler_is_an_error_with_its_message() {
    let outcome = Caller::new("ADD").handled_by(|_| panic!("index {} of 3", 7));
    assert_eq!(outcome.code(), 999);
    assert_eq!(outcome.json()["msg"], "plugin test panicked during ADD");
    assert_eq!(outcome.json()["details"], "index 7 of 3");
}

#[test]
fn add_without_a_result_or_with_one_that_cannot_be_said_is_an_error() {
    assert_eq!(Caller::new("ADD").handled_by(|_| Ok(None)).code(), 999);
    let old = Caller::new("ADD").config(CONFIG.replace("1.1.0", "0.2.0"));
    assert_eq!(old.handled_by(|_| Ok(Some(AddResult::default()))).code(), 1);
}

#[test]
fn result_of_another_verb_than_add_is_not_printed() {
    let outcome = Caller::new("CHECK").handled_by(|_| Ok(Some(result())));
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""));
}

#[test]
fn own_namespace_is_refused_before_the_work() {
    for verb in ["ADD", "DEL", "CHECK"] {
        let caller = Caller::new(verb).with("CNI_NETNS", "/proc/self/ns/net");
        let outcome = caller.call();
        assert_eq!((outcome.code(), outcome.handled), (8, false), "{verb}");
        for (value, allowed) in [("1", true), ("TRUE", true), ("0", false), ("yes", false)] {
            let outcome = caller.clone().with("CNI_NETNS_OVERRIDE", value).call();
            assert_eq!(outcome.handled, allowed, "{verb} {value}");
        }
    }
}

#[test]
fn delete_needs_no_namespace() {
    let outcome = Caller::new("DEL").without("CNI_NETNS").handled_by(|call| {
        assert_eq!(call.request.attachment()?.netns, None);
        Ok(None)
    });
    assert_eq!(outcome.status, 0);
}

#[test]
fn variables_that_are_not_utf_8_are_refused() {
    use std::os::unix::ffi::OsStringExt;
    for name in ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_ARGS"] {
        let variables = Caller::new("ADD").variables.into_iter();
        let mut variables: BTreeMap<_, _> =
            variables.map(|(name, value)| (name, std::ffi::OsString::from(value))).collect();
        variables.insert(name, std::ffi::OsString::from_vec(vec![b'a', 0xff]));
        let mut stdout = Vec::new();
        let environment = Environment::new(variables);
        let config = CONFIG.as_bytes();
        let status =
            run(&plugin(), &environment, config, &mut stdout, io::sink(), |_| Ok(Some(result())));
        let answer: Value = serde_json::from_slice(&stdout).unwrap();
        assert_eq!((status, &answer["code"]), (1, &json!(4)), "{name}");
    }
}

#[test]
fn closed_standard_output_is_a_failure() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let environment = Environment::new(Caller::new("ADD").variables);
    let mut stderr = Vec::new();
    let status = run(&plugin(), &environment, CONFIG.as_bytes(), Closed, &mut stderr, |_| {
        Ok(Some(result()))
    });
    assert_eq!(status, 1);
    assert!(String::from_utf8(stderr).unwrap().starts_with("cannot write the answer"));
}
