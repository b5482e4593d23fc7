//! Which folders are plugins, what they are called, and which of them is selected.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use podnet_exec_plugin::{Error, ExecPlugin, Probed, probe};
use podnet_plugin_api::selection::{Candidate, SelectionError, select};
use podnet_plugin_api::{NameRule, NetworkPlugin, Settings};

use crate::bed::{Bed, OBEDIENT, web};

fn names(probed: &Probed) -> Vec<&str> {
    probed.plugins.iter().map(|plugin| plugin.name().as_str()).collect()
}

fn candidates(bed: &Bed) -> Vec<Candidate> {
    let plugins = probe(&bed.net()).plugins.into_iter();
    plugins
        .map(|plugin| Candidate::new(plugin.program().display().to_string(), Arc::new(plugin)))
        .collect()
}

#[test]
fn folders_are_plugins_and_files_are_not() {
    let bed = Bed::empty();
    for folder in ["sdn", "example.org~sdn", "bridge"] {
        bed.make_folder(folder);
    }
    std::fs::write(bed.net().join("README"), "").unwrap();
    let probed = probe(&bed.net());
    assert_eq!(names(&probed), ["bridge", "example.org/sdn", "sdn"]);
    assert!(probed.unusable.is_empty(), "{probed:?}");
    let programs: Vec<_> = probed.plugins.iter().map(ExecPlugin::program).collect();
    let expected = ["bridge/bridge", "example.org~sdn/sdn", "sdn/sdn"];
    assert_eq!(programs, expected.map(|path| bed.net().join(path)));
}

#[tokio::test]
async fn a_link_to_a_folder_is_a_plugin() {
    let bed = Bed::with(OBEDIENT);
    symlink(bed.net(), bed.file("elsewhere")).unwrap();
    let linked = bed.file("linked");
    std::fs::create_dir(&linked).unwrap();
    symlink(bed.file("elsewhere/scripted"), linked.join("scripted")).unwrap();
    symlink("nowhere", linked.join("broken")).unwrap();

    let probed = probe(&linked);
    assert_eq!(names(&probed), ["scripted"]);
    probed.plugins[0].init(&Settings::default()).await.unwrap();
    assert_eq!(bed.read("calls"), "init\n");

    assert_eq!(probed.unusable.len(), 1);
    assert!(matches!(probed.unusable[0].reason, Error::Unreadable { .. }), "{probed:?}");
}

#[test]
fn a_badly_named_folder_is_told_and_keeps_no_other_from_being_used() {
    let bed = Bed::with(OBEDIENT);
    for folder in ["a~b~c", "MyCompany~sdn", ".git", "~", "lost+found"] {
        bed.make_folder(folder);
    }
    let probed = probe(&bed.net());
    assert_eq!(names(&probed), ["scripted"]);
    let reasons = probed.unusable.iter().map(|unusable| match &unusable.reason {
        Error::Name(invalid) => (invalid.name.as_str(), invalid.rule),
        other => panic!("{other}"),
    });
    let expected = [
        (".git", NameRule::Characters),
        ("MyCompany/sdn", NameRule::Vendor),
        ("a/b/c", NameRule::Slashes),
        ("lost+found", NameRule::Characters),
        ("/", NameRule::Empty),
    ];
    assert_eq!(reasons.collect::<Vec<_>>(), expected);
    let line = probed.unusable[2].to_string();
    assert!(line.starts_with(&format!("{}: ", bed.net().join("a~b~c").display())), "{line}");
}

#[test]
fn a_missing_folder_has_no_plugins_and_an_unreadable_one_is_told() {
    let bed = Bed::empty();
    let missing = probe(&bed.net().join("missing"));
    assert!(missing.plugins.is_empty() && missing.unusable.is_empty(), "{missing:?}");

    let file = bed.file("file");
    std::fs::write(&file, "").unwrap();
    let unreadable = probe(&file);
    assert_eq!(unreadable.unusable.len(), 1, "{unreadable:?}");
    assert_eq!(unreadable.unusable[0].path, file);
}

#[tokio::test]
async fn a_vendored_plugin_is_selected_and_called() {
    let bed = Bed::empty();
    bed.install("mycompany~mysdn/mysdn", &format!("#!/bin/sh\n{OBEDIENT}\n"));
    bed.make_folder("other");
    let plugin = select(candidates(&bed), Some("mycompany/mysdn")).unwrap().chosen.plugin;
    plugin.init(&Settings::default()).await.unwrap();
    plugin.tear_down_pod(&web()).await.unwrap();
    assert_eq!(bed.read("calls"), "init\nteardown default web a1\n");
}

#[test]
fn a_plugin_that_is_not_there_is_not_selected() {
    let bed = Bed::with(OBEDIENT);
    let error = select(candidates(&bed), Some("mycompany/mysdn")).unwrap_err();
    assert!(matches!(error, SelectionError::NotFound { .. }), "{error}");
    assert!(!bed.file("calls").exists(), "nothing is executed");
}
