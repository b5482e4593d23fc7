//! Asking programs for their versions, and remembering what they said.

use futures_util::future::join_all;
use podnet_cni_spec::NetworkConfigList;

use crate::conf_bed::{FakePrograms, conflist};

fn list(json: &str) -> NetworkConfigList {
    NetworkConfigList::from_json(json.as_bytes()).unwrap()
}

fn chain() -> NetworkConfigList {
    list(&conflist("pods", &["bridge", "portmap", "bridge"]))
}

#[tokio::test]
async fn programs_that_speak_the_networks_version_will_do() {
    let fake = FakePrograms::new(&[("bridge", "0.4.0 1.0.0"), ("portmap", "1.0.0 1.1.0")]);
    let list = list(
        r#"{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge"},
            {"type": "portmap", "capabilities": {"portMappings": true, "mac": false}}]}"#,
    );
    let usable = fake.programs().validate(&list).await.unwrap();
    assert_eq!(usable.capabilities.into_iter().collect::<Vec<_>>(), ["portMappings"]);
    assert!(usable.warnings.is_empty());
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let fake = FakePrograms::new(&[("bridge", "0.1.0 0.4.0")]);
    let error = fake.programs().validate(&chain()).await.unwrap_err().to_string();
    let expected = format!(
        "network pods cannot be used: plugin bridge does not speak CNI 1.0.0, only 0.1.0, 0.4.0; \
         plugin portmap: no such program in {}",
        fake.folder.path().display()
    );
    assert!(error.starts_with(&expected), "{error}");
}

#[tokio::test]
async fn a_network_without_a_version_needs_the_first_one() {
    let network = list(r#"{"name": "pods", "plugins": [{"type": "bridge"}]}"#);
    for (versions, usable) in [("0.1.0 0.2.0", true), ("1.0.0", false)] {
        let fake = FakePrograms::new(&[("bridge", versions)]);
        assert_eq!(fake.programs().validate(&network).await.is_ok(), usable, "{versions}");
    }
}

#[tokio::test]
async fn a_missing_ipam_program_is_a_warning() {
    let fake = FakePrograms::new(&[("antrea", "0.1.0")]);
    let network = list(
        r#"{"name": "pods", "plugins": [{"type": "antrea", "ipam": {"type": "antrea-ipam"}}]}"#,
    );
    let usable = fake.programs().validate(&network).await.unwrap();
    assert!(usable.warnings[0].to_string().starts_with("plugin antrea-ipam: no such program"));
}

#[tokio::test]
async fn a_program_is_asked_once_until_its_file_is_another() {
    let fake = FakePrograms::new(&[("bridge", "1.0.0"), ("portmap", "1.0.0")]);
    let programs = fake.programs();
    let list = chain();
    for outcome in join_all((0..20).map(|_| programs.validate(&list))).await {
        outcome.unwrap();
    }
    assert_eq!(fake.asked(), 2);
    fake.folder.replace("bridge", "0.4.0");
    assert!(programs.validate(&list).await.is_err());
    assert_eq!(fake.asked(), 3);
}

#[tokio::test]
async fn a_program_that_was_missing_serves_as_soon_as_it_is_there() {
    let fake = FakePrograms::new(&[("portmap", "1.0.0")]);
    let programs = fake.programs();
    assert!(programs.validate(&chain()).await.is_err());
    fake.folder.replace("bridge", "1.0.0");
    assert!(programs.validate(&chain()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_program_that_hangs_is_given_up_and_not_asked_again_at_once() {
    let fake = FakePrograms::new(&[("bridge", "1.0.0"), ("portmap", "hang")]);
    let programs = fake.programs();
    for _ in 0..2 {
        let error = programs.validate(&chain()).await.unwrap_err().to_string();
        assert!(error.contains("plugin portmap: VERSION: not done after 10s"), "{error}");
    }
    assert_eq!(fake.asked(), 2);
}
