//! One run of a program of iptables.

use std::io;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{RUN_LIMIT, XtablesError};

/// Where distributions have it, for a runtime whose search path leaves out the administrator's programs.
const FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];
/// What the older iptables says when somebody else has the lock for longer than it waits.
const LOCK_HELD: &str = "xtables lock";

/// Runs a program with `input` on its standard input and returns what it printed.
pub(super) async fn run(
    program: &'static str,
    arguments: &[&str],
    input: &str,
) -> Result<String, XtablesError> {
    let mut child = start(program, arguments)?;
    let ended = timeout(RUN_LIMIT, async {
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends without reading its input is judged by what it says.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await
    });
    let output = match ended.await {
        Err(_) => return Err(XtablesError::Overdue { program, seconds: RUN_LIMIT.as_secs() }),
        Ok(Err(source)) => return Err(XtablesError::NotStarted { program, source }),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(refusal(program, arguments, &output))
}

fn start(program: &'static str, arguments: &[&str]) -> Result<Child, XtablesError> {
    let elsewhere = FOLDERS.iter().map(|folder| format!("{folder}/{program}"));
    for name in std::iter::once(program.to_owned()).chain(elsewhere) {
        let mut command = Command::new(name);
        command.args(arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(XtablesError::NotStarted { program, source }),
            Ok(child) => return Ok(child),
        }
    }
    Err(XtablesError::Missing { program })
}

fn refusal(program: &'static str, arguments: &[&str], output: &Output) -> XtablesError {
    let words = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    if words.contains(LOCK_HELD) {
        return XtablesError::Busy { program, words };
    }
    XtablesError::Refused { program, arguments: arguments.join(" "), words }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, input: &str) -> Result<String, XtablesError> {
        run("sh", &["-c", script], input).await
    }

    #[tokio::test]
    async fn a_program_gets_its_input_and_is_judged_by_how_it_ends() {
        assert_eq!(shell("cat", "*filter\n").await.unwrap(), "*filter\n");
        assert_eq!(shell("exit 0", &"x".repeat(1 << 20)).await.unwrap(), "");
        let refused = shell("echo one >&2; echo two >&2; exit 1", "").await.unwrap_err();
        assert!(refused.to_string().ends_with(": one; two"), "{refused}");
        let script = "echo Another app is currently holding the xtables lock >&2; exit 4";
        assert!(matches!(shell(script, "").await, Err(XtablesError::Busy { .. })));
        let missing = run("no-program-of-iptables", &[], "").await.unwrap_err();
        assert!(matches!(missing, XtablesError::Missing { .. }), "{missing}");
    }
}
