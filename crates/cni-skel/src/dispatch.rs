//! A call from its variables to its exit status.

use std::any::Any;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use podnet_cni_spec::{AddResult, CniError, ErrorCode, PluginVersions, Request, SpecVersion, Verb};
use serde_json::Value;

use crate::environment::{COMMAND, Environment};
use crate::plugin::{Call, Plugin};
use crate::{input, netns};

#[cfg(test)]
mod tests;

/// Serves the call this process was started for, and returns its exit status.
///
/// `handler` is called at most once, for any verb but VERSION, with a call that is complete and
/// valid. It returns a result for ADD and `None` for the others; a verb that it has nothing to do for
/// is success. It must not print to standard output, where the answer goes.
pub fn main(
    plugin: &Plugin,
    handler: impl FnOnce(Call) -> Result<Option<AddResult>, CniError>,
) -> ExitCode {
    // Not locked: a thread of the handler may want to write to standard error.
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    ExitCode::from(run(plugin, &Environment::from_process(), stdin, stdout, stderr, handler))
}

/// Serves the call that `environment` and `stdin` make, and returns the exit status, 0 or 1.
///
/// The answer, a result or an error, goes to `stdout` as JSON in the version of the configuration
/// (CNI 1.1.0, section 5). Without a `CNI_COMMAND` a person is asking: `stderr` says what this is.
pub fn run(
    plugin: &Plugin,
    environment: &Environment,
    stdin: impl Read,
    stdout: impl Write,
    mut stderr: impl Write,
    handler: impl FnOnce(Call) -> Result<Option<AddResult>, CniError>,
) -> u8 {
    if environment.text(COMMAND).is_ok_and(str::is_empty) {
        return introduce(plugin, stderr);
    }
    let mut version = plugin.newest_version();
    let (answer, status) = match serve(plugin, environment, stdin, &mut version, handler) {
        Ok(None) => return 0,
        Ok(Some(answer)) => (answer, 0),
        Err(error) => (error.to_json(Some(version)), 1),
    };
    match print(&answer, stdout) {
        Ok(()) => status,
        Err(error) => {
            // Nowhere is left to report a failure of this line.
            let _ = writeln!(stderr, "cannot write the answer to standard output: {error}");
            1
        }
    }
}

fn introduce(plugin: &Plugin, mut stderr: impl Write) -> u8 {
    let versions = plugin.spoken_versions();
    let said = writeln!(stderr, "{}\nCNI protocol versions supported: {versions}", plugin.about);
    u8::from(said.is_err())
}

fn print(answer: &Value, mut stdout: impl Write) -> io::Result<()> {
    // In one piece: standard output by itself writes line by line.
    stdout.write_all(format!("{answer:#}\n").as_bytes())?;
    stdout.flush()
}

/// The answer to print, if any. `version` becomes that of the configuration once it is known.
fn serve(
    plugin: &Plugin,
    environment: &Environment,
    stdin: impl Read,
    version: &mut SpecVersion,
    handler: impl FnOnce(Call) -> Result<Option<AddResult>, CniError>,
) -> Result<Option<Value>, CniError> {
    let verb: Verb = environment.text(COMMAND)?.parse()?;
    if verb == Verb::Version {
        return Ok(Some(PluginVersions::new(plugin.versions).to_json()));
    }
    environment.require(verb)?;
    let attachment = environment.attachment(verb)?;
    let config = input::read_config(stdin)?;
    let configured = config.version();
    *version = configured.as_ref().copied().unwrap_or(*version);
    config.name()?;
    input::check_version(plugin, verb, configured?)?;
    if let Some(path) = attachment.as_ref().and_then(|attachment| attachment.netns.as_deref())
        && !environment.allows_own_netns()
    {
        netns::refuse_own(path)?;
    }
    let request = Request { verb, attachment, config };
    let result = handle(plugin, Call { request, plugin_path: environment.plugin_path() }, handler)?;
    answer(plugin, verb, result, *version)
}

fn answer(
    plugin: &Plugin,
    verb: Verb,
    result: Option<AddResult>,
    version: SpecVersion,
) -> Result<Option<Value>, CniError> {
    match (verb, result) {
        (Verb::Add, Some(result)) => result.to_json(version).map(Some),
        (Verb::Add, None) => {
            let msg = format!("plugin {} returned no result for ADD", plugin.name);
            Err(CniError::new(ErrorCode::INTERNAL, msg))
        }
        _ => Ok(None),
    }
}

/// Calls the handler; a panic in it is an error like any other, or the runtime would get no answer.
fn handle(
    plugin: &Plugin,
    call: Call,
    handler: impl FnOnce(Call) -> Result<Option<AddResult>, CniError>,
) -> Result<Option<AddResult>, CniError> {
    let verb = call.request.verb;
    catch_unwind(AssertUnwindSafe(|| handler(call))).unwrap_or_else(|panic| {
        let msg = format!("plugin {} panicked during {verb}", plugin.name);
        Err(CniError::new(ErrorCode::INTERNAL, msg).with_details(panic_message(panic.as_ref())))
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or_default()
}
