//! The store on a real disk: the reference's format, foreign and broken files, full and read-only folders.

use std::os::unix::fs::{MetadataExt, symlink};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::host_local::range::{Pools, RangeOptions, RangeSet};

fn at(text: &str) -> Position {
    text.parse::<IpAddr>().unwrap().into()
}

fn owner(container: &str) -> Owner {
    Owner { container: container.to_owned(), interface: Some("eth0".to_owned()) }
}

fn pools() -> Pools {
    let options = RangeOptions {
        subnet: "10.0.0.0/24".parse().unwrap(),
        range_start: None,
        range_end: None,
        gateway: None,
    };
    Pools::new(vec![RangeSet::new(&[options]).unwrap()]).unwrap()
}

fn choice<'a>(pools: &'a Pools, text: &str) -> Choice<'a> {
    let range = &pools.sets()[0].ranges()[0];
    Choice { address: at(text), range, is_stale: false }
}

/// A store's directory, and the index that one process keeps of it.
struct Network {
    dir: TempDir,
    index: Index,
}

impl Network {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let network = Self { dir, index: Index::default() };
        for (name, content) in files {
            network.write(name, content);
        }
        network
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&mut self) -> Store<'_> {
        let access = Access {
            dir: self.dir.path(),
            index: &mut self.index,
            notes: None,
            wait: Duration::ZERO,
        };
        access.open().unwrap().unwrap()
    }

    fn holdings(&mut self, container: &str) -> Vec<Position> {
        let mut store = self.open();
        let held = store.holdings(&owner(container)).unwrap();
        store.close();
        held.all()
    }
}

