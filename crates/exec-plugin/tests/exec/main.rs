//! Plugins run as real processes: small scripts in a folder that vanishes with the test.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "in a test a panic is the report")]

mod bed;

mod calls;
mod deadline;
mod interpreters;
mod output;
mod probing;
mod trust;
