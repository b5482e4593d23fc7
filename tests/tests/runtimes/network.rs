//! The network configurations that `docs/conf` has ready, those that our programs can run.

use std::fs;
use std::path::PathBuf;

use podnet_tests::cni_folder::own_types;
use podnet_tests::named::workspace;
use serde_json::Value;

/// The bridge of a plugin that makes one and is not told its name.
const KUBENET_BRIDGE: &str = "cbr0";

/// A network configuration list.
#[derive(Debug)]
pub(crate) struct Network {
    file: PathBuf,
    config: Value,
}

/// Every `docs/conf/*.conflist` all of whose types our program is.
pub(crate) fn usable() -> Vec<Network> {
    let types = own_types();
    let entries = fs::read_dir(workspace().join("docs/conf")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "conflist"));
    files.sort();
    let networks = files.into_iter().map(Network::read);
    networks.filter(|network| network.types().iter().all(|name| types.contains(name))).collect()
}

impl Network {
    fn read(file: PathBuf) -> Self {
        let text = fs::read_to_string(&file).unwrap();
        let config = serde_json::from_str(&text);
        let config = config.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self { file, config }
    }

    fn plugins(&self) -> &[Value] {
        self.config["plugins"].as_array().unwrap()
    }

    fn types(&self) -> Vec<&str> {
        let ipam = self.plugins().iter().filter_map(|plugin| plugin["ipam"]["type"].as_str());
        self.plugins().iter().map(|plugin| plugin["type"].as_str().unwrap()).chain(ipam).collect()
    }

    /// The file as it is.
    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// The name that runtimes know it by.
    pub(crate) fn name(&self) -> &str {
        self.config["name"].as_str().unwrap()
    }

    /// The bridge that stays when the last container has gone.
    pub(crate) fn bridge(&self) -> &str {
        let named = self.plugins().iter().find_map(|plugin| plugin["bridge"].as_str());
        named.unwrap_or(KUBENET_BRIDGE)
    }

    /// Whether one of its plugins takes a capability argument, such as `portMappings`.
    pub(crate) fn has(&self, capability: &str) -> bool {
        self.plugins().iter().any(|plugin| plugin["capabilities"][capability] == true)
    }

    /// Whether containers reach the world by the node's address.
    pub(crate) fn masquerades(&self) -> bool {
        let told = |plugin: &Value| plugin["ipMasq"] == true || plugin["type"] == "kubenet";
        self.plugins().iter().any(told)
    }
}

#[test]
fn a_network_without_host_ports_can_be_used() {
    let networks = usable();
    assert!(networks.iter().any(|network| !network.has("portMappings")), "{networks:?}");
}