#[test]
fn files_look_as_the_references_do() {
    let dir = tempfile::tempdir().unwrap();
    let network = dir.path().join("networks/net");
    let mut index = Index::default();
    let mut store = Access { dir: &network, index: &mut index, notes: None, wait: Duration::ZERO }
        .create()
        .unwrap();
    assert!(store.reserve(&choice(&pools(), "10.0.0.2"), &owner("a1")).unwrap());
    store.note_last_reserved(0, at("10.0.0.2"));
    store.close();
    assert_eq!(fs::read(network.join("10.0.0.2")).unwrap(), b"a1\r\neth0");
    assert_eq!(fs::read(network.join("last_reserved_ip.0")).unwrap(), b"10.0.0.2");
    let mut names: Vec<_> =
        fs::read_dir(&network).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["10.0.0.2", "last_reserved_ip.0", "lock"]);
    assert_eq!(fs::metadata(network.join("10.0.0.2")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&network).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn strange_files_take_their_address_and_block_nobody() {
    let mut network = Network::new(&[
        ("10.0.0.2", "a\r\neth0"),
        ("10.0.0.3", ""),
        ("10.0.0.4", "what is\nthis\nfile"),
        ("10.0.0.05", "a\r\neth0"),
        ("notes", "a\r\neth0"),
        (".podnet-x7", "a\r\neth0"),
    ]);
    make_fifo(&network.path("10.0.0.6"));
    fs::create_dir(network.path("10.0.0.7")).unwrap();
    symlink("/dev/zero", network.path("10.0.0.8")).unwrap();
    symlink(network.path("10.0.0.2"), network.path("10.0.0.9")).unwrap();
    network.write("10.0.0.10", &"x".repeat(5000));
    let store = network.open();
    for host in [2, 3, 4, 6, 7, 8, 9, 10] {
        assert!(store.index().taken().contains(at(&format!("10.0.0.{host}"))), "10.0.0.{host}");
    }
    assert!(!store.index().taken().contains(at("10.0.0.5")), "a name that nobody writes");
    assert_eq!(store.index().stale(), &BTreeSet::from([at("10.0.0.3")]));
    store.close();
    assert_eq!(network.holdings("a"), [at("10.0.0.2")]);
    assert!(!network.path(".podnet-x7").exists(), "left by a process that was killed");
}

/// Makes a FIFO by the program of coreutils: the standard library cannot.
fn make_fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn what_another_process_does_between_two_requests_is_seen() {
    let mut network = Network::new(&[("10.0.0.2", "a\r\neth0"), ("10.0.0.3", "b\r\neth0")]);
    assert_eq!(network.holdings("a"), [at("10.0.0.2")]);
    fs::remove_file(network.path("10.0.0.2")).unwrap();
    network.write("10.0.0.2", "c\r\neth0");
    network.write("10.0.0.4", "d\r\neth0");
    fs::remove_file(network.path("10.0.0.3")).unwrap();
    let expected =
        [("a", vec![]), ("b", vec![]), ("c", vec![at("10.0.0.2")]), ("d", vec![at("10.0.0.4")])];
    for (container, held) in expected {
        assert_eq!(network.holdings(container), held, "{container}");
    }
}

#[test]
fn a_file_changed_in_place_is_found_out_before_it_counts() {
    let mut network = Network::new(&[("10.0.0.2", "a\r\neth0")]);
    assert_eq!(network.holdings("a"), [at("10.0.0.2")]);
    network.write("10.0.0.2", "b\r\neth0");
    assert_eq!(network.holdings("a"), []);
    assert_eq!(network.holdings("b"), [at("10.0.0.2")]);
}

#[test]
fn an_unchanged_store_is_not_read_again() {
    let mut network = Network::new(&[("10.0.0.2", "a\r\neth0")]);
    assert_eq!(network.holdings("a"), [at("10.0.0.2")]);
    let known = network.index.describes.expect("the file system keeps exact times");
    assert_eq!(network.holdings("x"), []);
    assert_eq!(network.index.describes, Some(known));
    let pools = pools();
    let mut store = network.open();
    assert!(store.reserve(&choice(&pools, "10.0.0.3"), &owner("b")).unwrap());
    store.close();
    assert_eq!(network.index.describes, Some(DirectoryStamp::read(network.dir.path()).unwrap()));
}

#[test]
fn an_address_taken_in_spite_of_the_lock_is_not_given() {
    let mut network = Network::new(&[]);
    let path = network.path("10.0.0.2");
    let pools = pools();
    let mut store = network.open();
    fs::write(&path, "thief\r\neth0").unwrap();
    assert!(!store.reserve(&choice(&pools, "10.0.0.2"), &owner("a")).unwrap());
    let empty = Choice { is_stale: true, ..choice(&pools, "10.0.0.2") };
    assert!(!store.reserve(&empty, &owner("a")).unwrap());
    store.close();
    assert_eq!(network.index.describes, None);
    assert_eq!(fs::read(&path).unwrap(), b"thief\r\neth0");
}

#[test]
fn an_unusable_hint_neither_fails_nor_leaks() {
    let mut network = Network::new(&[("last_reserved_ip.1", "nonsense")]);
    fs::create_dir(network.path("last_reserved_ip.0")).unwrap();
    let mut store = network.open();
    assert_eq!([store.last_reserved(0), store.last_reserved(1), store.last_reserved(2)], [None; 3]);
    store.note_last_reserved(0, at("10.0.0.2"));
    store.note_last_reserved(1, at("10.0.0.2"));
    assert_eq!(store.last_reserved(1), Some(at("10.0.0.2")));
    store.close();
}

#[test]
fn a_store_without_directory_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("net");
    let access =
        Access { dir: &missing, index: &mut Index::default(), notes: None, wait: Duration::ZERO };
    assert!(access.open().unwrap().is_none());
    assert!(!missing.exists());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let inside = dir.path().join("file/net");
    let access =
        Access { dir: &inside, index: &mut Index::default(), notes: None, wait: Duration::ZERO };
    let error = access.create().map(Store::close).unwrap_err().to_string();
    assert!(error.contains("/file/net") && error.ends_with("Not a directory"), "{error}");
}

#[test]
fn a_file_that_was_edited_counts_and_not_what_another_process_noted() {
    let network = Network::new(&[("10.0.0.2", "a1\r\neth0")]);
    let notes = tempfile::tempdir().unwrap();
    let (dir, notes, wait) = (network.dir.path(), Some(notes.path()), Duration::ZERO);
    let mut index = Index::default();
    Access { dir, index: &mut index, notes, wait }.open().unwrap().unwrap().close();
    network.write("10.0.0.2", "b2\r\neth0");
    for (container, noted, certain) in
        [("b2", vec![], vec![at("10.0.0.2")]), ("a1", vec![], vec![])]
    {
        let mut index = Index::default();
        let mut store = Access { dir, index: &mut index, notes, wait }.open().unwrap().unwrap();
        assert_eq!(store.holdings(&owner(container)).unwrap().all(), noted, "{container}");
        assert_eq!(store.certain_holdings(&owner(container)).unwrap().all(), certain);
    }
}
