//! What of an earlier reading still counts, and for how long.

use super::*;
use crate::conf_bed::{Folder, conf};
use crate::conf_dir::scan;

/// Makes a folder useless.
type Ruin = fn(&Folder);

const LONG: Duration = GRACE.saturating_mul(10);

struct Bed {
    folder: Folder,
    began: Instant,
    snapshot: Snapshot,
}

impl Bed {
    /// A store's state after `10-a.conf` and `20-b.conf` were read.
    fn new() -> Self {
        let (a, b) = (conf("a", "bridge"), conf("b", "bridge"));
        let folder = Folder::with(&[("10-a.conf", &a), ("20-b.conf", &b)]);
        let began = Instant::now();
        let snapshot = Snapshot::default().next(scan(folder.path()), began);
        Self { folder, began, snapshot }
    }

    /// Reads the folder `after` the beginning: the names that are served, the stale ones marked.
    fn read(&mut self, after: Duration) -> Vec<String> {
        let now = self.began + after;
        self.snapshot = self.snapshot.next(scan(self.folder.path()), now);
        self.served(after)
    }

    fn served(&self, after: Duration) -> Vec<String> {
        let networks = self.snapshot.networks_at(self.began + after);
        let mark = |served: &Served| if served.stale.is_some() { "?" } else { "" };
        networks.map(|served| format!("{}{}", served.network.name(), mark(served))).collect()
    }
}

#[test]
fn a_broken_file_has_its_grace_and_then_the_next_network_is_the_first() {
    let mut bed = Bed::new();
    bed.folder.write("10-a.conf", "{");
    assert_eq!(bed.read(Duration::ZERO), ["a?", "b"]);
    assert_eq!(bed.served(LONG), ["b"]);
    assert_eq!(bed.read(GRACE / 2), ["a?", "b"]);
    assert_eq!(bed.read(GRACE), ["b"], "reading again does not prolong it");
    bed.folder.write("10-a.conf", &conf("a", "ptp"));
    assert_eq!(bed.read(LONG), ["a", "b"]);
}

#[test]
fn a_removed_file_has_none() {
    let mut bed = Bed::new();
    bed.folder.remove("10-a.conf");
    assert_eq!(bed.read(Duration::ZERO), ["b"]);
}

#[test]
fn a_network_that_moves_to_another_file_is_not_kept_twice() {
    let mut bed = Bed::new();
    bed.folder.write("30-c.conf", &conf("a", "bridge"));
    bed.folder.write("10-a.conf", "{");
    assert_eq!(bed.read(Duration::ZERO), ["b", "a"]);
}

#[test]
fn the_last_good_networks_serve_while_there_is_no_other() {
    let emptied: [(&str, Ruin); 3] = [
        ("is gone, and no other network is there", |folder| {
            folder.remove("10-a.conf");
            folder.remove("20-b.conf");
        }),
        ("it is empty", |folder| {
            folder.write("10-a.conf", "");
            folder.write("20-b.conf", "");
        }),
        ("there is no such folder", |folder| std::fs::remove_dir_all(folder.path()).unwrap()),
    ];
    for (reason, empty) in emptied {
        let mut bed = Bed::new();
        empty(&bed.folder);
        assert_eq!(bed.read(Duration::ZERO), ["a?", "b?"], "{reason}");
        assert_eq!(bed.read(LONG), ["a?", "b?"], "{reason}");
        let first = bed.snapshot.networks().next().unwrap().stale.clone().unwrap();
        assert!(first.contains(reason), "{first}");
        bed.folder.write("30-c.conf", &conf("c", "bridge"));
        assert_eq!(bed.read(LONG * 2), ["c"], "{reason}");
    }
}

#[test]
fn the_generation_moves_only_with_the_content() {
    let mut bed = Bed::new();
    assert_eq!(bed.snapshot.generation, 1);
    bed.folder.replace("10-a.conf", &conf("a", "bridge"));
    bed.read(LONG);
    assert_eq!(bed.snapshot.generation, 1, "another file, the same network");
    bed.folder.write("00-broken.conf", "{");
    bed.read(LONG);
    assert_eq!(bed.snapshot.generation, 2);
}
