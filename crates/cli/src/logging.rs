//! Diagnostics on stderr.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;

/// Has warnings shown, with one `-v` what is done, with two everything.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let format = tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level);
    // It fails only where there is a subscriber already, and this is the one place that makes one.
    let _ = format.without_time().with_target(false).with_ansi(is_colour_wanted()).try_init();
}

fn is_colour_wanted() -> bool {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !is_refused
}
