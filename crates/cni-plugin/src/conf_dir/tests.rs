//! Which files count, in which order, and what is said of the others.

mod hostile;
mod plugin_folder;

use super::*;
use crate::conf_bed::{Folder, conf, conflist, reasons};

/// A case, the files of a folder, and the networks it has.
type Precedence<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

fn names(scan: &Scan) -> Vec<&str> {
    scan.networks.iter().map(|network| network.name().as_str()).collect()
}

#[test]
fn the_first_valid_file_by_name_wins() {
    let (a, b) = (&*conf("a", "bridge"), &*conf("b", "bridge"));
    let list = &*conflist("list", &["bridge", "portmap"]);
    let half = r#"{"name": "half", "#;
    let cases: [Precedence<'_>; 12] = [
        ("nothing", &[], &[]),
        ("one", &[("10-a.conf", a)], &["a"]),
        ("by name, not by age", &[("20-b.conf", b), ("10-a.conf", a)], &["a", "b"]),
        ("byte by byte", &[("9-a.conf", a), ("10-b.conf", b)], &["b", "a"]),
        ("capitals first", &[("a.conf", a), ("B.conf", b)], &["b", "a"]),
        (
            "endings have no rank",
            &[("2.conflist", list), ("1.conf", a), ("3.json", b)],
            &["a", "list", "b"],
        ),
        ("a broken one is passed over", &[("1.conf", half), ("2.conf", b)], &["b"]),
        ("a list in .json is not taken", &[("1.json", list), ("2.conf", b)], &["b"]),
        (
            "other endings are no configurations",
            &[("1.conf~", a), ("1.yaml", a), ("conf", a), ("1.CONF", a), ("1.conf.bak", a)],
            &[],
        ),
        ("a hidden file counts, as with Go", &[(".conf", a), (".1.conf", b)], &["b", "a"]),
        ("folders below do not count", &[("below/1.conf", a)], &[]),
        ("a name is given once", &[("1.conf", a), ("2.conf", a), ("3.conf", b)], &["a", "b"]),
    ];
    for (case, files, expected) in cases {
        assert_eq!(names(&scan(Folder::with(files).path())), expected, "{case}");
    }
}

#[test]
fn each_skipped_file_has_its_reason() {
    let list = conflist("list", &["bridge"]);
    let marked = format!("\u{feff}{}", conf("a", "bridge"));
    let cases: [(&str, &str, &str); 14] = [
        ("1.conf", "", "it is empty"),
        ("1.conf", "\0\0\0", "expected value at line 1 column 1"),
        ("1.conf", "[]", "it is no JSON object"),
        ("1.conf", &marked, "byte order mark"),
        ("1.conf", &list, "let its name end in .conflist"),
        ("1.conf", r#"{"name": "a"}"#, "the plugin type is empty"),
        ("1.conf", r#"{"type": "bridge"}"#, "the network name is empty"),
        (
            "1.conf",
            r#"{"name": "a", "type": "../bridge"}"#,
            "plugin type \"../bridge\" must not have '.'",
        ),
        (
            "1.conf",
            r#"{"name": "../a", "type": "bridge"}"#,
            "network name \"../a\" must not have '.'",
        ),
        (
            "1.conf",
            r#"{"name": "a", "type": "bridge", "ipam": {"type": "/bin/sh"}}"#,
            "plugin bridge: plugin type \"/bin/sh\"",
        ),
        (
            "1.conf",
            r#"{"name": "a", "type": "bridge", "capabilities": {"mac": "yes"}}"#,
            "plugin bridge: cannot decode the network configuration: capabilities",
        ),
        (
            "1.conf",
            r#"{"name": "a", "type": "bridge", "cniVersion": "7.0.0"}"#,
            "cniVersion \"7.0.0\" is not supported",
        ),
        (
            "1.conflist",
            &conf("a", "bridge"),
            "network a has no plugins, neither in the list nor in ",
        ),
        (
            "1.conflist",
            r#"{"name": "a", "plugins": [{"type": "bridge"}, {}]}"#,
            "plugins[1]: the plugin type is empty",
        ),
    ];
    for (file, content, expected) in cases {
        let scan = scan(Folder::with(&[(file, content)]).path());
        assert_eq!(names(&scan), [""; 0], "{content}");
        let reason = &reasons(&scan.skipped)[file];
        assert!(reason.contains(expected), "{content}: {reason}");
    }
}

#[test]
fn a_single_configuration_becomes_a_list_of_one() {
    let folder = Folder::with(&[(
        "1.conf",
        r#"{"cniVersion": "0.4.0", "name": "a", "type": "x", "plugins": ["an option of x"]}"#,
    )]);
    let scan = scan(folder.path());
    let list = &scan.networks[0].list;
    assert_eq!((list.name.as_str(), list.version.as_str()), ("a", "0.4.0"));
    assert_eq!(list.plugins[0].as_map()["plugins"][0], "an option of x");
}

#[test]
fn a_second_file_of_a_network_names_the_first() {
    let a = conf("a", "bridge");
    let folder = Folder::with(&[("1.conf", &a), ("2.conf", &a)]);
    let scan = scan(folder.path());
    let expected = format!("network a is in {} already", folder.file("1.conf").display());
    assert_eq!(reasons(&scan.skipped)["2.conf"], expected);
}

#[test]
fn a_missing_folder_and_one_that_is_a_file_say_so() {
    let folder = Folder::with(&[("file", "")]);
    for (name, expected) in [("missing", "there is no such folder"), ("file", "Not a directory")] {
        let problem = scan(&folder.file(name)).folder_problem.unwrap().to_string();
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn a_network_is_loaded_by_name_or_by_file() {
    let list = conflist("list", &["bridge", "portmap"]);
    let folder = Folder::with(&[
        ("1.conf", &conf("a", "bridge")),
        ("2.conflist", &list),
        ("elsewhere/any.name", &list),
    ]);
    let path = |name: &str| folder.file(name).to_str().unwrap().to_owned();
    let cases = [
        ("list".to_owned(), Ok(2)),
        ("a".to_owned(), Ok(1)),
        (path("1.conf"), Ok(1)),
        (path("elsewhere/any.name"), Ok(2)),
        ("b".to_owned(), Err("no network \"b\" in ")),
        ("b".to_owned(), Err("where there are a, list")),
        ("no-such.conf".to_owned(), Err("no network \"no-such.conf\" in ")),
        (path("no-such.conf"), Err("no-such.conf: cannot read it: No such file")),
    ];
    for (network, expected) in cases {
        match (load(folder.path(), &network), expected) {
            (Ok(loaded), Ok(plugins)) => assert_eq!(loaded.list.plugins.len(), plugins),
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (loaded, _) => panic!("{network}: {loaded:?}"),
        }
    }
}

#[test]
fn an_unknown_network_says_which_files_were_skipped() {
    let folder = Folder::with(&[("1.conf", ""), ("2.conflist", "{")]);
    let error = load(folder.path(), "a").unwrap_err().to_string();
    let expected = format!(
        "no network \"a\" in {}, where there are none; skipped 1.conf (it is empty), 2.conflist (",
        folder.path().display()
    );
    assert!(error.starts_with(&expected), "{error}");
}
