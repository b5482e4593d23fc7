//! What a person reads who wrote something that makes no sense, and the exit codes. Nothing here touches the machine.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use serde_json::json;

fn podnet(line: &str) -> Output {
    let arguments = line.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_podnet")).args(arguments).output().unwrap()
}

/// Runs what must be refused, and returns what was said on stderr.
fn refusal(line: &str) -> String {
    let output = podnet(line);
    assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
    assert!(output.stdout.is_empty(), "{line}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

const KUBENET: &str = "--network-plugin=kubenet --pod-cidr=10.9.0.0/24";
const SETUP: &str = "setup default/a --id a1 --netns /no/such";

#[test]
fn options_that_do_not_fit_together_are_one_line() {
    let cases = [
        (
            "--configure-cbr0",
            "podnet: --configure-cbr0 and --network-plugin=kubenet exclude each other, because kubenet makes cbr0 itself: leave out --configure-cbr0\n",
        ),
        (
            "--reconcile-cidr=false",
            "podnet: --network-plugin=kubenet needs --reconcile-cidr=true, because that is how the node's subnet reaches it: leave out --reconcile-cidr=false\n",
        ),
        (
            "--network-plugin-mtu=67",
            "podnet: --network-plugin-mtu: an MTU of 67 is out of range: it must be 68 to 65535 bytes, or 0 to take the host's\n",
        ),
    ];
    for (option, message) in cases {
        assert_eq!(refusal(&format!("{KUBENET} {option} {SETUP}")), message);
    }
    assert_eq!(
        refusal(&format!("--network-plugin=kubenet {SETUP}")),
        "podnet: --network-plugin=kubenet needs a subnet for this node's pods: give one, such as --pod-cidr=10.244.0.0/24, or the cluster's to take one of, such as --allocate-node-cidrs --cluster-cidr=10.244.0.0/16\n"
    );
}

#[test]
fn an_mtu_too_small_for_ipv6_is_one_line() {
    let line =
        format!("--network-plugin=kubenet --pod-cidr=fd00::/64 --network-plugin-mtu=1279 {SETUP}");
    assert_eq!(
        refusal(&line),
        "podnet: --network-plugin-mtu=1279 is too small for the pod CIDR fd00::/64: IPv6 needs at least 1280 bytes; give a larger MTU or no IPv6 subnet\n"
    );
}

#[test]
fn an_unknown_plugin_names_the_nearest() {
    assert_eq!(
        refusal(&format!("--network-plugin=kubnet --network-plugin-dir=/no/such {SETUP}")),
        "podnet: no network plugin is called kubnet: found kubernetes.io/no-op, cni, kubenet; did you mean kubenet? (exec plugins are looked for in /no/such)\n"
    );
}

#[test]
fn a_bad_argument_is_named_with_what_is_wrong() {
    let cases = [
        (
            "--pod-cidr=10.9.0.0/31 plugins",
            "podnet: invalid value '10.9.0.0/31' for '--pod-cidr <CIDR[,CIDR]>': pod CIDR 10.9.0.0/31 is too small: it has no room for a gateway and a pod; use a prefix length of at most 30\n",
        ),
        (
            "--pod-cidr=ten plugins",
            "podnet: invalid value 'ten' for '--pod-cidr <CIDR[,CIDR]>': pod CIDR \"ten\" is no CIDR: write an address and a prefix length, such as 10.244.0.0/24\n",
        ),
        (
            "teardown web --id a1",
            "podnet: invalid value 'web' for '<NAMESPACE/POD>': write NAMESPACE/POD, such as default/web\n",
        ),
        (
            "setup default/a --id a1 --netns /x --annotation a",
            "podnet: invalid value 'a' for '--annotation <KEY=VALUE>': write KEY=VALUE\n",
        ),
        ("--port 80:80 plugins", "podnet: unexpected argument '--port' found\n"),
        (
            "--hairpin-mode=hairpin plugins",
            "podnet: invalid value 'hairpin' for '--hairpin-mode <MODE>'\n",
        ),
    ];
    for (line, first_line) in cases {
        let said = refusal(line);
        assert!(said.starts_with(first_line), "{line}: {said}");
    }
}

#[test]
fn a_pod_that_cannot_exist_is_one_line() {
    assert_eq!(
        refusal("teardown Default/web --id a1"),
        "podnet: pod namespace \"Default\" is invalid: it must have 1 to 63 lowercase letters, digits and '-', and begin and end with a letter or digit\n"
    );
    assert!(
        refusal("teardown default/web --id ../a")
            .starts_with("podnet: sandbox id \"../a\" is invalid: ")
    );
}

#[test]
fn what_is_required_is_asked_for() {
    assert!(refusal("setup default/a --id a1").contains("--netns <PATH>"));
    assert!(refusal("status default/a").contains("--id <ID>"));
    assert!(refusal("status --id a1").contains("<NAMESPACE/POD>"));
}

/// A folder with the exec plugin `lab`, one without its program, and one with a bad name.
fn exec_plugins() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let executable = || Permissions::from_mode(0o755);
    for name in ["", "lab", "empty", "a~b~c"] {
        let inside = folder.path().join(name);
        fs::create_dir_all(&inside).unwrap();
        fs::set_permissions(inside, executable()).unwrap();
    }
    let program = folder.path().join("lab/lab");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, executable()).unwrap();
    folder
}

