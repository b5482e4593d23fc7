//! The plugins in the folder of the network's name: libcni's cases.

use super::*;

const INLINED: &str = r#"{"name": "net", "plugins": [{"type": "first"}, {"type": "second"}]}"#;
const BARE: &str = r#"{"name": "net"}"#;
const ONLY_INLINED: &str =
    r#"{"name": "net", "loadOnlyInlinedPlugins": true, "plugins": [{"type": "first"}]}"#;
const ONLY_INLINED_BARE: &str = r#"{"name": "net", "loadOnlyInlinedPlugins": true}"#;
const THIRD: &str = r#"{"type": "third"}"#;
const FOURTH: &str = r#"{"type": "fourth"}"#;

type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    Result<&'static [&'static str], &'static str>,
);

#[test]
fn plugins_of_the_networks_folder_come_after_the_inlined_ones() {
    let cases: [Case; 14] = [
        (INLINED, &[], Ok(&["first", "second"])),
        (INLINED, &[("net/1.conf", THIRD)], Ok(&["first", "second", "third"])),
        (
            INLINED,
            &[("net/2.conf", THIRD), ("net/1.conf", FOURTH)],
            Ok(&["first", "second", "fourth", "third"]),
        ),
        (INLINED, &[("other/1.conf", THIRD)], Ok(&["first", "second"])),
        (INLINED, &[("net/1.json", THIRD), ("net/1.conflist", INLINED)], Ok(&["first", "second"])),
        (INLINED, &[("net/1.conf/x", "")], Ok(&["first", "second"])),
        (INLINED, &[("net/1.conf", "{")], Err("net/1.conf: cannot decode")),
        (INLINED, &[("net/1.conf", BARE)], Err("net/1.conf: the plugin type is empty")),
        (INLINED, &[("net/1.conf", "")], Err("net/1.conf: it is empty")),
        (BARE, &[("net/1.conf", THIRD), ("net/2.conf", FOURTH)], Ok(&["third", "fourth"])),
        (BARE, &[], Err("network net has no plugins")),
        (BARE, &[("net", "a file")], Err("net: cannot read it: Not a directory")),
        (ONLY_INLINED, &[("net/1.conf", "{")], Ok(&["first"])),
        (
            ONLY_INLINED_BARE,
            &[("net/1.conf", THIRD)],
            Err("loadOnlyInlinedPlugins needs them in the list"),
        ),
    ];
    for (list, files, expected) in cases {
        let folder = Folder::with(files);
        folder.write("1.conflist", list);
        let scan = scan(folder.path());
        match expected {
            Ok(types) => {
                let plugins = scan.networks[0].list.plugins.iter();
                let found: Vec<_> = plugins.map(|plugin| plugin.plugin_type().unwrap()).collect();
                let found: Vec<_> = found.iter().map(AsRef::<str>::as_ref).collect();
                assert_eq!(found, types, "{list} {files:?}");
            }
            Err(expected) => {
                let reason = scan.skipped[0].reason.to_string();
                assert!(reason.contains(expected), "{list} {files:?}: {reason}");
            }
        }
    }
}

#[test]
fn a_single_configuration_has_no_folder_of_plugins() {
    let folder = Folder::with(&[("1.conf", &conf("net", "first")), ("net/1.conf", THIRD)]);
    assert_eq!(scan(folder.path()).networks[0].list.plugins.len(), 1);
}

#[test]
fn a_change_in_the_networks_folder_outdates_what_was_read() {
    let folder = Folder::with(&[("1.conflist", INLINED)]);
    let before = scan(folder.path());
    assert!(!before.is_outdated());
    folder.write("net/1.conf", THIRD);
    assert!(before.is_outdated());
    let after = scan(folder.path());
    assert!(!after.is_outdated());
    folder.replace("net/1.conf", FOURTH);
    assert!(after.is_outdated());
}
