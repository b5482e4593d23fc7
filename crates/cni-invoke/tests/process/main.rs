//! Plugins run as real processes: small shell scripts in a folder that vanishes with the test.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "in a test a panic is the report")]

mod bed;

mod deadline;
mod environment;
mod output;
mod start;
mod versions;
