//! Choosing among the flavours and what a folder of exec plugins holds.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use crate::{NodeOptions, probe};

use super::*;

/// A folder of exec plugins.
struct Folder(tempfile::TempDir);

impl Folder {
    /// With a program in each of these folders.
    fn with(folders: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::set_permissions(folder.0.path(), Permissions::from_mode(0o755)).unwrap();
        for name in folders {
            folder.install(name);
        }
        folder
    }

    fn install(&self, name: &str) {
        let inside = self.0.path().join(name);
        fs::create_dir(&inside).unwrap();
        fs::set_permissions(&inside, Permissions::from_mode(0o755)).unwrap();
        let program = inside.join(name.rsplit('~').next().unwrap());
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }

    fn probe(&self) -> Registry {
        let network_plugin_dir = self.0.path().to_owned();
        probe(&NodeOptions { network_plugin_dir, ..NodeOptions::default() })
    }

    /// The name that is selected, or what is wrong with the folder shown as `DIR`.
    fn select(&self, requested: Option<&str>) -> Result<String, String> {
        let selected = self.probe().select(requested).map(|selection| selection.chosen.name);
        selected.map_err(|error| self.shown(&error.to_string()))
    }

    fn shown(&self, text: &str) -> String {
        text.replace(&self.0.path().display().to_string(), "DIR")
    }
}

#[test]
fn exec_means_the_one_exec_plugin_of_the_folder() {
    let folder = Folder::with(&["example.org~sdn", "a~b~c", "kubenet"]);
    assert_eq!(folder.select(Some("exec")).unwrap(), "example.org/sdn");
    folder.install("lab");
    assert_eq!(
        folder.select(Some("exec")).unwrap_err(),
        "--network-plugin=exec: DIR has several exec plugins, example.org/sdn, lab: choose one by its name, such as --network-plugin=example.org/sdn"
    );
    for name in ["lab", "example.org/sdn"] {
        assert_eq!(folder.select(Some(name)).unwrap(), name);
    }
}

#[test]
fn without_an_exec_plugin_it_says_where_it_looked_and_what_is_there() {
    let nothing = "--network-plugin=exec: there is no exec plugin in DIR: put its program at DIR/NAME/NAME, or say where it is by --network-plugin-dir";
    assert_eq!(Folder::with(&[]).select(Some("exec")).unwrap_err(), nothing);
    let odd = Folder::with(&["kubenet"]).select(Some("exec")).unwrap_err();
    assert_eq!(
        odd,
        format!(
            "{nothing}; DIR/kubenet/kubenet is no network plugin: the name kubenet is podnet's own: rename the folder and the program"
        )
    );
}

#[test]
fn our_own_names_mean_our_flavours_whatever_the_folder_holds() {
    let folder = Folder::with(&["cni", "exec", "kubenet", "kubernetes.io~no-op", "lab"]);
    let registry = folder.probe();
    for name in ["cni", "kubenet", "kubernetes.io/no-op"] {
        assert_eq!(registry.select(Some(name)).unwrap().chosen.origin, BUILT_IN);
    }
    assert_eq!(folder.select(Some("exec")).unwrap(), "lab");
    assert_eq!(registry.warnings().count(), 4);
}

#[test]
fn a_badly_named_neighbour_is_a_warning() {
    let folder = Folder::with(&["a~b~c", "lab"]);
    let registry = folder.probe();
    assert_eq!(registry.select(Some("lab")).unwrap().chosen.name, "lab");
    let warnings: Vec<_> = registry.warnings().map(|warning| folder.shown(&warning)).collect();
    assert_eq!(
        warnings,
        [
            "DIR/a~b~c is no network plugin: plugin name \"a/b/c\" is invalid: it has more than one '/', which separates the vendor from the name"
        ]
    );
}

#[test]
fn a_program_that_cannot_be_used_has_its_reason() {
    let folder = Folder::with(&["lab"]);
    fs::remove_file(folder.0.path().join("lab/lab")).unwrap();
    let registry = folder.probe();
    let lab = registry.iter().find(|found| found.name == "lab").unwrap();
    let reason = lab.unusable.as_deref().unwrap();
    assert!(reason.starts_with("there is no program "), "{reason}");
    assert_eq!(registry.warnings().count(), 0, "its initialisation says so");
    assert_eq!(folder.select(Some("exec")).unwrap(), "lab");
}

#[test]
fn a_name_that_was_not_found_says_where_it_was_looked_for() {
    let message = Folder::with(&["lab"]).select(Some("lap")).unwrap_err();
    assert!(message.starts_with("no network plugin is called lap: found "), "{message}");
    assert!(
        message.ends_with("lab; did you mean lab? (exec plugins are looked for in DIR)"),
        "{message}"
    );
}

#[test]
fn what_was_found_is_remembered() {
    let folder = Folder::with(&["lab"]);
    let registry = folder.probe();
    fs::remove_dir_all(folder.0.path().join("lab")).unwrap();
    folder.install("late");
    assert_eq!(registry.select(Some("lab")).unwrap().chosen.name, "lab");
    assert!(registry.select(Some("late")).is_err());
}

#[test]
fn a_folder_that_cannot_be_read_is_a_warning() {
    let folder = Folder::with(&[]);
    let file = folder.0.path().join("file");
    fs::write(&file, "").unwrap();
    let registry = probe(&NodeOptions { network_plugin_dir: file, ..NodeOptions::default() });
    assert!(registry.select(None).is_ok());
    let warning = folder.shown(&registry.warnings().next().unwrap());
    assert!(
        warning.starts_with("DIR/file is no network plugin: cannot read DIR/file: "),
        "{warning}"
    );
}
