//! The Go programs and ours, the same steps on twin hosts: every difference is one that docs/differences.md justifies.
//!
//! A table makes cases (`tables`); a case is steps on a host (`case`). It is played twice (`side`), each time with what
//! can be seen afterwards taken down (`world`, and what becomes of connections: `reach`; with names that mean the same on
//! both sides: `names`), and the two are compared (`compare`). Which differences may be is said by the rows of the document
//! (`document`). Plugins that come behind others get pods that `ip` has attached (`base`). What one side's programs attach
//! the other's check and detach (`cross`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "these are tests: a panic is how they fail"
)]

mod base;
mod case;
mod compare;
mod cross;
mod document;
mod names;
mod queues;
mod reach;
mod run;
mod side;
mod tables;
mod world;

use std::collections::BTreeSet;

use document::Row;

#[test]
fn loopback_does_what_the_go_program_does() {
    run::table(&tables::loopback::table(), "loopback_does_what_the_go_program_does");
}

#[test]
fn bridge_does_what_the_go_program_does() {
    run::table(&tables::bridge::table(), "bridge_does_what_the_go_program_does");
}

#[test]
fn host_local_does_what_the_go_program_does() {
    run::table(&tables::host_local::table(), "host_local_does_what_the_go_program_does");
}

#[test]
fn ptp_does_what_the_go_program_does() {
    run::table(&tables::ptp::table(), "ptp_does_what_the_go_program_does");
}

#[test]
fn static_does_what_the_go_program_does() {
    run::table(&tables::static_ipam::table(), "static_does_what_the_go_program_does");
}

#[test]
fn portmap_does_what_the_go_program_does() {
    run::table(&tables::portmap::table(), "portmap_does_what_the_go_program_does");
}

#[test]
fn bandwidth_does_what_the_go_program_does() {
    run::table(&tables::bandwidth::table(), "bandwidth_does_what_the_go_program_does");
}

#[test]
fn firewall_does_what_the_go_program_does() {
    run::table(&tables::firewall::table(), "firewall_does_what_the_go_program_does");
}

#[test]
fn tuning_does_what_the_go_program_does() {
    run::table(&tables::tuning::table(), "tuning_does_what_the_go_program_does");
}

#[test]
fn chains_do_what_the_go_programs_do() {
    run::table(&tables::chains::table(), "chains_do_what_the_go_programs_do");
}

#[test]
fn recorded_requests_do_what_they_do_with_the_go_programs() {
    run::table(
        &tables::recorded::table(),
        "recorded_requests_do_what_they_do_with_the_go_programs",
    );
}

#[test]
fn there_are_at_least_1000_cases_and_each_has_its_own_name() {
    let cases: Vec<_> = tables::all().into_iter().flat_map(|table| table.cases).collect();
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases have the same name");
    assert!(cases.len() >= 1000, "{} cases", cases.len());
}

#[test]
fn every_row_of_the_document_has_a_case_and_every_case_its_rows() {
    let rows = document::rows();
    let written: BTreeSet<&str> = rows.iter().map(Row::id).collect();
    assert_eq!(written.len(), rows.len(), "two rows have the same id");
    let tables = tables::all();
    let used: BTreeSet<&str> = tables.iter().flat_map(case::Table::rows).collect();
    assert_eq!(written, used, "docs/differences.md and the tables name different rows");
}
