//! The command `podnet`: the pod network of a node, set up and taken down from a shell.
//!
//! Results go to stdout, everything else to stderr. It exits with 0 when done, 1 when it failed, 2 for a usage error
//! and 3 when the network plugin is not ready.

mod arguments;
mod cni;
mod completions;
mod demo;
mod failure;
mod install;
mod logging;
mod man;
mod output;
mod plugins;
mod upkeep;
mod pod;
mod ports;
mod status;
mod table;

use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use futures_util::future::{Either, select};
use tokio::signal::unix::{SignalKind, signal};

use arguments::{Cli, Command};
use cni::Said;
use failure::Failure;
use podnet::ConfigFile;

fn main() -> ExitCode {
    let (mut cli, matches) = match parse() {
        Ok(parsed) => parsed,
        Err(error) => return failure::report_usage(&error),
    };
    logging::start(cli.verbose);
    let configured = configure(&mut cli, &matches).and_then(|()| make_absolute(&mut cli));
    let done = configured.and_then(|()| run(&cli, &matches));
    done.unwrap_or_else(|failure| failure.report())
}

/// The command line as values, and as it was written.
fn parse() -> Result<(Cli, ArgMatches), clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok((cli, matches))
}

/// Sets the options of the configuration file that are not on the command line.
fn configure(cli: &mut Cli, matches: &ArgMatches) -> Result<(), Failure> {
    let Some(path) = &cli.config else { return Ok(()) };
    let file = ConfigFile::read(path).map_err(Failure::usage)?;
    let given =
        |key: &str| matches.value_source(&key.replace('-', "_")) == Some(ValueSource::CommandLine);
    file.apply(&mut cli.options, given).map_err(Failure::usage)
}

/// The state must be the same wherever the command is called.
fn make_absolute(cli: &mut Cli) -> Result<(), Failure> {
    let Some(dir) = &mut cli.options.state_dir else { return Ok(()) };
    *dir = std::path::absolute(&*dir).map_err(anyhow::Error::from)?;
    Ok(())
}

fn run(cli: &Cli, matches: &ArgMatches) -> Result<ExitCode, Failure> {
    let (options, output) = (&cli.options, cli.output);
    match &cli.command {
        // Isolates the process, which must not have another thread by then.
        Command::Demo(arguments) => Ok(demo::run(arguments, output)?),
        Command::Setup(arguments) => wait_for(pod::set_up(options, arguments, output)),
        Command::Teardown(arguments) => wait_for(pod::tear_down(options, arguments)),
        Command::Status(arguments) => wait_for(status::show(options, arguments, output)),
        Command::Pods => wait_for(upkeep::pods(options, output)),
        Command::Gc(arguments) => wait_for(upkeep::collect(options, arguments, output)),
        Command::Doctor => wait_for(upkeep::check(options, output)),
        Command::Plugins => plugins::list(options, output),
        Command::Cni(arguments) => {
            wait_for(cni::run(Said::new(options, matches), arguments, output))
        }
        Command::Install(arguments) => Ok(install::run(arguments, output)?),
        Command::Man { dir } => man::write(dir),
        Command::Completions { shell } => completions::write(*shell),
    }
}

/// Runs on this one thread, which stays in the host's network namespace.
fn wait_for(command: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(anyhow::Error::from)?.block_on(until_told_to_stop(command))
}

/// A plugin's program leads a process group of its own, which Ctrl-C does not reach: it is ended by dropping the work.
async fn until_told_to_stop(
    work: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    let heard = "cannot listen for signals";
    let mut interrupt = signal(SignalKind::interrupt()).context(heard)?;
    let mut terminate = signal(SignalKind::terminate()).context(heard)?;
    let (interrupt, terminate) = (pin!(interrupt.recv()), pin!(terminate.recv()));
    match select(pin!(work), select(interrupt, terminate)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => {
            Err(anyhow!("stopped; `podnet teardown` or `podnet cni del` removes what was begun")
                .into())
        }
    }
}
