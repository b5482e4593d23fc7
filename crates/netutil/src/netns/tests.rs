//! Namespaces against a live kernel.

use std::os::unix::fs::symlink;

use super::*;
use crate::Netlink;

#[test]
fn what_is_not_a_network_namespace_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    File::create(&file).unwrap();
    let dangling = folder.path().join("dangling");
    symlink("nowhere", &dangling).unwrap();
    let cases = [
        (file.as_path(), "it is not a network namespace"),
        (folder.path(), "it is not a network namespace"),
        (dangling.as_path(), "No such file or directory"),
        (Path::new("/proc/self/ns/mnt"), "it is not a network namespace"),
        (Path::new("/dev/null"), "it is not a network namespace"),
    ];
    for (path, reason) in cases {
        let error = Netns::open(path).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot open network namespace") && error.ends_with(reason),
            "{error}"
        );
    }
}

#[test]
fn a_kept_namespace_is_another_one_until_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web");
    let made = Netns::create(&path).unwrap();
    assert!(!made.is_same_as(&Netns::current().unwrap()).unwrap());
    assert!(made.is_same_as(&Netns::open(&path).unwrap()).unwrap());
    assert!(Netns::create(&path).is_err());
    Netns::remove(&path).unwrap();
    Netns::remove(&path).unwrap();
    assert!(!path.exists());
}

#[test]
fn work_runs_inside_and_leaves_no_thread_there() {
    let folder = tempfile::tempdir().unwrap();
    let made = Netns::create(folder.path().join("web")).unwrap();
    let inside = made.run(|| Netns::current().unwrap()).unwrap();
    assert!(inside.is_same_as(&made).unwrap());
    assert!(!Netns::current().unwrap().is_same_as(&made).unwrap());
    Netns::remove(made.path()).unwrap();
}

#[test]
fn a_connection_stays_in_the_namespace_it_was_opened_in() {
    let folder = tempfile::tempdir().unwrap();
    let made = Netns::create(folder.path().join("web")).unwrap();
    in_own_netns(async || {
        let outside = Netlink::open().unwrap();
        let inside = Netlink::open_in(&made).unwrap();
        inside.create_bridge("br0", crate::MacAddr::local([0; 6])).await.unwrap();
        assert!(inside.link_by_name("br0").await.unwrap().is_some());
        assert!(outside.link_by_name("br0").await.unwrap().is_none());
    });
    Netns::remove(made.path()).unwrap();
}
