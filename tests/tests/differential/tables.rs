//! The cases, a table for each plugin, made by combining configurations, verbs and versions.

pub(crate) mod bandwidth;
pub(crate) mod bridge;
mod calls;
pub(crate) mod chained;
pub(crate) mod chains;
pub(crate) mod firewall;
pub(crate) mod host_local;
pub(crate) mod loopback;
pub(crate) mod portmap;
pub(crate) mod ptp;
pub(crate) mod recorded;
pub(crate) mod static_ipam;
pub(crate) mod tuning;

use crate::case::{Case, Table};
use crate::document;

/// The tables of all plugins.
pub(crate) fn all() -> Vec<Table> {
    vec![
        loopback::table(),
        bridge::table(),
        ptp::table(),
        host_local::table(),
        static_ipam::table(),
        portmap::table(),
        bandwidth::table(),
        tuning::table(),
        firewall::table(),
        chains::table(),
        recorded::table(),
    ]
}

/// The versions of the specification.
pub(crate) const VERSIONS: [&str; 7] =
    ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// Rows, each with the parts of the names of the cases that show it.
pub(crate) type Expected = &'static [(&'static str, &'static [&'static str])];

/// The cases with the rows that they show. Every part is one of a case's name.
pub(crate) fn expect(mut cases: Vec<Case>, expected: Expected) -> Vec<Case> {
    for (row, names) in expected {
        for part in *names {
            let shown = cases.iter_mut().filter(|case| document::matches(part, &case.name));
            let count = shown.map(|case| case.differs.push(row)).count();
            assert!(count > 0, "no case is named {part:?}, for {row}");
        }
    }
    cases
}
