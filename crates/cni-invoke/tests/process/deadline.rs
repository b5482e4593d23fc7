//! Everything ends: plugins, their descendants, and waiting for them.

use std::time::{Duration, Instant};

use podnet_cni_invoke::{Exec, ExecError};
use podnet_cni_spec::{CniError, ErrorCode, Verb};

use crate::bed::{Bed, all_gone, is_running, kill, request, until};

/// A plugin with a child and a grandchild that sleep, all three noted in `pids`.
const FAMILY: &str = "echo $$ > @/pids
echo waiting for the lock >&2
sleep 600 & echo $! >> @/pids
sh -c 'sleep 600 & echo $! >> @/pids; touch @/ready; wait' &
wait";

#[tokio::test]
async fn the_deadline_ends_the_plugin_and_its_descendants() {
    let mut bed = Bed::with(FAMILY);
    bed.exec.timeout = Duration::from_secs(2);
    let error = bed.exec.run(&bed.plugin, &request(Verb::Add)).await.unwrap_err();
    let expected = "plugin scripted: ADD of container c0ffee: not done after 2s, killed with its \
                    children; stderr: waiting for the lock";
    assert_eq!(error.to_string(), expected);
    assert_eq!(CniError::from(error).code, ErrorCode::TRY_AGAIN_LATER);
    assert_eq!(bed.pids("pids").len(), 3);
    all_gone(&bed.pids("pids")).await;
}

#[tokio::test]
async fn a_call_may_be_given_less_and_still_tells_what_was_on_stderr() {
    let bed = Bed::with(FAMILY);
    let limit = Duration::from_millis(600);
    let error = bed.exec.run_within(&bed.plugin, &request(Verb::Add), limit).await.unwrap_err();
    let expected = "not done after 600ms, killed with its children; stderr: waiting for the lock";
    assert!(error.to_string().ends_with(expected), "{error}");
    all_gone(&bed.pids("pids")).await;
}

#[tokio::test]
async fn a_dropped_future_ends_the_plugin_and_its_descendants() {
    let bed = Bed::with(FAMILY);
    let request = request(Verb::Add);
    tokio::select! {
        result = bed.exec.run(&bed.plugin, &request) => panic!("ended early: {result:?}"),
        () = until("the plugin is at work", || bed.file("ready").exists()) => {}
    }
    assert_eq!(bed.pids("pids").len(), 3);
    all_gone(&bed.pids("pids")).await;
}

#[tokio::test]
async fn a_failed_plugin_leaves_no_descendant_at_work() {
    let bed = Bed::with("sleep 600 & echo $! > @/pids; exit 1");
    let error = bed.exec.run(&bed.plugin, &request(Verb::Add)).await.unwrap_err();
    assert!(matches!(error, ExecError::NoMessage { .. }), "{error}");
    all_gone(&bed.pids("pids")).await;
}

#[tokio::test]
async fn a_descendant_that_holds_the_pipes_is_not_waited_for() {
    let bed = Bed::with("sleep 600 & echo $! > @/pids; echo '{}'");
    let start = Instant::now();
    bed.exec.run(&bed.plugin, &request(Verb::Add)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let daemon = bed.pids("pids");
    assert!(is_running(daemon[0]), "what a successful plugin leaves running stays");
    kill(daemon[0]);
}

#[tokio::test]
async fn a_plugin_that_closes_its_pipes_has_a_deadline_too() {
    let mut bed = Bed::with("echo $$ > @/pids; exec sleep 600 < /dev/null > /dev/null 2>&1");
    bed.exec.timeout = Duration::from_millis(500);
    let error = bed.exec.run(&bed.plugin, &request(Verb::Del)).await.unwrap_err();
    assert!(matches!(error, ExecError::Timeout { .. }), "{error}");
    all_gone(&bed.pids("pids")).await;
}
