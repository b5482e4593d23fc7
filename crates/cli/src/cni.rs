//! `podnet cni`: runs a network configuration as a container runtime does. What cnitool is to Go, with results that
//! one can read.

pub(crate) mod arguments;
mod attach;
mod container;
mod environment;
mod gc;
mod list;
mod readiness;
mod result;
mod setting;
mod version;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::output::Output;
pub(crate) use arguments::Arguments;
use arguments::Operation;
use environment::Environment;
pub(crate) use setting::Said;
use setting::Setting;

/// Runs the operation.
pub(crate) async fn run(
    said: Said<'_>,
    arguments: &Arguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let environment = Environment::read()?;
    let setting = Setting::new(&said, environment, arguments.cni_cache_dir.as_ref());
    perform(&setting, &arguments.operation, output).await
}

async fn perform(
    setting: &Setting,
    operation: &Operation,
    output: Output,
) -> Result<ExitCode, Failure> {
    match operation {
        Operation::Add(arguments) => attach::add(setting, arguments, output).await,
        Operation::Check(arguments) => attach::check(setting, arguments).await,
        Operation::Del(arguments) => attach::del(setting, arguments).await,
        Operation::Gc(arguments) => gc::collect(setting, arguments, output).await,
        Operation::Status { network } => readiness::show(setting, network.as_deref(), output).await,
        Operation::Version { types } => version::show(setting, types, output).await,
        Operation::List => list::show(setting, output),
    }
}
