//! What a plugin is given: its environment and its stdin.

use podnet_cni_invoke::Exec;
use podnet_cni_spec::Verb;

use crate::bed::{self, Bed, request};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// As the kernel started the shell with it: what the shell adds itself does not show there.
const SHOW: &str = "tr '\\0' '\\n' < /proc/$$/environ | sort > @/environment";

fn sorted(mut lines: Vec<String>) -> String {
    lines.sort();
    lines.join("\n") + "\n"
}

fn expected(bed: &Bed, verb: &str) -> Vec<String> {
    let path = bed.folder().display();
    vec![
        format!("CNI_COMMAND={verb}"),
        "CNI_CONTAINERID=c0ffee".to_owned(),
        "CNI_NETNS=/run/netns/web".to_owned(),
        "CNI_IFNAME=eth0".to_owned(),
        "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web".to_owned(),
        format!("CNI_PATH={path}"),
    ]
}

#[tokio::test]
async fn the_environment_is_the_request_and_nothing_else() {
    let bed = Bed::with(SHOW);
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "nothing that could leak");
    bed.exec.run(&bed.plugin, &request(Verb::Del)).await.unwrap();
    let mut lines = expected(&bed, "DEL");
    lines.push(PATH.to_owned());
    assert_eq!(bed.read("environment"), sorted(lines));
}

#[tokio::test]
async fn variables_may_be_added_and_replace_path_but_not_cni() {
    let mut bed = Bed::with(SHOW);
    let added = [
        ("TRACEPARENT", "00-1"),
        ("PATH", "/usr/bin:/bin"),
        ("CNI_IFNAME", "eth9"),
        ("CNI_X", "1"),
    ];
    bed.exec.environment = added.map(|(name, value)| (name.into(), value.into())).to_vec();
    bed.exec.run(&bed.plugin, &request(Verb::Check)).await.unwrap();
    let mut lines = expected(&bed, "CHECK");
    lines.extend(["PATH=/usr/bin:/bin".to_owned(), "TRACEPARENT=00-1".to_owned()]);
    assert_eq!(bed.read("environment"), sorted(lines));
}

#[tokio::test]
async fn the_configuration_comes_on_stdin_to_its_end() {
    let bed = Bed::with("cat > @/stdin");
    let request = request(Verb::Del);
    bed.exec.run(&bed.plugin, &request).await.unwrap();
    assert_eq!(bed.read("stdin").as_bytes(), request.config.to_json());
}

#[tokio::test]
async fn a_plugin_that_reads_nothing_is_judged_by_its_answer() {
    let bed = Bed::with("exec < /dev/null; echo '{\"code\": 100, \"msg\": \"busy\"}'; exit 1");
    let mut request = request(Verb::Add);
    request.config = bed::config(&"x".repeat(900_000));
    let message = bed.exec.run(&bed.plugin, &request).await.unwrap_err().to_string();
    assert_eq!(message, "plugin scripted: ADD of container c0ffee: busy (code 100)");
}

#[tokio::test]
async fn a_plugin_that_writes_before_it_reads_does_not_block() {
    let bed = Bed::with("head -c 1000000 /dev/zero >&2; cat > @/stdin; echo '{}'");
    let mut request = request(Verb::Add);
    request.config = bed::config(&"x".repeat(900_000));
    bed.exec.run(&bed.plugin, &request).await.unwrap();
    assert_eq!(bed.read("stdin").as_bytes(), request.config.to_json());
}
