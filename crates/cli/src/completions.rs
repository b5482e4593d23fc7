//! `podnet completions`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::arguments::Cli;
use crate::failure::Failure;
use crate::output;

/// Prints a shell's completion script.
pub(crate) fn write(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "podnet", &mut script);
    Ok(output::write(&script)?)
}
