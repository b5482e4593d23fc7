//! What the folder of exec plugins holds.

use std::path::Path;
use std::sync::Arc;

use podnet_exec_plugin::{ExecPlugin, Unusable};
use podnet_plugin_api::{Candidate, DEFAULT_PLUGIN, NetworkPlugin as _};

use super::{EXEC, FoundPlugin, Registry};
use crate::flavours::Flavour;

/// The names that mean a flavour, whether or not this build has it.
const OWN_NAMES: [&str; 3] = ["cni", EXEC, "kubenet"];

impl Registry {
    /// Adds what is in this folder (kubelet `--network-plugin-dir`).
    pub(crate) fn add_exec(&mut self, dir: &Path) {
        let probed = podnet_exec_plugin::probe(dir);
        self.plugins.extend(probed.plugins.into_iter().map(FoundPlugin::exec));
        let others = probed.unusable.into_iter().map(|unusable| FoundPlugin::none(dir, &unusable));
        self.plugins.extend(others);
        self.exec_dir = Some(dir.to_owned());
    }
}

impl FoundPlugin {
    fn exec(plugin: ExecPlugin) -> Self {
        let name = plugin.name().to_string();
        let path = plugin.program().to_owned();
        let taken = is_own(&name);
        let unusable = if taken {
            Some(format!("the name {name} is podnet's own: rename the folder and the program"))
        } else {
            plugin.check().err().map(|error| error.to_string())
        };
        let candidate = Candidate::new(path.display().to_string(), Arc::new(plugin));
        let candidate = (!taken).then_some(candidate);
        Self { name, flavour: Flavour::Exec, path: Some(path), unusable, candidate }
    }

    /// Something in `dir`, or `dir` itself, that can be no plugin.
    fn none(dir: &Path, found: &Unusable) -> Self {
        let folder = found.path.file_name().filter(|_| found.path != dir).unwrap_or_default();
        Self {
            name: folder.to_string_lossy().replace('~', "/"),
            flavour: Flavour::Exec,
            path: Some(found.path.clone()),
            unusable: Some(found.reason.to_string()),
            candidate: None,
        }
    }
}

fn is_own(name: &str) -> bool {
    OWN_NAMES.contains(&name) || name == DEFAULT_PLUGIN.as_str()
}
