//! The Go programs and ours, the same steps on twin hosts: every difference is one that docs/differences.md justifies.
//!
//! A table makes cases (`tables`); a case is steps on a host (`case`). It is played twice (`side`), each time with what
//! can be seen afterwards taken down (`world`, with names that mean the same on both sides: `names`), and the two are
//! compared (`compare`). Which differences may be is said by the rows of the document (`document`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "these are tests: a panic is how they fail"
)]

mod case;
mod compare;
mod document;
mod names;
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
fn there_are_at_least_250_cases_and_each_has_its_own_name() {
    let cases: Vec<_> = tables::all().into_iter().flat_map(|table| table.cases).collect();
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases have the same name");
    assert!(cases.len() >= 250, "{} cases", cases.len());
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
