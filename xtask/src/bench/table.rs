//! The figures as a person reads them.

use super::contender::Column;
use super::report::{Described, Report, Row, Unit};

/// What stands above the table's columns.
const TITLES: [&str; 8] = [
    "operation",
    "unit",
    Column::Go.title(),
    Column::PodnetCni.title(),
    Column::InProcess.title(),
    Column::Kernel.title(),
    "podnet-cni:Go",
    "in-process:Go",
];

/// The run as text: what was measured where, then the table.
pub(super) fn render(report: &Report) -> String {
    let head = format!("{} pods on each host; {}", report.pods, report.machine);
    let columns =
        report.columns.iter().map(|Described { title, what }| format!("{title:<10}  {what}"));
    let mut lines: Vec<_> = std::iter::once(head).chain(columns).chain([String::new()]).collect();
    let titles = TITLES.map(str::to_owned);
    let table: Vec<_> = std::iter::once(titles).chain(report.rows.iter().map(cells)).collect();
    lines.extend(aligned(&table));
    lines.join("\n") + "\n"
}

fn cells(row: &Row) -> [String; 8] {
    let (figure, times) = (
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| number(row.unit, value)),
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}x")),
    );
    let unit = match row.unit {
        Unit::Milliseconds => "ms",
        Unit::PerSecond => "/s",
    };
    [
        row.operation.to_owned(),
        unit.to_owned(),
        figure(row.go),
        figure(row.podnet_cni),
        figure(row.in_process),
        figure(row.kernel),
        times(row.podnet_cni_to_go),
        times(row.in_process_to_go),
    ]
}

fn number(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Milliseconds => format!("{value:.2}"),
        Unit::PerSecond => format!("{value:.0}"),
    }
}

/// Lines whose first cell stands to the left and whose others stand to the right of their columns.
pub(super) fn aligned<const N: usize>(lines: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let pad = |(place, (cell, width)): (usize, (&String, &usize))| match place {
        0 => format!("{cell:<width$}"),
        _ => format!("{cell:>width$}"),
    };
    let line = |line: &[String; N]| {
        let cells = line.iter().zip(&widths).enumerate().map(pad);
        cells.collect::<Vec<_>>().join("  ")
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::report::example::report;
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [["a", "b", "c"], ["abc", "1.00", "2"]].map(|line| line.map(str::to_owned));
        assert_eq!(aligned(&lines), ["a       b  c", "abc  1.00  2"]);
    }

    #[test]
    fn the_table_has_a_dash_for_what_was_not_measured() {
        let text = render(&report(true));
        let row = text.lines().find(|line| line.starts_with("set-up, median")).unwrap();
        let cells: Vec<_> = row.split_whitespace().skip(2).collect();
        assert_eq!(cells, ["ms", "10.00", "5.00", "-", "1.00", "2.0x", "-"]);
        assert!(text.contains("\nGo          v1.1.1\n"), "{text}");
    }
}
