//! Following a folder while it changes.

mod hostile;
mod set_up;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::conf_bed::{FakePrograms, Folder, conf, conflist, reasons};

/// Far longer than anything takes; only a failure waits for it.
const DEADLINE: Duration = Duration::from_secs(30);

async fn default_name(store: &ConfStore) -> String {
    store.default_network().await.unwrap().network.name().to_string()
}

#[tokio::test]
async fn an_added_changed_or_removed_file_takes_effect_with_the_next_question() {
    let folder = Folder::with(&[("20-b.conf", &conf("b", "bridge"))]);
    let store = ConfStore::new(folder.path()).reread_after(DEADLINE);
    assert_eq!(default_name(&store).await, "b");
    folder.write("10-a.conf", &conf("a", "bridge"));
    assert_eq!(default_name(&store).await, "a");
    folder.write("10-a.conf", &conf("another", "bridge"));
    assert_eq!(default_name(&store).await, "another");
    folder.replace("10-a.conf", &conf("replaced", "bridge"));
    assert_eq!(default_name(&store).await, "replaced");
    folder.remove("10-a.conf");
    assert_eq!(default_name(&store).await, "b");
}

#[tokio::test]
async fn what_time_stamps_do_not_tell_is_read_in_time() {
    let folder = Folder::with(&[("10-a.conf", &conf("a", "bridge"))]);
    let store = ConfStore::new(folder.path()).reread_after(Duration::ZERO);
    let before = store.refresh().await;
    let after = store.refresh().await;
    assert!(!Arc::ptr_eq(&before.scan, &after.scan), "it was read again");
    assert_eq!(before.generation, after.generation);
    let trusting = ConfStore::new(folder.path()).reread_after(DEADLINE);
    let (before, after) = (trusting.refresh().await, trusting.refresh().await);
    assert!(Arc::ptr_eq(&before, &after), "it was not");
}

#[tokio::test]
async fn an_emptied_folder_keeps_the_last_good_network_and_status_says_so() {
    let folder = Folder::with(&[("10-a.conf", &conf("a", "bridge"))]);
    let store = ConfStore::new(folder.path());
    assert_eq!(store.status().await.serving_stale, None);
    folder.remove("10-a.conf");
    let status = store.status().await;
    assert_eq!(status.ready().unwrap().name().as_str(), "a");
    assert!(status.serving_stale.unwrap().contains("10-a.conf is gone"));
    assert_eq!(status.looked_in, folder.path());
    folder.write("10-a.conf", &conf("a", "bridge"));
    assert_eq!(store.status().await.serving_stale, None);
}

#[tokio::test]
async fn without_any_network_the_error_says_where_it_looked_and_what_it_skipped() {
    let folder = Folder::new();
    let store = ConfStore::new(folder.path());
    let error = async || store.default_network().await.unwrap_err().to_string();
    let start = format!("no network configuration in {}: ", folder.path().display());
    assert_eq!(error().await, format!("{start}no file there ends in .conf, .conflist, .json"));
    folder.write("1.conf", "");
    fs::create_dir(folder.file("2.conf")).unwrap();
    assert_eq!(
        error().await,
        format!(
            "{start}skipped 1.conf (it is empty), 2.conf (it is a directory, not a regular file)"
        )
    );
    assert_eq!(store.status().await.ready().unwrap_err().to_string(), error().await);
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(error().await, format!("{start}there is no such folder"));
}

#[tokio::test]
async fn networks_are_served_side_by_side_by_name() {
    let folder = Folder::with(&[
        ("10-a.conf", &conf("a", "bridge")),
        ("20-b.conflist", &conflist("b", &["macvlan", "tuning"])),
    ]);
    let store = ConfStore::new(folder.path());
    let name = |name| NetworkName::new(name).unwrap();
    let b = store.network(&name("b")).await.unwrap();
    assert_eq!(b.network.list.plugins.len(), 2);
    let error = store.network(&name("c")).await.unwrap_err().to_string();
    assert!(error.ends_with("where there are a, b"), "{error}");
    folder.write("30-c.conf", &conf("c", "ptp"));
    assert_eq!(store.network(&name("c")).await.unwrap().stale, None);
    folder.remove("20-b.conflist");
    assert!(matches!(store.network(&name("b")).await, Err(ConfError::UnknownNetwork { .. })));
    assert_eq!(b.network.name().as_str(), "b", "who has it keeps it");
}

#[tokio::test]
async fn a_network_whose_programs_are_missing_is_passed_over_until_they_are_there() {
    let programs = FakePrograms::new(&[("ptp", "1.0.0")]);
    let folder =
        Folder::with(&[("10-a.conf", &conf("a", "bridge")), ("20-b.conf", &conf("b", "ptp"))]);
    let store = ConfStore::new(folder.path()).with_programs(programs.programs());
    let status = store.status().await;
    assert_eq!(status.ready().unwrap().name().as_str(), "b");
    let reason = &reasons(&status.skipped)["10-a.conf"];
    assert!(reason.contains("plugin bridge: no such program in "), "{reason}");
    let by_name = store.network(&NetworkName::new("a").unwrap()).await;
    assert!(matches!(by_name, Err(ConfError::Unusable { .. })));

    programs.folder.replace("bridge", "1.0.0");
    assert_eq!(default_name(&store).await, "a");
    programs.folder.remove("bridge");
    programs.folder.remove("ptp");
    let error = store.default_network().await.unwrap_err().to_string();
    assert!(error.contains("10-a.conf (network a cannot be used: "), "{error}");
    assert!(error.contains("20-b.conf (network b cannot be used: "), "{error}");
}

