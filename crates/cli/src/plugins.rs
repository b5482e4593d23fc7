//! `podnet plugins`.

use std::fmt;
use std::process::ExitCode;

use podnet::plugin_api::{Candidate, select};
use podnet::{NodeOptions, probe};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;

/// Prints the plugins that were found, and which one the options choose. Touches nothing.
pub(crate) fn list(options: &NodeOptions, output: Output) -> Result<ExitCode, Failure> {
    let candidates = probe(options);
    let chosen = match select(candidates.clone(), options.network_plugin.as_deref()) {
        Ok(selection) => Some(selection.chosen.name),
        Err(error) => {
            tracing::warn!("{error}");
            None
        }
    };
    let rows = candidates.iter().map(|candidate| Row::new(candidate, chosen.as_deref()));
    Ok(output.print(&Table(rows.collect()))?)
}

/// One plugin that was found.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    origin: &'a str,
    selected: bool,
}

impl<'a> Row<'a> {
    fn new(candidate: &'a Candidate, chosen: Option<&str>) -> Self {
        let (name, origin) = (&candidate.name, &candidate.origin);
        Self { name, origin, selected: chosen == Some(name) }
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Table<'a>(Vec<Row<'a>>);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|row| row.name.len()).max().unwrap_or_default();
        write!(f, "  {:width$}  ORIGIN", "NAME")?;
        for row in &self.0 {
            let mark = if row.selected { '*' } else { ' ' };
            write!(f, "\n{mark} {:width$}  {}", row.name, row.origin)?;
        }
        Ok(())
    }
}
