//! What programs are called with, and what follows from how they end.

use podnet_plugin_api::{Error, Event, NetworkPlugin, NotReadyReason, Settings};

use crate::bed::{Bed, OBEDIENT, web};

#[tokio::test]
async fn each_operation_is_a_call_with_the_pod() {
    let bed = Bed::with(OBEDIENT);
    let plugin = bed.ready().await;
    let status = plugin.set_up_pod(&web()).await.unwrap().unwrap();
    assert_eq!(status.ip().to_string(), "10.20.30.40");
    assert_eq!(plugin.pod_network_status(&web()).await.unwrap(), Some(status));
    plugin.tear_down_pod(&web()).await.unwrap();
    let expected = "init\nsetup default web a1\nstatus default web a1\n\
                    status default web a1\nteardown default web a1\n";
    assert_eq!(bed.read("calls"), expected);
}

#[tokio::test]
async fn a_program_sees_its_pod_and_nothing_of_its_caller() {
    let bed = Bed::with("env > @/$1; cat >> @/$1");
    let plugin = bed.ready().await;
    let variables = |name| {
        let text = bed.read(name);
        let of_the_shell = ["PWD=", "OLDPWD=", "SHLVL=", "_="];
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.retain(|line| !of_the_shell.iter().any(|name| line.starts_with(name)));
        lines.sort_unstable();
        lines
    };
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(variables("init"), [path]);

    let pod = web().with_netns("/run/netns/web").with_uid("8f0c").with_annotation("secret", "x");
    plugin.set_up_pod(&pod).await.unwrap();
    assert_eq!(variables("setup"), [path, "PODNET_NETNS=/run/netns/web", "PODNET_POD_UID=8f0c"]);

    plugin.tear_down_pod(&web()).await.unwrap();
    assert_eq!(variables("teardown"), [path]);
}

#[tokio::test]
async fn a_plugin_is_ready_once_init_has_succeeded() {
    let bed = Bed::with(OBEDIENT);
    let plugin = bed.plugin();
    let reason = plugin.status().await.unwrap_err().reason;
    assert_eq!(reason, NotReadyReason::NotInitialised);
    let refused = plugin.set_up_pod(&web()).await.unwrap_err();
    assert!(matches!(refused, Error::NotReady { .. }), "{refused}");

    plugin.init(&Settings::default()).await.unwrap();
    plugin.status().await.unwrap();
    let again = plugin.init(&Settings::default()).await.unwrap_err();
    assert!(matches!(again, Error::AlreadyInitialised { .. }), "{again}");
    assert_eq!(bed.read("calls"), "init\n");
}

#[tokio::test]
async fn a_failing_init_says_why_and_can_be_repeated() {
    let bed = Bed::with("echo no kernel module >&2; echo chatter; test -e @/mended");
    let plugin = bed.plugin();
    let error = plugin.init(&Settings::default()).await.unwrap_err().to_string();
    let program = bed.net().join("scripted/scripted");
    let expected = format!(
        "cannot initialise network plugin scripted: {} init: exit status: 1; stderr: no kernel module",
        program.display()
    );
    assert_eq!(error, expected);
    assert!(plugin.status().await.is_err());

    std::fs::write(bed.file("mended"), "").unwrap();
    plugin.init(&Settings::default()).await.unwrap();
    plugin.status().await.unwrap();
}

#[tokio::test]
async fn an_event_is_ignored() {
    let bed = Bed::with(OBEDIENT);
    let plugin = bed.ready().await;
    let cidrs = "10.244.0.0/24".parse().unwrap();
    plugin.event(Event::PodCidrChange { cidrs }).await.unwrap();
    assert_eq!(bed.read("calls"), "init\n");
}

#[tokio::test]
async fn a_set_up_that_fails_is_undone() {
    let bed = Bed::with(&format!("{OBEDIENT}\necho no bridge >&2\ntest $1 != setup"));
    let plugin = bed.ready().await;
    let error = plugin.set_up_pod(&web()).await.unwrap_err();
    let Error::SetUp { causes, .. } = &error else { panic!("{error}") };
    assert_eq!(causes.iter().count(), 1, "{error}");
    assert!(error.to_string().ends_with("setup: exit status: 1; stderr: no bridge"), "{error}");
    assert_eq!(bed.read("calls"), "init\nsetup default web a1\nteardown default web a1\n");
}

#[tokio::test]
async fn a_failed_undo_is_in_the_error_too() {
    let bed = Bed::with("echo $1 is broken >&2; test $1 = init");
    let error = bed.ready().await.set_up_pod(&web()).await.unwrap_err().to_string();
    let program = bed.net().join("scripted/scripted").display().to_string();
    let expected = format!(
        "cannot set up pod default/web: {program} setup: exit status: 1; stderr: setup is broken; \
         then {program} teardown: exit status: 1; stderr: teardown is broken"
    );
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_pod_whose_status_is_wrong_is_not_set_up() {
    let bed = Bed::with("echo $1 >> @/calls; echo no JSON");
    let error = bed.ready().await.set_up_pod(&web()).await.unwrap_err().to_string();
    assert!(error.contains("scripted status: not the JSON of a PodNetworkStatus: "), "{error}");
    assert_eq!(bed.read("calls"), "init\nsetup\nstatus\nteardown\n");
}

#[tokio::test]
async fn a_teardown_that_fails_is_an_error() {
    let bed = Bed::with("echo in use; test $1 != teardown");
    let error = bed.ready().await.tear_down_pod(&web()).await.unwrap_err();
    assert!(matches!(error, Error::TearDown { .. }), "{error}");
    assert!(error.to_string().ends_with("teardown: exit status: 1; stdout: in use"), "{error}");
}

#[tokio::test]
async fn after_a_restart_the_pods_of_before_can_be_asked_for_and_torn_down() {
    let bed = Bed::with(OBEDIENT);
    bed.ready().await.set_up_pod(&web()).await.unwrap();
    std::fs::remove_file(bed.file("calls")).unwrap();

    let restarted = bed.ready().await;
    assert!(restarted.pod_network_status(&web()).await.unwrap().is_some());
    restarted.tear_down_pod(&web()).await.unwrap();
    restarted.tear_down_pod(&web()).await.unwrap();
    let expected =
        "init\nstatus default web a1\nteardown default web a1\nteardown default web a1\n";
    assert_eq!(bed.read("calls"), expected);
}
