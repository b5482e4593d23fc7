//! Results on stdout.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For a person.
    Text,
    /// For a program: one JSON value a line.
    Json,
}

impl Output {
    /// Prints a result.
    pub(crate) fn print(self, result: &(impl Serialize + Display)) -> anyhow::Result<ExitCode> {
        let line = match self {
            Self::Text => result.to_string(),
            Self::Json => serde_json::to_string(result)?,
        };
        write(format!("{line}\n").as_bytes())
    }
}

/// Writes to stdout. That the reader has read enough and is gone is success.
pub(crate) fn write(bytes: &[u8]) -> anyhow::Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
