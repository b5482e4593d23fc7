//! The figures: one row for each operation, one column for each contender.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::contender::Column;
use super::field::AT_ONCE;
use super::latency::rank_ms;
use super::machine::Machine;
use super::rounds::Plan;
use super::samples::Samples;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Unit {
    /// Milliseconds for one operation; the fewer, the better.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Operations per second; the more, the better.
    #[serde(rename = "per second")]
    PerSecond,
}

/// An operation, and how its figure comes from what was measured.
type Figure = (&'static str, Unit, fn(&Samples) -> Option<f64>);

const FIGURES: &[Figure] = &[
    ("set-up, median", Unit::Milliseconds, |samples| rank_ms(&samples.set_up, 50)),
    ("set-up, p99", Unit::Milliseconds, |samples| rank_ms(&samples.set_up, 99)),
    ("tear-down, median", Unit::Milliseconds, |samples| rank_ms(&samples.tear_down, 50)),
    ("tear-down, p99", Unit::Milliseconds, |samples| rank_ms(&samples.tear_down, 99)),
    ("16 set-ups at once", Unit::PerSecond, |samples| samples.set_up_at_once.per_second()),
    ("16 set-ups at once, p99", Unit::Milliseconds, |samples| samples.set_up_at_once.rank_ms(99)),
    ("16 tear-downs at once", Unit::PerSecond, |samples| samples.tear_down_at_once.per_second()),
    ("16 tear-downs at once, p99", Unit::Milliseconds, |samples| {
        samples.tear_down_at_once.rank_ms(99)
    }),
    ("start of one program, median", Unit::Milliseconds, |samples| rank_ms(&samples.start, 50)),
    ("start of one program, p99", Unit::Milliseconds, |samples| rank_ms(&samples.start, 99)),
];

/// A whole run; the JSON output is this.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    /// Pods that stood on each host once it was full.
    pub(super) pods: u32,
    /// Operations under way in the rounds that have several at once.
    pub(super) at_once: u32,
    pub(super) columns: Vec<Described>,
    pub(super) rows: Vec<Row>,
}

/// A column and what it is, or why it was not measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Described {
    pub(super) title: &'static str,
    pub(super) what: String,
}

/// One operation's figures; none where it does not apply or the contender was not there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) operation: &'static str,
    pub(super) unit: Unit,
    pub(super) go: Option<f64>,
    pub(super) podnet_cni: Option<f64>,
    pub(super) in_process: Option<f64>,
    pub(super) kernel: Option<f64>,
    /// How many times better than the Go programs `podnet-cni` is.
    pub(super) podnet_cni_to_go: Option<f64>,
    /// How many times better than the Go programs kubenet in the process is.
    pub(super) in_process_to_go: Option<f64>,
}

impl Report {
    /// The figures of what was measured; `versions` are what the programs say of themselves, as far as they are here.
    pub(super) fn new(
        machine: Machine,
        plan: Plan,
        mut versions: BTreeMap<Column, Result<String>>,
        measured: &BTreeMap<Column, Samples>,
    ) -> Result<Self> {
        let mut columns = Vec::new();
        for column in [Column::Go, Column::PodnetCni, Column::InProcess, Column::Kernel] {
            let version = versions.remove(&column).transpose()?;
            let what = version.unwrap_or_else(|| without_version(column));
            columns.push(Described { title: column.title(), what });
        }
        let rows = FIGURES.iter().map(|figure| Row::new(figure, measured)).collect();
        Ok(Self { machine, pods: plan.pods, at_once: AT_ONCE, columns, rows })
    }
}

/// What a column is that no program speaks for.
fn without_version(column: Column) -> String {
    match column {
        Column::Go => {
            "not measured: package containernetworking-plugins is not installed".to_owned()
        }
        Column::PodnetCni => "not measured: it was not built".to_owned(),
        Column::InProcess => {
            format!("kubenet of podnet {} in the measuring process", env!("CARGO_PKG_VERSION"))
        }
        Column::Kernel => "the netlink messages of an attachment and nothing else".to_owned(),
    }
}

