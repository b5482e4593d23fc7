//! A folder in which somebody left everything that is no configuration.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use super::*;
use crate::conf_bed::strange_files;

#[test]
fn each_strange_file_is_named_and_the_network_behind_them_is_found() {
    let folder = Folder::with(&[("50-good.conf", &conf("good", "bridge"))]);
    let expected = strange_files(&folder);
    let scan = scan(folder.path());
    assert_eq!(names(&scan), ["good"]);
    let reasons = reasons(&scan.skipped);
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    for (file, reason) in expected {
        assert!(reasons[file].contains(reason), "{file}: {}", reasons[file]);
    }
}

#[test]
fn ten_thousand_broken_files_are_each_named() {
    let folder = Folder::with(&[("zz-good.conf", &conf("good", "bridge"))]);
    let strange = strange_files(&folder).len();
    for number in 0..10_000 {
        folder.write(&format!("10-{number:05}.conf"), "{");
    }
    let began = Instant::now();
    let scan = scan(folder.path());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(names(&scan), ["good"]);
    assert_eq!(scan.skipped.len(), 10_000 + strange);
    assert!(scan.folder_problem.is_none());
}

#[test]
fn more_files_than_are_read_are_said_and_the_first_ones_count() {
    let folder = Folder::with(&[("00-good.conf", &conf("good", "bridge"))]);
    for number in 0..MAX_FILES {
        fs::hard_link(folder.file("00-good.conf"), folder.file(&format!("10-{number}.conf")))
            .unwrap();
    }
    let scan = scan(folder.path());
    assert_eq!(scan.networks[0].file, folder.file("00-good.conf"));
    assert_eq!(scan.skipped.len(), MAX_FILES - 1);
    assert!(matches!(scan.folder_problem, Some(SkipReason::TooManyFiles)));
}

#[test]
fn links_to_regular_files_are_followed() {
    let folder = Folder::with(&[
        ("..data-1/10-a.conf", &conf("old", "bridge")),
        ("..data-2/10-a.conf", &conf("new", "bridge")),
    ]);
    symlink("..data-1", folder.file("..data")).unwrap();
    symlink("..data/10-a.conf", folder.file("10-a.conf")).unwrap();
    let before = scan(folder.path());
    assert_eq!(names(&before), ["old"]);
    // The kubelet's way to change a mounted ConfigMap: no entry that ends in .conf is touched.
    symlink("..data-2", folder.file("..data-new")).unwrap();
    fs::rename(folder.file("..data-new"), folder.file("..data")).unwrap();
    assert!(before.is_outdated());
    assert_eq!(names(&scan(folder.path())), ["new"]);
}

#[test]
fn names_that_are_no_text_are_names_all_the_same() {
    let folder = Folder::with(&[("20-b.conf", &conf("b", "bridge"))]);
    let name = std::ffi::OsStr::from_bytes(b"10-\xff.conf");
    fs::write(folder.path().join(name), conf("a", "bridge")).unwrap();
    assert_eq!(names(&scan(folder.path())), ["a", "b"]);
}
