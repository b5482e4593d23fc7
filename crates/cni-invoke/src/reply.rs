//! Decides what a plugin's exit status and output mean.
//!
//! Two deviations from libcni are on purpose: an error object counts as an error whatever the exit
//! status, and JSON is nested no deeper than 64.

use podnet_cni_spec::{AddResult, CniError, PluginVersions, SpecVersion, bounded_json};
use serde_json::Value;

use crate::ExecError;
use crate::call::Call;
use crate::process::{Ended, STDOUT_LIMIT};

/// The text, word for word, of plugins that are older than the verb VERSION.
const NO_VERSION_VERB: &str = "unknown CNI_COMMAND: VERSION";

/// The result of an ADD; `version` is that of the configuration, for a result that names none.
pub(crate) fn add_result(
    call: Call<'_>,
    ended: &Ended,
    version: SpecVersion,
) -> Result<AddResult, ExecError> {
    let value = answer(call, ended)?.map_err(|reason| call.bad_output(ended, reason))?;
    let value = match value {
        Value::Null => Value::Object(serde_json::Map::new()),
        value => value,
    };
    AddResult::from_json(&value, version).map_err(|error| call.bad_output(ended, error.to_string()))
}

/// The end of a verb that has no result; whatever a successful plugin printed is ignored.
pub(crate) fn done(call: Call<'_>, ended: &Ended) -> Result<(), ExecError> {
    answer(call, ended).map(|_| ())
}

/// The reply to VERSION.
pub(crate) fn versions(call: Call<'_>, ended: &Ended) -> Result<PluginVersions, ExecError> {
    let value = match answer(call, ended) {
        Err(ExecError::Plugin { error, .. }) if error.msg == NO_VERSION_VERB => {
            return Ok(only_0_1_0());
        }
        answer => answer?.map_err(|reason| call.bad_output(ended, reason))?,
    };
    PluginVersions::from_json(&value).map_err(|error| call.bad_output(ended, error.to_string()))
}

fn only_0_1_0() -> PluginVersions {
    let version = SpecVersion::V0_1_0.to_string();
    PluginVersions { cni_version: version.clone(), supported: vec![version] }
}

/// The JSON that a successful plugin wrote, or why it is none.
fn answer(call: Call<'_>, ended: &Ended) -> Result<Result<Value, String>, ExecError> {
    let output = parse(&ended.stdout);
    let failed = !ended.status.success();
    if let Ok(value) = &output
        && let Some(error) = CniError::from_json(value)
        && (failed || error.code.0 != 0)
    {
        return Err(call.reported(error, ended.stderr_tail.clone()));
    }
    match output {
        output if !failed => Ok(output),
        Ok(_) => Err(call.bad_output(ended, "stdout holds no error object".to_owned())),
        Err(_) if is_blank(&ended.stdout) => Err(call.no_message(ended)),
        Err(reason) => Err(call.bad_output(ended, reason)),
    }
}

fn parse(output: &[u8]) -> Result<Value, String> {
    if is_blank(output) {
        return Err("stdout is empty".to_owned());
    }
    bounded_json::parse("stdout", output, STDOUT_LIMIT).map_err(|error| error.msg)
}

fn is_blank(output: &[u8]) -> bool {
    output.trim_ascii().is_empty()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use podnet_cni_spec::{PluginType, Verb};

    use super::*;

    fn ended(exit: i32, stdout: &str) -> Ended {
        Ended {
            status: ExitStatus::from_raw(exit << 8),
            stdout: stdout.as_bytes().to_vec(),
            stderr_tail: "on stderr".to_owned(),
        }
    }

    fn add(exit: i32, stdout: &str) -> Result<AddResult, ExecError> {
        let plugin = PluginType::new("bridge").unwrap();
        let call = Call { plugin: &plugin, verb: Verb::Add, container: None };
        add_result(call, &ended(exit, stdout), SpecVersion::V1_0_0)
    }

    fn probe(exit: i32, stdout: &str) -> Result<PluginVersions, ExecError> {
        let plugin = PluginType::new("bridge").unwrap();
        let call = Call { plugin: &plugin, verb: Verb::Version, container: None };
        versions(call, &ended(exit, stdout))
    }

    const ERROR: &str = r#"{"cniVersion": "1.1.0", "code": 7, "msg": "no", "details": "way"}"#;

    #[test]
    fn null_and_an_empty_object_are_empty_results() {
        for output in ["null", "{}", "{\"cniVersion\": \"\"}", "\n null \n"] {
            assert_eq!(add(0, output).unwrap(), AddResult::default(), "{output}");
        }
    }

    #[test]
    fn an_error_object_is_an_error_whatever_the_exit_status() {
        for exit in [0, 1, 2] {
            let error = add(exit, ERROR).unwrap_err();
            assert!(
                matches!(&error, ExecError::Plugin { error, .. } if error.code.0 == 7),
                "{error}"
            );
        }
    }

    #[test]
    fn output_that_is_no_answer_is_refused_with_the_reason() {
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        let abyss = "[".repeat(200_000);
        let cases = [
            (0, "", "empty"),
            (0, "hello", "expected value"),
            (0, "{\"ips\": 3}", ""),
            (0, "{\"ips\": [", "EOF"),
            (0, deep.as_str(), "deeper"),
            (0, abyss.as_str(), "deeper"),
            (1, "hello", "expected value"),
            (1, "{\"ips\": []}", "error object"),
        ];
        for (exit, output, expected) in cases {
            let error = add(exit, output).unwrap_err();
            let found =
                matches!(&error, ExecError::BadOutput { reason, .. } if reason.contains(expected));
            assert!(found, "{exit} {error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn silence_and_failure_is_no_message() {
        let error = add(3, "\n").unwrap_err();
        assert!(matches!(error, ExecError::NoMessage { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            "plugin bridge: ADD: ended without a message, exit status: 3; stderr: on stderr"
        );
    }

    #[test]
    fn a_kill_from_outside_is_explained() {
        let killed = Ended { status: ExitStatus::from_raw(9), ..ended(0, "") };
        let plugin = PluginType::new("bridge").unwrap();
        let call = Call { plugin: &plugin, verb: Verb::Del, container: None };
        let message = done(call, &killed).unwrap_err().to_string();
        assert!(message.contains("SIGKILL") && message.contains("memory"), "{message}");
    }

    #[test]
    fn a_verb_without_a_result_may_print_anything_but_an_error() {
        let plugin = PluginType::new("bridge").unwrap();
        let call = Call { plugin: &plugin, verb: Verb::Del, container: None };
        for output in ["", "bye", "{}", "null"] {
            assert!(done(call, &ended(0, output)).is_ok(), "{output}");
        }
        assert!(done(call, &ended(0, ERROR)).is_err());
    }

    #[test]
    fn plugins_older_than_version_speak_0_1_0() {
        let old = r#"{"code": 4, "msg": "unknown CNI_COMMAND: VERSION"}"#;
        assert_eq!(probe(1, old).unwrap().supported, ["0.1.0"]);
        assert!(probe(1, ERROR).is_err());
    }

    #[test]
    fn a_reply_without_a_list_is_that_of_0_2_0() {
        let reply = probe(0, r#"{"cniVersion": "0.2.0"}"#).unwrap();
        assert_eq!(reply.supported, ["0.1.0", "0.2.0"]);
    }
}
