//! The `CNI_` variables: which of them a verb needs, and the attachment they make.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use podnet_cni_spec::{Attachment, CniArgs, CniError, ContainerId, ErrorCode, InterfaceName, Verb};

pub(crate) const COMMAND: &str = "CNI_COMMAND";
pub(crate) const CONTAINER_ID: &str = "CNI_CONTAINERID";
pub(crate) const NETNS: &str = "CNI_NETNS";
pub(crate) const INTERFACE: &str = "CNI_IFNAME";
pub(crate) const ARGS: &str = "CNI_ARGS";
pub(crate) const PATH: &str = "CNI_PATH";
pub(crate) const NETNS_OVERRIDE: &str = "CNI_NETNS_OVERRIDE";

const ALL: &[&str] = &[COMMAND, CONTAINER_ID, NETNS, INTERFACE, ARGS, PATH, NETNS_OVERRIDE];

/// The variables by which a runtime calls a plugin (CNI 1.1.0, section 2).
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
}

fn refused(msg: String) -> CniError {
    CniError::new(ErrorCode::INVALID_ENVIRONMENT, msg)
}

impl Environment {
    /// These variables.
    pub fn new<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<OsString>,
    {
        let owned = |(name, value): (K, V)| (name.into(), value.into());
        Self { variables: variables.into_iter().map(owned).collect() }
    }

    /// Those of this process.
    #[must_use]
    pub fn from_process() -> Self {
        Self::new(ALL.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))))
    }

    /// A variable; one that is empty is absent.
    fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// A variable as text, empty where it is absent.
    pub(crate) fn text(&self, name: &str) -> Result<&str, CniError> {
        let value = self.get(name).unwrap_or_default();
        value.to_str().ok_or_else(|| refused(format!("{name} is not UTF-8: {}", value.display())))
    }

    /// The namespace, where there is one.
    pub(crate) fn netns(&self) -> Option<&Path> {
        self.get(NETNS).map(Path::new)
    }

    /// The folders of `CNI_PATH`, without empty ones.
    pub(crate) fn plugin_path(&self) -> Vec<PathBuf> {
        let folders = std::env::split_paths(self.get(PATH).unwrap_or_default());
        folders.filter(|folder| !folder.as_os_str().is_empty()).collect()
    }

    /// Whether the runtime allows the plugin's own namespace.
    pub(crate) fn allows_own_netns(&self) -> bool {
        let value = self.text(NETNS_OVERRIDE).unwrap_or_default();
        value == "1" || value.eq_ignore_ascii_case("true")
    }

    /// Refuses a call that lacks variables, naming all of them.
    pub(crate) fn require(&self, verb: Verb) -> Result<(), CniError> {
        let needed = required_variables(verb).iter().copied();
        let missing: Vec<&str> = needed.filter(|name| self.get(name).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        // The reference's words; tests and runtimes look for them.
        Err(refused(format!("required env variables [{}] missing", missing.join(","))))
    }

    /// What the verb is to be done to; nothing for verbs without an attachment.
    pub(crate) fn attachment(&self, verb: Verb) -> Result<Option<Attachment>, CniError> {
        if !required_variables(verb).contains(&CONTAINER_ID) {
            return Ok(None);
        }
        Ok(Some(Attachment {
            container_id: ContainerId::new(self.text(CONTAINER_ID)?)?,
            interface: InterfaceName::new(self.text(INTERFACE)?)?,
            netns: self.netns().map(Path::to_path_buf),
            args: CniArgs::parse(self.text(ARGS)?)?,
        }))
    }
}

/// As pkg/skel has it: stricter by `CNI_PATH` than the specification.
fn required_variables(verb: Verb) -> &'static [&'static str] {
    match verb {
        Verb::Add | Verb::Check => &[CONTAINER_ID, NETNS, INTERFACE, PATH],
        Verb::Del => &[CONTAINER_ID, INTERFACE, PATH],
        Verb::Gc | Verb::Status => &[PATH],
        _ => &[],
    }
}
