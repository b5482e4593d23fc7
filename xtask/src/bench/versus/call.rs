//! One call of a CNI program. What it is given is made before it is timed, and what it says is read afterwards.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bench::programs::Installed;

/// A program, and the arguments by which it is the plugin that is meant.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// Who is attached or detached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attachment<'a> {
    pub(super) id: &'a str,
    pub(super) netns: &'a str,
    pub(super) host_port: u16,
}

/// A call, ready to be made.
#[derive(Debug)]
pub(super) struct Call {
    command: Command,
    input: Vec<u8>,
}

/// How a call ended that succeeded.
#[derive(Debug)]
pub(super) struct Ended {
    /// From its start until it had ended.
    pub(super) took: Duration,
    /// What it said; null where it said nothing.
    pub(super) said: Value,
    /// The most memory that it had, in bytes, where that was asked for and could be told.
    pub(super) peak: Option<u64>,
}

impl Program {
    /// The program of a type.
    pub(super) fn of(installed: &Installed, plugin: &str) -> Self {
        let (path, arguments) = installed.program(plugin);
        Self { path, arguments }
    }

    /// A call for a container's `eth0`. `CNI_PATH` is the program's own folder, where the Go programs find each other.
    pub(super) fn call(&self, verb: &str, attachment: Attachment<'_>, config: &Value) -> Call {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).env_clear();
        command.env("CNI_COMMAND", verb).env("CNI_CONTAINERID", attachment.id);
        command.env("CNI_NETNS", attachment.netns).env("CNI_IFNAME", "eth0");
        command.env("CNI_PATH", self.path.parent().unwrap_or(&self.path));
        // iptables is in a folder of the superuser's.
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::piped());
        Call { command, input: config.to_string().into_bytes() }
    }
}

impl Call {
    /// Makes it, in the calling thread's network namespace.
    pub(super) fn make(mut self) -> Result<Ended> {
        self.command.stdout(Stdio::piped());
        let begun = Instant::now();
        let child = self.start()?;
        let output = child.wait_with_output().context("cannot wait for a program")?;
        let took = begun.elapsed();
        self.ended(took, output.status, &output.stdout, None)
    }

    /// Starts it with its input; its stdout must have been chosen.
    pub(super) fn start(&mut self) -> Result<Child> {
        let started = self.command.spawn();
        let mut child = started.with_context(|| format!("cannot start {}", self.name()))?;
        // A program that ends without reading its input is judged by what it says.
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(&self.input);
        }
        Ok(child)
    }

    pub(super) fn send_stdout_to(&mut self, stdout: impl Into<Stdio>) {
        self.command.stdout(stdout);
    }

    /// Anything but success is an error that quotes the program.
    pub(super) fn ended(
        &self,
        took: Duration,
        status: ExitStatus,
        stdout: &[u8],
        peak: Option<u64>,
    ) -> Result<Ended> {
        let text = String::from_utf8_lossy(stdout);
        let text = text.trim();
        ensure!(status.success(), "{} ended with {status}: {text}", self.name());
        let said = if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(text) };
        let said = said.with_context(|| format!("{} said no JSON: {text}", self.name()))?;
        Ok(Ended { took, said, peak })
    }

    /// The program with its arguments, and what was asked of it.
    fn name(&self) -> String {
        let verb = self.command.get_envs().find(|(key, _)| *key == "CNI_COMMAND");
        let verb = verb.and_then(|(_, verb)| verb).unwrap_or_default();
        let words = self.command.get_args().chain([verb]).map(|word| word.to_string_lossy());
        let words: Vec<_> = words.collect();
        format!("{} {}", Path::new(self.command.get_program()).display(), words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_by(script: &str) -> Result<Ended> {
        let program =
            Program { path: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] };
        let attachment = Attachment { id: "one", netns: "/netns", host_port: 1 };
        program.call("ADD", attachment, &Value::String("the config".into())).make()
    }

    #[test]
    fn a_call_has_the_configuration_and_the_environment_of_the_protocol() {
        let ended = said_by("cat").unwrap();
        assert_eq!((ended.said, ended.peak), (Value::String("the config".into()), None));
        let ended =
            said_by(r#"echo "\"$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS $CNI_PATH\"""#);
        assert_eq!(ended.unwrap().said, "ADD one eth0 /netns /bin");
        assert_eq!(said_by("true").unwrap().said, Value::Null);
    }

    #[test]
    fn a_call_that_fails_is_quoted_with_its_words() {
        let error = said_by("echo no; exit 3").unwrap_err().to_string();
        assert_eq!(error, "/bin/sh -c echo no; exit 3 ADD ended with exit status: 3: no");
        let error = said_by("echo no").unwrap_err().to_string();
        assert!(error.ends_with("said no JSON: no"), "{error}");
    }
}
