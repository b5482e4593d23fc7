//! Configuration folders and programs for tests.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use podnet_cni_invoke::{Exec, ExecError, SearchPath};
use podnet_cni_spec::{AddResult, PluginType, PluginVersions, Request, SpecVersion};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::programs::Programs;

/// A folder that vanishes with this value.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self::new();
        for (name, content) in files {
            folder.write(name, content);
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes in place, making folders on the way.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let file = self.file(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    /// Replaces the file by a rename.
    pub(crate) fn replace(&self, name: &str, content: &str) {
        self.write("being-written", content);
        fs::rename(self.file("being-written"), self.file(name)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.file(name)).unwrap();
    }
}

/// A single plugin's configuration.
pub(crate) fn conf(network: &str, plugin: &str) -> String {
    format!(r#"{{"cniVersion": "1.0.0", "name": "{network}", "type": "{plugin}"}}"#)
}

/// A list's configuration.
pub(crate) fn conflist(network: &str, plugins: &[&str]) -> String {
    let plugins: Vec<String> =
        plugins.iter().map(|plugin| format!(r#"{{"type": "{plugin}"}}"#)).collect();
    let plugins = plugins.join(", ");
    format!(r#"{{"cniVersion": "1.0.0", "name": "{network}", "plugins": [{plugins}]}}"#)
}

/// Programs that are files of a folder and say what is in them: versions, separated by blanks, or `hang`.
pub(crate) struct FakePrograms {
    pub(crate) folder: Folder,
    asked: AtomicUsize,
}

impl FakePrograms {
    pub(crate) fn new(programs: &[(&str, &str)]) -> Arc<Self> {
        Arc::new(Self { folder: Folder::with(programs), asked: AtomicUsize::new(0) })
    }

    pub(crate) fn programs(self: &Arc<Self>) -> Arc<Programs> {
        let exec: Arc<dyn Exec> = Arc::<Self>::clone(self);
        Arc::new(Programs::new(exec, self.search_path()))
    }

    /// How often a program was started.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn search_path(&self) -> SearchPath {
        SearchPath::new(vec![self.folder.path().to_owned()])
    }

    async fn answer(&self, plugin: &PluginType) -> Result<PluginVersions, ExecError> {
        let program = self.search_path().find(plugin)?;
        self.asked.fetch_add(1, Ordering::Relaxed);
        let said = fs::read_to_string(program).unwrap();
        if said == "hang" {
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
        let supported = said.split_whitespace().map(str::to_owned).collect();
        Ok(PluginVersions { cni_version: SpecVersion::LATEST.to_string(), supported })
    }
}

impl Exec for FakePrograms {
    fn run<'a>(
        &'a self,
        _: &'a PluginType,
        _: &'a Request,
    ) -> BoxFuture<'a, Result<Option<AddResult>, ExecError>> {
        panic!("nothing is to be set up by looking at configurations")
    }

    fn versions<'a>(
        &'a self,
        plugin: &'a PluginType,
    ) -> BoxFuture<'a, Result<PluginVersions, ExecError>> {
        Box::pin(self.answer(plugin))
    }
}

/// What was skipped: file name to reason.
pub(crate) fn reasons(skipped: &[crate::conf_dir::Skipped]) -> HashMap<String, String> {
    let name = |file: &Path| file.file_name().unwrap().to_string_lossy().into_owned();
    skipped.iter().map(|skipped| (name(&skipped.file), skipped.reason.to_string())).collect()
}

/// Leaves in the folder what is no configuration: file name, and what is said of it.
pub(crate) fn strange_files(folder: &Folder) -> Vec<(&'static str, &'static str)> {
    mknodat(CWD, folder.file("00-fifo.conf"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    fs::create_dir(folder.file("01-directory.conf")).unwrap();
    symlink("nowhere", folder.file("02-dangling.conf")).unwrap();
    symlink("03-loop.conf", folder.file("03-loop.conf")).unwrap();
    symlink("/dev/zero", folder.file("04-device.conf")).unwrap();
    symlink("00-fifo.conf", folder.file("05-to-fifo.conf")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.file("06-socket.conf")).unwrap());
    fs::File::create(folder.file("07-large.conf")).unwrap().set_len(100_000_000).unwrap();
    folder.write("08-deep.conf", &"[".repeat(100_000));
    folder.write("08-deep.conflist", &r#"{"a":"#.repeat(100_000));
    vec![
        ("00-fifo.conf", "it is a FIFO, not a regular file"),
        ("01-directory.conf", "it is a directory"),
        ("02-dangling.conf", "it is a link to nothing"),
        ("03-loop.conf", "Too many levels of symbolic links"),
        ("04-device.conf", "it is a device"),
        ("05-to-fifo.conf", "it is a FIFO"),
        ("06-socket.conf", "it is a socket"),
        ("07-large.conf", "it is larger than 1048576 bytes"),
        ("08-deep.conf", "it is nested deeper than 64"),
        ("08-deep.conflist", "it is nested deeper than 64"),
    ]
}
