//! `podnet cni status`: whether a network can be attached to.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use podnet_cni_plugin::{ConfStore, Loaded};
use podnet_cni_spec::{ErrorCode, NetworkName};
use serde::Serialize;

use super::setting::Setting;
use crate::failure::{self, Failure};
use crate::output::Output;
use crate::status::NOT_READY;

/// Prints whether the network, or without a name the first usable one, can be attached to.
pub(super) async fn show(
    setting: &Setting,
    network: Option<&str>,
    output: Output,
) -> Result<ExitCode, Failure> {
    let found = match network {
        Some(network) => setting.find(network).map_err(|error| NotReady::new(&error, None)),
        None => default_network(setting).await,
    };
    let (loaded, not_ready) = match found {
        Ok(loaded) => {
            let not_ready = ask(setting, &loaded).await.err();
            (Some(loaded), not_ready)
        }
        Err(not_ready) => (None, Some(not_ready)),
    };
    let (name, file) = loaded.as_ref().map(|loaded| (loaded.name(), &*loaded.file)).unzip();
    let ready = not_ready.is_none();
    let printed = output.print(&Readiness { network: name, file, ready, not_ready })?;
    Ok(if ready { printed } else { ExitCode::from(NOT_READY) })
}

async fn default_network(setting: &Setting) -> Result<Arc<Loaded>, NotReady> {
    let programs = Arc::new(setting.programs());
    let store = ConfStore::new(&setting.conf_dir).with_programs(programs);
    store.status().await.ready().cloned().map_err(|error| NotReady::new(&error, None))
}

/// Asks programs, then plugins.
async fn ask(setting: &Setting, loaded: &Loaded) -> Result<(), NotReady> {
    let usable = setting.programs().validate(&loaded.list).await;
    let usable = usable.map_err(|unusable| NotReady::new(&unusable, None))?;
    usable.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let asked = setting.cni().network(loaded.list.clone()).status().await;
    asked.map_err(|error| {
        failure::say_stderr_of(&error);
        NotReady::new(&error, Some(error.code()))
    })
}

/// Why a network cannot be attached to.
#[derive(Debug, Serialize)]
struct NotReady {
    message: String,
    /// The specification's code, where a plugin reported one.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u32>,
}

impl NotReady {
    fn new(error: &dyn fmt::Display, code: Option<ErrorCode>) -> Self {
        Self { message: failure::in_words(&error.to_string()), code: code.map(|code| code.0) }
    }
}

/// Whether a network can be attached to; there may be none at all.
#[derive(Debug, Serialize)]
struct Readiness<'a> {
    network: Option<&'a NetworkName>,
    file: Option<&'a Path>,
    ready: bool,
    #[serde(flatten)]
    not_ready: Option<NotReady>,
}

impl fmt::Display for Readiness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(network) = self.network {
            write!(f, "{network}: ")?;
        }
        match &self.not_ready {
            Some(NotReady { message, .. }) => write!(f, "not ready: {message}"),
            None => f.write_str("ready"),
        }
    }
}
