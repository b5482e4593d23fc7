//! The figures as a person reads them.

use super::Report;
use super::figures::Row;
use super::goal::Verdict;
use super::who::Who;
use crate::bench::table::aligned;

/// What stands above the table's columns.
const TITLES: [&str; 10] = [
    "operation",
    "unit",
    Who::Go.title(),
    Who::PodnetCni.title(),
    Who::Kubenet.title(),
    Who::Empty.title(),
    "podnet-cni:Go",
    "kubenet:Go",
    "goal",
    "met",
];

/// The run as text: what was measured where, then the table.
pub(super) fn render(report: &Report) -> String {
    let Report { machine, pods, go, podnet_cni, .. } = report;
    let families = if report.dual_stack { "IPv4 and IPv6" } else { "IPv4" };
    let masquerade = if report.masquerade { "with ipMasq" } else { "without ipMasq" };
    let what = [
        (Who::Go, go.as_str()),
        (Who::PodnetCni, podnet_cni),
        (Who::Kubenet, "the same program, started once for a pod"),
        (Who::Empty, "a static program that does nothing"),
    ];
    let columns = what.map(|(who, what)| format!("{:<10}  {what}", who.title()));
    let head = format!("{pods} pods on each host, {families}, {masquerade}; {machine}");
    let mut lines: Vec<_> = std::iter::once(head).chain(columns).chain([String::new()]).collect();
    let titles = TITLES.map(str::to_owned);
    let table: Vec<_> = std::iter::once(titles).chain(report.rows.iter().map(cells)).collect();
    lines.extend(aligned(&table));
    lines.join("\n") + "\n"
}

fn cells(row: &Row) -> [String; 10] {
    let figure = |value: Option<f64>| or_dash(value.map(|value| format!("{value:.2}")));
    let times = |value: Option<f64>| or_dash(value.map(|value| format!("{value:.1}x")));
    let goal = row.goal.as_ref();
    [
        row.operation.clone(),
        row.unit.to_owned(),
        figure(row.go),
        figure(row.podnet_cni),
        figure(row.kubenet),
        figure(row.empty),
        times(row.podnet_cni_to_go),
        times(row.kubenet_to_go),
        or_dash(goal.map(|verdict| verdict.goal.clone())),
        or_dash(goal.and_then(met)),
    ]
}

fn met(verdict: &Verdict) -> Option<String> {
    verdict.met.map(|met| if met { "yes" } else { "NO" }.to_owned())
}

fn or_dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::figures::example::measured;
    use super::super::figures::rows;
    use super::super::setting::AT_ONCE;
    use super::*;
    use crate::bench::machine::{Machine, Ticks};

    fn report(with_go: bool) -> Report {
        Report {
            machine: Machine::since(Ticks::now().unwrap()).unwrap(),
            pods: 3,
            at_once: AT_ONCE,
            dual_stack: false,
            masquerade: true,
            go: "containernetworking-plugins 1.9.1".to_owned(),
            podnet_cni: "podnet 0.1.0".to_owned(),
            rows: rows(&measured(with_go)),
        }
    }

    #[test]
    fn a_goal_stands_beside_its_row_with_the_verdict() {
        let text = render(&report(true));
        assert!(text.contains("\nGo          containernetworking-plugins 1.9.1\n"), "{text}");
        let cells = |operation| {
            let row = text.lines().find(|line| line.starts_with(operation)).unwrap();
            row.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ")
        };
        assert!(
            cells("whole chain ADD, median")
                .ends_with("ms 600.00 30.00 10.00 - 20.0x 60.0x kubenet:Go >= 15 yes")
        );
        assert!(cells("start").ends_with("ms - 0.90 1.00 0.40 - - < 1 ms NO"));
        assert!(cells("whole chain DEL, p99").ends_with("60.0x - -"));
    }

    #[test]
    fn json_says_what_was_compared_and_which_goals_were_met() {
        let json = serde_json::to_value(report(false)).unwrap();
        assert_eq!(json["go"], "containernetworking-plugins 1.9.1");
        assert_eq!(json["rows"][0]["goal"]["met"], serde_json::Value::Null);
        let last = json["rows"].as_array().unwrap().last().unwrap();
        assert_eq!(last["goal"], serde_json::json!({ "goal": "< 5 MB", "met": true }));
    }
}
