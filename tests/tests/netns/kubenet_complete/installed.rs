//! Which programs kubenet runs, and what it says of those it cannot.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use podnet_plugin_api::{NetworkPlugin as _, Settings};
use podnet_standard_plugins::PluginChoice;

use super::bed::{Bed, sandbox, set_up, start};

const PLUGINS: [&str; 3] = ["bridge", "host-local", "loopback"];

/// A folder whose programs note that they ran and hand on to the Go ones.
fn folder_of(dir: &Path, name: &str, go: &Path) -> PathBuf {
    let folder = dir.join(name);
    fs::create_dir(&folder).unwrap();
    for plugin in PLUGINS {
        let (ran, program) = (folder.join(format!("{plugin}.ran")), go.join(plugin));
        let script =
            format!("#!/bin/sh\n: > {}\nexec {} \"$@\"\n", ran.display(), program.display());
        write_program(&folder.join(plugin), &script);
    }
    folder
}

fn write_program(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_first_folder_with_a_program_counts() {
    let name = "the_first_folder_with_a_program_counts";
    let Some(bridge) = podnet_tests::programs::peer("bridge", name) else { return };
    let go = bridge.parent().unwrap();
    let bed = Bed::new(None);
    let web = bed.host.add_pod("web").unwrap();
    let [first, second] = ["first", "second"].map(|name| folder_of(bed.host.folder(), name, go));
    fs::remove_file(first.join("bridge")).unwrap();
    bed.host
        .run(async || {
            let dirs = vec![first.clone(), second.clone()];
            let options = bed.options().with_plugins(PluginChoice::Installed, dirs);
            set_up(&start(options, &Settings::default()).await, &sandbox("w1", &web)).await;
        })
        .unwrap();
    let ran = |folder: &Path| PLUGINS.map(|plugin| folder.join(format!("{plugin}.ran")).exists());
    assert_eq!(ran(&first), [false, true, true]);
    assert_eq!(ran(&second), [true, false, false]);
}

#[test]
fn a_missing_or_too_old_program_is_an_error_that_names_it() {
    let bed = Bed::new(None);
    let folder = bed.host.folder().join("programs");
    fs::create_dir(&folder).unwrap();
    let status = || {
        let options = bed.options().with_plugins(PluginChoice::Installed, vec![folder.clone()]);
        let status =
            bed.host.run(async || start(options, &Settings::default()).await.status().await);
        status.unwrap().unwrap_err().message
    };
    let missing = status();
    let named = missing.contains("bridge") && missing.contains(&folder.display().to_string());
    assert!(named, "{missing}");
    let old = r#"{"cniVersion": "0.1.0", "supportedVersions": ["0.1.0"]}"#;
    for plugin in PLUGINS {
        write_program(&folder.join(plugin), &format!("#!/bin/sh\necho '{old}'\n"));
    }
    let too_old = status();
    assert!(too_old.contains("bridge") && too_old.contains("0.1.0"), "{too_old}");
}