impl Row {
    fn new((operation, unit, figure): &Figure, measured: &BTreeMap<Column, Samples>) -> Self {
        let value = |column| measured.get(&column).and_then(figure);
        let (go, podnet_cni) = (value(Column::Go), value(Column::PodnetCni));
        let in_process = value(Column::InProcess);
        Self {
            operation,
            unit: *unit,
            go,
            podnet_cni,
            in_process,
            kernel: value(Column::Kernel),
            podnet_cni_to_go: unit.times_better(podnet_cni, go),
            in_process_to_go: unit.times_better(in_process, go),
        }
    }
}

impl Unit {
    /// How many times better the first is than the second.
    fn times_better(self, ours: Option<f64>, theirs: Option<f64>) -> Option<f64> {
        let (ours, theirs) = (ours?, theirs?);
        match self {
            Self::Milliseconds => Some(theirs / ours),
            Self::PerSecond => Some(ours / theirs),
        }
    }
}

#[cfg(test)]
pub(super) mod example {
    //! A report for tests.

    use std::time::Duration;

    use super::super::machine::Ticks;
    use super::super::samples::AtOnce;
    use super::*;

    fn samples(ms: u64) -> Samples {
        let each = vec![Duration::from_millis(ms); 16];
        let at_once = AtOnce { each: each.clone(), rounds: vec![Duration::from_millis(ms * 16)] };
        Samples { set_up: each, set_up_at_once: at_once, ..Samples::default() }
    }

    /// One in which podnet-cni takes 5 ms, the kernel 1 ms, and the Go programs 10 ms or are missing.
    pub(in super::super) fn report(with_go: bool) -> Report {
        let mut measured =
            BTreeMap::from([(Column::PodnetCni, samples(5)), (Column::Kernel, samples(1))]);
        let mut versions = BTreeMap::from([(Column::PodnetCni, Ok("podnet 0.1.0".to_owned()))]);
        if with_go {
            measured.insert(Column::Go, samples(10));
            versions.insert(Column::Go, Ok("v1.1.1".to_owned()));
        }
        let machine = Machine::since(Ticks::now().unwrap()).unwrap();
        Report::new(machine, Plan::new(16), versions, &measured).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::example::report;
    use super::*;

    #[test]
    fn a_gain_above_one_is_better_for_durations_and_for_rates() {
        let report = report(true);
        let row = |operation| report.rows.iter().find(|row| row.operation == operation).unwrap();
        let set_up = row("set-up, median");
        assert_eq!((set_up.go, set_up.podnet_cni), (Some(10.0), Some(5.0)));
        assert_eq!(set_up.podnet_cni_to_go, Some(2.0));
        let at_once = row("16 set-ups at once");
        assert_eq!((at_once.go, at_once.podnet_cni), (Some(100.0), Some(200.0)));
        assert_eq!(at_once.podnet_cni_to_go, Some(2.0));
        assert_eq!(row("tear-down, p99").podnet_cni_to_go, None);
    }

    #[test]
    fn a_missing_program_is_said_and_has_no_figures() {
        let report = report(false);
        let Described { title, what } = report.columns.first().unwrap();
        assert_eq!(*title, "Go");
        assert!(what.starts_with("not measured: package"), "{what}");
        assert!(report.rows.iter().all(|row| row.go.is_none() && row.podnet_cni_to_go.is_none()));
    }

    #[test]
    fn the_operations_name_how_many_are_under_way() {
        let at_once = FIGURES.iter().filter(|(operation, ..)| operation.contains("at once"));
        assert!(at_once.clone().count() == 4);
        let number = format!("{AT_ONCE} ");
        assert!(at_once.clone().all(|(operation, ..)| operation.starts_with(&number)));
    }

    #[test]
    fn json_has_null_for_what_was_not_measured() {
        let json = serde_json::to_value(report(false)).unwrap();
        assert_eq!(json["rows"][0]["go"], serde_json::Value::Null);
        assert_eq!(json["rows"][0]["unit"], "ms");
        assert_eq!(json["rows"][0]["podnet_cni"], 5.0);
    }
}
