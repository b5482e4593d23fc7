//! A CNI program called as a runtime calls it: environment, standard input, standard output.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use podnet_testkit::TestHost;
use serde_json::Value;

/// A program and what every call of it gets.
#[derive(Debug, Clone)]
pub struct Cni<'a> {
    /// The host in whose namespace it runs.
    pub host: &'a TestHost,
    /// The program.
    pub program: PathBuf,
    /// Arguments before the standard environment, such as a multi-call program's type.
    pub arguments: Vec<String>,
    /// `CNI_PATH`.
    pub path: PathBuf,
    /// The network configuration.
    pub config: Value,
}

/// How a call ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit status.
    pub status: i32,
    /// What it printed, as JSON; null where it printed nothing.
    pub output: Value,
}

impl Outcome {
    /// The result of a call that must have succeeded.
    ///
    /// # Panics
    /// When it did not.
    #[allow(clippy::must_use_candidate, reason = "that it succeeded is often all that matters")]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 0, "{}", self.output);
        self.output
    }

    /// The error object of a call that must have failed: its code and message.
    ///
    /// # Panics
    /// When it succeeded, or printed no error object.
    #[must_use]
    pub fn error(self) -> (u64, String) {
        assert_ne!(self.status, 0, "{}", self.output);
        let code = self.output["code"].as_u64().expect("an error has a code");
        (code, self.output["msg"].as_str().expect("an error has a message").to_owned())
    }
}

impl Cni<'_> {
    /// Calls the program with a verb for a container's `eth0`.
    ///
    /// # Panics
    /// When it cannot be started, or prints something that is no JSON.
    #[must_use]
    pub fn call(&self, verb: &str, id: &str, netns: &Path) -> Outcome {
        self.host.netns().run(|| self.execute(verb, id, netns)).expect("the host can be entered")
    }

    fn execute(&self, verb: &str, id: &str, netns: &Path) -> Outcome {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", id)
            .env("CNI_NETNS", netns)
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", &self.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        // A program that ends without reading its input is judged by what it says.
        drop(stdin.write_all(self.config.to_string().as_bytes()));
        drop(stdin);
        let output = child.wait_with_output().expect("the program ends");
        let text = String::from_utf8(output.stdout).expect("the program prints UTF-8");
        let json = if text.trim().is_empty() { "null" } else { &text };
        Outcome {
            status: output.status.code().unwrap_or(-1),
            output: serde_json::from_str(json).unwrap_or_else(|_| panic!("no JSON: {text}")),
        }
    }
}