#[test]
fn plugins_are_listed_with_the_chosen_one() {
    let folder = exec_plugins();
    let dir = folder.path().display().to_string();
    let text = podnet(&format!("plugins --network-plugin-dir={dir}"));
    assert_eq!(text.status.code(), Some(0));
    let text = String::from_utf8(text.stdout).unwrap().replace(&dir, "D");
    let text: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let lines = [
        "NAME FLAVOUR PATH USABLE",
        "* kubernetes.io/no-op no-op built in yes",
        "cni cni built in yes",
        "kubenet kubenet built in yes",
        "empty exec D/empty/empty no: there is no program D/empty/empty: it must have the name of its folder without the vendor",
        "lab exec D/lab/lab yes",
        "a/b/c exec D/a~b~c no: plugin name \"a/b/c\" is invalid: it has more than one '/', which separates the vendor from the name",
    ];
    assert_eq!(text, lines);

    let json =
        podnet(&format!("plugins --network-plugin lab --network-plugin-dir={dir} --output json"));
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let kubenet = json!({ "name": "kubenet", "flavour": "kubenet", "path": null, "usable": true, "selected": false });
    assert_eq!(value[2], kubenet);
    let path = format!("{dir}/lab/lab");
    let lab =
        json!({ "name": "lab", "flavour": "exec", "path": path, "usable": true, "selected": true });
    assert_eq!(value[4], lab);
    assert_eq!((&value[3]["usable"], value[3]["reason"].is_string()), (&json!(false), true));
}

#[test]
fn exec_is_refused_where_it_is_not_one_plugin() {
    let folder = exec_plugins();
    let dir = folder.path().display().to_string();
    let several = refusal(&format!("--network-plugin=exec --network-plugin-dir={dir} {SETUP}"));
    assert!(
        several.ends_with(&format!(
            "podnet: --network-plugin=exec: {dir} has several exec plugins, empty, lab: choose one by its name, such as --network-plugin=empty\n"
        )),
        "{several}"
    );
    assert_eq!(
        refusal(&format!("--network-plugin=exec --network-plugin-dir=/no/such {SETUP}")),
        "podnet: --network-plugin=exec: there is no exec plugin in /no/such: put its program at /no/such/NAME/NAME, or say where it is by --network-plugin-dir\n"
    );
}

#[test]
fn the_command_line_wins_over_the_configuration_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.json");
    let with = |text: &str, line: &str| {
        fs::write(&file, text).unwrap();
        podnet(&format!("--config {} {line}", file.display()))
    };
    let chosen = |output: &Output| {
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = value.as_array().unwrap().iter();
        let chosen = rows.filter(|row| row["selected"] == true).map(|row| row["name"].clone());
        chosen.collect::<Vec<_>>()
    };
    let cni = r#"{"network-plugin": "cni"}"#;
    assert_eq!(chosen(&with(cni, "plugins --output json")), ["cni"]);
    for line in ["--network-plugin=kubenet plugins", "plugins --network-plugin=kubenet"] {
        assert_eq!(chosen(&with(cni, &format!("{line} --output json"))), ["kubenet"], "{line}");
    }

    let output = with(r#"{"network-plugn": "cni"}"#, "plugins");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    let reason = "no option is called \"network-plugn\"; did you mean network-plugin?";
    assert_eq!(said, format!("podnet: {}: {reason}\n", file.display()));
}

#[test]
fn an_option_without_effect_is_a_warning_on_stderr() {
    let output = podnet("--network-plugin=nothing plugins");
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("no network plugin is called nothing") && !said.contains('\x1b'),
        "{said}"
    );
}

#[test]
fn help_and_completions_go_to_stdout() {
    for line in
        ["--help", "--version", "help setup", "help cni gc", "completions bash", "completions zsh"]
    {
        let output = podnet(line);
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{line}");
    }
}

#[test]
fn no_arguments_print_help_and_are_a_usage_error() {
    let output = podnet("");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("Usage: podnet"));
}
