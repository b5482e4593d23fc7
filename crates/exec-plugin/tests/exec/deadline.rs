//! Everything ends: programs, their descendants, and waiting for them.

use std::time::{Duration, Instant};

use podnet_plugin_api::NetworkPlugin;
use rustix::process::{Pid, Signal, kill_process};

use crate::bed::{Bed, all_gone, is_running, until, web};

/// A program that hangs, with a child and a grandchild that sleep, all three noted in `pids`.
const FAMILY: &str = "test $1 = init && exit
echo $$ >> @/pids
echo waiting for the lock >&2
sleep 600 & echo $! >> @/pids
sh -c 'sleep 600 & echo $! >> @/pids; touch @/ready; wait' &
wait";

#[tokio::test]
async fn the_deadline_ends_the_program_and_its_descendants() {
    let bed = Bed::with(FAMILY);
    let plugin = bed.plugin().with_timeout(Duration::from_secs(2));
    let error = plugin.tear_down_pod(&web()).await.unwrap_err().to_string();
    let expected = "scripted teardown: not done after 2s, killed with its children; \
                    stderr: waiting for the lock";
    assert!(error.ends_with(expected), "{error}");
    assert_eq!(bed.pids("pids").len(), 3);
    all_gone(&bed.pids("pids")).await;
}

#[tokio::test]
async fn a_dropped_future_ends_the_program_and_its_descendants() {
    let bed = Bed::with(FAMILY);
    let (plugin, pod) = (bed.ready().await, web());
    tokio::select! {
        result = plugin.set_up_pod(&pod) => panic!("ended early: {result:?}"),
        () = until("the program is at work", || bed.file("ready").exists()) => {}
    }
    assert_eq!(bed.pids("pids").len(), 3);
    all_gone(&bed.pids("pids")).await;
}

#[tokio::test]
async fn the_undo_of_a_set_up_has_time_of_its_own() {
    let bed = Bed::with("echo $1 >> @/calls; test $1 = setup && exec sleep 600; exit 0");
    let plugin = bed.ready().await.with_timeout(Duration::from_secs(1));
    let error = plugin.set_up_pod(&web()).await.unwrap_err().to_string();
    assert!(error.ends_with("setup: not done after 1s, killed with its children"), "{error}");
    assert_eq!(bed.read("calls"), "init\nsetup\nteardown\n");
}

#[tokio::test]
async fn a_failed_program_leaves_no_descendant_at_work() {
    let bed = Bed::with("sleep 600 & echo $! > @/pids; exit 1");
    bed.plugin().tear_down_pod(&web()).await.unwrap_err();
    all_gone(&bed.pids("pids")).await;
}

#[tokio::test]
async fn a_descendant_that_holds_the_pipes_is_not_waited_for() {
    let bed = Bed::with("sleep 600 & echo $! > @/pids; echo '{\"ip\": \"10.0.0.2\"}'");
    let start = Instant::now();
    assert!(bed.plugin().pod_network_status(&web()).await.unwrap().is_some());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let daemon = bed.pids("pids")[0];
    assert!(is_running(daemon), "what a successful call leaves running stays");
    kill_process(Pid::from_raw(daemon).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_program_that_closes_its_pipes_has_a_deadline_too() {
    let bed = Bed::with("echo $$ > @/pids; exec sleep 600 > /dev/null 2>&1");
    let plugin = bed.plugin().with_timeout(Duration::from_millis(500));
    let error = plugin.tear_down_pod(&web()).await.unwrap_err().to_string();
    assert!(error.contains("not done after 500ms"), "{error}");
    all_gone(&bed.pids("pids")).await;
}
