//! How a command ends when it is not done: one line on stderr, and an exit code.

use std::process::ExitCode;

use podnet::plugin_api;

/// A command that is not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for makes no sense. Nothing was touched.
    Usage(anyhow::Error),
    /// The network plugin cannot set up pods yet.
    NotReady(anyhow::Error),
    /// It was tried and did not work.
    Failed(anyhow::Error),
}

impl Failure {
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
    }

    /// Says what is wrong and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (error, code) = match self {
            Self::Usage(error) => (error, 2),
            Self::NotReady(error) => (error, 3),
            Self::Failed(error) => (error, 1),
        };
        say(&one_line(error));
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

impl From<podnet::Error> for Failure {
    fn from(error: podnet::Error) -> Self {
        match error {
            podnet::Error::Plugin(error) => error.into(),
            podnet::Error::Options(_) | podnet::Error::Selection(_) => Self::usage(error),
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
fn in_words(text: &str) -> String {
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
}
