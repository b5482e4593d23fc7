//! `podnet plugins`.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use podnet::{FoundPlugin, NodeOptions, probe};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;
use crate::table::Table;

/// Prints the plugins that were found, and which one the options choose. Changes and executes nothing.
pub(crate) fn list(options: &NodeOptions, output: Output) -> Result<ExitCode, Failure> {
    let found = probe(options);
    let chosen = match found.select(options.network_plugin.as_deref()) {
        Ok(selection) => Some(selection.chosen),
        Err(error) => {
            tracing::warn!("{error}");
            None
        }
    };
    let is_chosen = |plugin: &FoundPlugin| chosen.as_ref().is_some_and(|it| plugin.is(it));
    let rows = found.iter().map(|plugin| Row::new(plugin, is_chosen(plugin)));
    Ok(output.print(&Plugins(rows.collect()))?)
}

/// One plugin that was found, or what was found in the place of one.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    flavour: &'a str,
    path: Option<&'a Path>,
    usable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    selected: bool,
}

impl<'a> Row<'a> {
    fn new(found: &'a FoundPlugin, selected: bool) -> Self {
        Self {
            name: &found.name,
            flavour: found.flavour.as_str(),
            path: found.path.as_deref(),
            usable: found.unusable.is_none(),
            reason: found.unusable.as_deref(),
            selected,
        }
    }

    fn cells(&self) -> [String; 5] {
        let mark = if self.selected { "*" } else { "" };
        let path =
            self.path.map_or_else(|| "built in".to_owned(), |path| path.display().to_string());
        let usable = self.reason.map_or_else(|| "yes".to_owned(), |reason| format!("no: {reason}"));
        [mark.to_owned(), self.name.to_owned(), self.flavour.to_owned(), path, usable]
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Plugins<'a>(Vec<Row<'a>>);

impl fmt::Display for Plugins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["", "NAME", "FLAVOUR", "PATH", "USABLE"];
        Table::new(heads, self.0.iter().map(Row::cells)).fmt(f)
    }
}