#[tokio::test]
async fn asking_again_and_again_starts_no_program() {
    let programs = FakePrograms::new(&[("bridge", "1.0.0")]);
    let folder = Folder::with(&[("10-a.conf", &conf("a", "bridge"))]);
    let store = ConfStore::new(folder.path()).with_programs(programs.programs());
    for _ in 0..10 {
        store.status().await;
    }
    assert_eq!(programs.asked(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_file_is_replaced_a_thousand_times_every_answer_is_one_whole_configuration() {
    let chains = [&["bridge"; 1][..], &["ptp", "portmap", "tuning"][..]];
    let texts = chains.map(|plugins| conflist("pods", plugins));
    let folder = Arc::new(Folder::with(&[("10-pods.conflist", &texts[0])]));
    let store = ConfStore::new(folder.path());
    let done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (folder, done) = (Arc::clone(&folder), Arc::clone(&done));
        move || {
            for turn in 0..1000 {
                folder.replace("10-pods.conflist", &texts[turn % 2]);
            }
            done.store(true, Ordering::Release);
        }
    });
    let mut last = false;
    while !last {
        last = done.load(Ordering::Acquire);
        let served = store.default_network().await.unwrap();
        let plugins = served.network.list.plugins.iter();
        let types: Vec<_> = plugins.map(|plugin| plugin.plugin_type().unwrap()).collect();
        let types: Vec<_> = types.iter().map(AsRef::<str>::as_ref).collect();
        assert!(chains.contains(&&*types), "{types:?}");
        assert_eq!(served.stale, None);
    }
    writer.join().unwrap();
    assert_eq!(store.default_network().await.unwrap().network.list.plugins.len(), 3);
}

/// Waits for what a watching store, which is never asked, sees by itself.
async fn seen(store: &ConfStore, what: &str, is_seen: impl Fn(&[String]) -> bool) {
    let mut changes = store.changes();
    let names = |snapshot: &Snapshot| -> Vec<String> {
        snapshot
            .networks()
            .map(|served| {
                format!("{}:{}", served.network.name(), served.network.list.plugins.len())
            })
            .collect()
    };
    let seen = changes.wait_for(|snapshot| is_seen(&names(snapshot)));
    let seen = tokio::time::timeout(DEADLINE, seen).await;
    assert!(seen.is_ok(), "{what}: only {:?} was seen", names(&store.current()));
}

fn watched(folder: PathBuf) -> (Arc<ConfStore>, tokio::task::JoinHandle<Infallible>) {
    // Longer than the deadline: what is seen is seen by inotify.
    let store = Arc::new(ConfStore::new(folder).reread_after(DEADLINE * 100));
    let watching = Arc::clone(&store);
    (store, tokio::spawn(async move { watching.watch().await }))
}

#[tokio::test]
async fn watching_survives_more_events_than_the_kernel_keeps() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    let folder = Folder::with(&[("10-a.conf", &conf("first", "bridge"))]);
    let (store, watcher) = watched(folder.path().to_owned());
    seen(&store, "the first", |names| names == ["first:1"]).await;
    // The watcher's thread is ours: it cannot take an event before we wait. Each turn makes four.
    folder.write("here", "");
    for _ in 0..=limit / 4 {
        fs::rename(folder.file("here"), folder.file("there")).unwrap();
        fs::rename(folder.file("there"), folder.file("here")).unwrap();
    }
    folder.replace("10-a.conf", &conf("second", "bridge"));
    seen(&store, "the second", |names| names == ["second:1"]).await;
    folder.write("05-b.conf", &conf("b", "bridge"));
    seen(&store, "after that", |names| names == ["b:1", "second:1"]).await;
    watcher.abort();
}

#[tokio::test]
async fn watching_sees_every_change_through_removal_and_return_of_the_folder() {
    let parent = Folder::new();
    let (store, watcher) = watched(parent.file("net.d"));
    seen(&store, "nothing", <[_]>::is_empty).await;

    for round in 0..3 {
        let what = |step: &str| format!("round {round}: {step}");
        let list = conflist("pods", &["bridge"]);
        parent.write("net.d/10-pods.conflist", &list);
        seen(&store, &what("made"), |names| names == ["pods:1"]).await;
        parent.write("net.d/05-a.conf", &conf("a", "ptp"));
        seen(&store, &what("added"), |names| names == ["a:1", "pods:1"]).await;
        parent.write("net.d/pods/1.conf", r#"{"type": "tuning"}"#);
        seen(&store, &what("plugin added"), |names| names == ["a:1", "pods:2"]).await;
        parent.write("net.d/pods/1.conf", r#"{"type": "tuning", "a": 1"#);
        seen(&store, &what("plugin broken"), |_| !store.current().scan.skipped.is_empty()).await;
        fs::remove_dir_all(parent.file("net.d")).unwrap();
        seen(&store, &what("removed"), |_| store.current().scan.folder_problem.is_some()).await;
    }
    watcher.abort();
}
