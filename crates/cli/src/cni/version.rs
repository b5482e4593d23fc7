//! `podnet cni version`: which versions of the specification plugins speak.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use futures_util::{StreamExt as _, stream};
use podnet_cni_invoke::ExecError;
use podnet_cni_plugin::{Scan, conf_dir};
use podnet_cni_spec::PluginType;
use serde::Serialize;

use super::setting::Setting;
use crate::failure::{Failure, in_words};
use crate::output::Output;
use crate::table::Table;

/// How many programs are asked at a time.
const AT_ONCE: usize = 4;

/// Asks the plugins of these types, or those of the networks.
pub(super) async fn show(
    setting: &Setting,
    types: &[PluginType],
    output: Output,
) -> Result<ExitCode, Failure> {
    let types = if types.is_empty() { used_by_networks(setting)? } else { types.to_vec() };
    let asked = types.iter().map(|plugin| Row::ask(setting, plugin));
    let rows: Vec<Row> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    let all_answered = rows.iter().all(|row| row.answer.is_ok());
    let printed = output.print(&Rows(rows))?;
    Ok(if all_answered { printed } else { ExitCode::FAILURE })
}

fn used_by_networks(setting: &Setting) -> Result<Vec<PluginType>, Failure> {
    let Scan { networks, folder, .. } = conf_dir::scan(&setting.conf_dir);
    let plugins = networks.iter().flat_map(|network| &network.list.plugins);
    let types = plugins.flat_map(|plugin| {
        let ipam = plugin.ipam_type().ok().flatten();
        plugin.plugin_type().ok().into_iter().chain(ipam)
    });
    let types: BTreeSet<PluginType> = types.collect();
    if types.is_empty() {
        let folder = folder.display();
        return Err(anyhow!("no network in {folder} uses a plugin: name its type").into());
    }
    Ok(types.into_iter().collect())
}

/// What one plugin said.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(rename = "type")]
    plugin: PluginType,
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answer {
    #[serde(rename_all = "camelCase")]
    Versions {
        program: Option<PathBuf>,
        supported_versions: Vec<String>,
    },
    Nothing {
        error: String,
    },
}

async fn ask(setting: &Setting, plugin: &PluginType) -> Result<Answer, Arc<ExecError>> {
    let program = setting.program(plugin).await?;
    let supported_versions = setting.programs().versions(plugin).await?.supported.clone();
    Ok(Answer::Versions { program, supported_versions })
}

impl Answer {
    fn is_ok(&self) -> bool {
        matches!(self, Self::Versions { .. })
    }
}

impl Row {
    async fn ask(setting: &Setting, plugin: &PluginType) -> Self {
        let answer = match ask(setting, plugin).await {
            Ok(answer) => answer,
            Err(error) => Answer::Nothing { error: in_words(&error.to_string()) },
        };
        Self { plugin: plugin.clone(), answer }
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Rows(Vec<Row>);

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.0.iter().map(|Row { plugin, answer }| match answer {
            Answer::Versions { program, supported_versions } => {
                let program = program.as_ref().map(|program| program.display().to_string());
                let program = program.unwrap_or_else(|| "built in".to_owned());
                [plugin.to_string(), supported_versions.join(" "), program]
            }
            Answer::Nothing { error } => [plugin.to_string(), "-".to_owned(), error.clone()],
        });
        write!(f, "{}", Table::new(["TYPE", "CNI", "PROGRAM"], rows))
    }
}
