//! How a command ends when it is not done: one line on stderr, and an exit code.

use std::process::ExitCode;

use podnet::plugin_api;
use podnet_cni_plugin::{ConfError, PluginFailure};

/// How many lines of a plugin's stderr are shown, the last ones.
const STDERR_LINES: usize = 20;

/// A command that is not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for makes no sense. Nothing was touched.
    Usage(anyhow::Error),
    /// The network plugin cannot set up pods yet.
    NotReady(anyhow::Error),
    /// It was tried and did not work.
    Failed(anyhow::Error),
    /// CNI plugins did not do their part. What they wrote to stderr is said, too.
    Plugins(Box<podnet_cni_plugin::Error>),
}

impl Failure {
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
    }

    /// Says what is wrong and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (text, code) = match self {
            Self::Usage(error) => (one_line(error), 2),
            Self::NotReady(error) => (one_line(error), 3),
            Self::Failed(error) => (one_line(error), 1),
            Self::Plugins(error) => (in_words(&error.to_string()), 1),
        };
        say(&text);
        if let Self::Plugins(error) = self {
            say_stderr_of(error);
        }
        ExitCode::from(code)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<plugin_api::Error> for Failure {
    fn from(error: plugin_api::Error) -> Self {
        match error {
            plugin_api::Error::NotReady { .. } => Self::NotReady(error.into()),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<podnet_cni_plugin::Error> for Failure {
    fn from(error: podnet_cni_plugin::Error) -> Self {
        Self::Plugins(Box::new(error))
    }
}

impl From<ConfError> for Failure {
    fn from(error: ConfError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<podnet::Error> for Failure {
    fn from(error: podnet::Error) -> Self {
        match error {
            podnet::Error::Plugin(error) => error.into(),
            podnet::Error::Options(_) | podnet::Error::Selection(_) | podnet::Error::NotKubenet => {
                Self::usage(error)
            }
            error => Self::Failed(error.into()),
        }
    }
}

/// Prints help, the version, or what is wrong with the arguments.
pub(crate) fn report_usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr()
        && error.kind() != clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        let text = error.to_string();
        say(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
    } else {
        // Nobody is left to tell if this fails.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Says what the plugins that failed wrote to stderr, unless the error's own line has it.
pub(crate) fn say_stderr_of(error: &podnet_cni_plugin::Error) {
    let said = in_words(&error.to_string());
    let failures = error.plugin_failures().into_iter();
    for failure in failures.filter(|failure| !said.contains(&in_words(failure.stderr_tail()))) {
        let PluginFailure { plugin, index, count, .. } = failure;
        say(&format!("stderr of {plugin} (plugin {} of {count}):", index + 1));
        last_lines(failure.stderr_tail()).for_each(|line| say(&format!("  {line}")));
    }
}

/// The last lines that are not blank, fit for a terminal.
fn last_lines(text: &str) -> impl Iterator<Item = String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(STDERR_LINES);
    lines.into_iter().skip(skipped).map(printable)
}

fn printable(line: &str) -> String {
    let mut text = String::new();
    for character in line.trim_end().chars() {
        match character {
            '\t' => text.push(' '),
            other if other.is_control() => text.extend(other.escape_default()),
            other => text.push(other),
        }
    }
    text
}

#[expect(clippy::print_stderr, reason = "the one place where a command says why it is not done")]
fn say(text: &str) {
    eprintln!("podnet: {text}");
}

/// The error and its sources, joined; what the line says already is not said again, nor are error numbers.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for text in error.chain().map(|cause| in_words(&cause.to_string())) {
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
    }
    line
}

/// Without line breaks, and without the number that std puts behind what the system said.
pub(crate) fn in_words(text: &str) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some(begin) = words.find(" (os error ") {
        let end = words.get(begin..).and_then(|rest| rest.find(')')).map(|length| begin + length);
        words.replace_range(begin..end.map_or(words.len(), |end| end + 1), "");
    }
    words
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn sources_are_joined_and_said_once() {
        let error = anyhow::Error::new(io::Error::other("disk is full"));
        let error =
            error.context("cannot reserve an address: disk is full").context("cannot set up a");
        assert_eq!(one_line(&error), "cannot set up a: cannot reserve an address: disk is full");
    }

    #[test]
    fn what_the_system_said_comes_without_its_number() {
        let error = anyhow::Error::new(io::Error::from_raw_os_error(2)).context("cannot open x");
        assert_eq!(one_line(&error), "cannot open x: No such file or directory");
        assert_eq!(in_words("a (os error 2), b (os error 13)\n c"), "a, b c");
    }

    #[test]
    fn of_stderr_the_last_lines_are_shown() {
        let text: Vec<String> = (1..=30).map(|number| format!("line {number}\n")).collect();
        let shown: Vec<_> = last_lines(&text.join("\n")).collect();
        assert_eq!(
            (shown.len(), shown[0].as_str(), shown[19].as_str()),
            (20, "line 11", "line 30")
        );
        assert_eq!(printable("a\tb\u{1b}[31m\r"), "a b\\u{1b}[31m");
    }
}
