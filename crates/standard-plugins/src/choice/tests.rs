//! Who runs what, with programs that are scripts.

use std::os::unix::fs::PermissionsExt;

use podnet_cni_spec::{Attachment, CniArgs, PluginConfig, Verb};
use podnet_testkit::TestHost;
use serde_json::json;

use super::*;

const FOREIGN_ADDRESS: &str = "192.0.2.7/24";

/// A program that speaks these versions, attaches nothing and says so by its address. Each call leaves a line in
/// `calls`.
fn install(folder: &Path, name: &str, versions: &str) {
    let script = format!(
        r#"#!/bin/sh
echo $CNI_COMMAND >> {folder}/calls
case $CNI_COMMAND in
VERSION) echo '{{"cniVersion": "1.0.0", "supportedVersions": [{versions}]}}' ;;
ADD) echo '{{"cniVersion": "1.0.0", "ips": [{{"address": "{FOREIGN_ADDRESS}"}}]}}' ;;
esac
"#,
        folder = folder.display()
    );
    let path = folder.join(name);
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn calls(folder: &Path) -> Vec<String> {
    let calls = std::fs::read_to_string(folder.join("calls")).unwrap_or_default();
    calls.lines().map(str::to_owned).collect()
}

fn chosen(choice: PluginChoice, folder: &Path, host: &TestHost) -> ChosenExec {
    let programs = ProcessExec::new(SearchPath::new(vec![folder.to_owned()]));
    ChosenExec::new(choice, programs, host.runtime_dir())
}

fn request(plugin: &str, netns: &Path) -> Request {
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": plugin });
    Request {
        verb: Verb::Add,
        attachment: Some(Attachment {
            container_id: "a1".parse().unwrap(),
            interface: "lo".parse().unwrap(),
            netns: Some(netns.to_owned()),
            args: CniArgs::default(),
        }),
        config: PluginConfig::from_value(config).unwrap(),
    }
}

/// The first address of an ADD, by which one sees who executed it.
async fn address(exec: &ChosenExec, plugin: &str, netns: &Path) -> Result<String, ExecError> {
    let plugin: PluginType = plugin.parse().unwrap();
    let result = Exec::run(exec, &plugin, &request(plugin.as_str(), netns)).await?.unwrap();
    Ok(result.ips[0].address.to_string())
}

#[test]
fn every_choice_has_its_own_answer_to_every_program() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    let none = tempfile::tempdir().unwrap();
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    install(old.path(), "loopback", r#""0.1.0""#);
    install(new.path(), "loopback", r#""0.1.0", "0.2.0", "1.0.0""#);
    let (ours, theirs) = (Some("127.0.0.1/8"), Some(FOREIGN_ADDRESS));
    let cases = [
        (PluginChoice::Auto, none.path(), ours),
        (PluginChoice::Auto, old.path(), ours),
        (PluginChoice::Auto, new.path(), theirs),
        (PluginChoice::Installed, none.path(), None),
        (PluginChoice::Installed, old.path(), None),
        (PluginChoice::Installed, new.path(), theirs),
        (PluginChoice::Builtin, new.path(), ours),
    ];
    host.run(async || {
        for (choice, folder, expected) in cases {
            let exec = chosen(choice, folder, &host);
            let found = address(&exec, "loopback", pod.path()).await.ok();
            assert_eq!(found.as_deref(), expected, "{choice} in {}", folder.display());
        }
    })
    .unwrap();
}

#[test]
fn other_types_are_programs_whatever_the_choice() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), "special", r#""1.0.0""#);
    host.run(async || {
        for choice in PluginChoice::ALL {
            let exec = chosen(choice, folder.path(), &host);
            let found = address(&exec, "special", pod.path()).await.unwrap();
            assert_eq!(found, FOREIGN_ADDRESS, "{choice}");
        }
    })
    .unwrap();
    assert_eq!(calls(folder.path()), ["ADD"; 3]);
}

#[test]
fn what_is_missing_or_too_old_is_told_with_the_folder_or_the_versions() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    let folder = tempfile::tempdir().unwrap();
    host.run(async || {
        let exec = chosen(PluginChoice::Installed, folder.path(), &host);
        let missing = address(&exec, "bridge", pod.path()).await.unwrap_err().to_string();
        assert!(missing.contains(folder.path().to_str().unwrap()), "{missing}");

        install(folder.path(), "bridge", r#""0.1.0""#);
        let too_old = address(&exec, "bridge", pod.path()).await.unwrap_err().to_string();
        assert!(too_old.contains("supports CNI 0.1.0, at least 0.2.0 is needed"), "{too_old}");
        let spoken = Exec::versions(&exec, &"bridge".parse().unwrap()).await.unwrap();
        assert_eq!(spoken.supported, ["0.1.0"]);
    })
    .unwrap();
}

#[test]
fn a_program_is_asked_once_and_again_when_it_was_replaced() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), "loopback", r#""1.0.0""#);
    host.run(async || {
        let exec = chosen(PluginChoice::Auto, folder.path(), &host);
        let loopback = "loopback".parse().unwrap();
        assert_eq!(exec.program(&loopback).await.unwrap(), Some(folder.path().join("loopback")));
        Exec::versions(&exec, &loopback).await.unwrap();
        address(&exec, "loopback", pod.path()).await.unwrap();
        assert_eq!(calls(folder.path()), ["VERSION", "ADD"]);

        install(folder.path(), "loopback.new", r#""0.1.0""#);
        let (new, program) = (folder.path().join("loopback.new"), folder.path().join("loopback"));
        std::fs::rename(new, program).unwrap();
        assert_eq!(address(&exec, "loopback", pod.path()).await.unwrap(), "127.0.0.1/8");
        assert_eq!(exec.program(&loopback).await.unwrap(), None);
    })
    .unwrap();
}

#[test]
fn a_program_that_does_not_answer_is_an_error_and_not_replaced() {
    let host = TestHost::new().unwrap();
    let pod = host.add_pod("web").unwrap();
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), "loopback", "");
    std::fs::write(folder.path().join("loopback"), "#!/bin/sh\nexit 7\n").unwrap();
    host.run(async || {
        let exec = chosen(PluginChoice::Auto, folder.path(), &host);
        let error = address(&exec, "loopback", pod.path()).await.unwrap_err().to_string();
        assert!(error.contains("plugin loopback: VERSION"), "{error}");
    })
    .unwrap();
}

#[test]
fn choices_read_back() {
    for choice in PluginChoice::ALL {
        assert_eq!(choice.as_str().parse(), Ok(choice));
    }
    let unknown = "Auto".parse::<PluginChoice>().unwrap_err().to_string();
    assert_eq!(unknown, "unknown choice of plugins \"Auto\": use auto, installed or builtin");
}
