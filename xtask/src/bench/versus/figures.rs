//! The figures: one row for each operation, one column for each contender.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::goal::{Goal, Verdict};
use super::lane::Samples;
use super::rounds::Measured;
use super::setting::AT_ONCE;
use super::who::Who;
use crate::bench::latency::rank_ms;

const MS: &str = "ms";
const MB: &str = "MB";

/// One operation's figures; none where it does not apply or the contender was not there. The less, the better.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) operation: String,
    /// Milliseconds, or millions of bytes.
    pub(super) unit: &'static str,
    pub(super) go: Option<f64>,
    pub(super) podnet_cni: Option<f64>,
    pub(super) kubenet: Option<f64>,
    /// Of a program that does nothing.
    pub(super) empty: Option<f64>,
    /// How many times better than the Go programs `podnet-cni` is.
    pub(super) podnet_cni_to_go: Option<f64>,
    /// How many times better than the Go programs `kubenet` is.
    pub(super) kubenet_to_go: Option<f64>,
    pub(super) goal: Option<Verdict>,
}

impl Row {
    fn new(operation: &str, unit: &'static str, figure: impl Fn(Who) -> Option<f64>) -> Self {
        let (go, podnet_cni, kubenet) =
            (figure(Who::Go), figure(Who::PodnetCni), figure(Who::Kubenet));
        let times = |ours: Option<f64>| Some(go? / ours?);
        Self {
            operation: operation.to_owned(),
            unit,
            go,
            podnet_cni,
            kubenet,
            empty: figure(Who::Empty),
            podnet_cni_to_go: times(podnet_cni),
            kubenet_to_go: times(kubenet),
            goal: None,
        }
    }

    fn with_goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal.judge(&self));
        self
    }
}

/// All rows of a run.
pub(super) fn rows(measured: &Measured) -> Vec<Row> {
    let bridge = ("loopback + bridge", &measured.bridge);
    let chain = ("whole chain", &measured.chain);
    let mut rows = one_by_one(bridge, Some(Goal::PodnetCniTimes(5.0)));
    rows.extend(one_by_one(chain, Some(Goal::KubenetTimes(15.0))));
    rows.extend(at_once(bridge, Goal::PodnetCniTimes(4.0)));
    rows.extend(at_once(chain, Goal::KubenetTimes(4.0)));
    let start =
        |percent| move |who| measured.start.get(&who).and_then(|took| rank_ms(took, percent));
    rows.push(Row::new("start (VERSION), median", MS, start(50)).with_goal(Goal::Below(1.0)));
    rows.push(Row::new("start (VERSION), p99", MS, start(99)));
    rows.push(peaks("peak memory, loopback + bridge ADD", &measured.bridge, measured.empty_peak));
    rows.push(peaks("peak memory, whole chain ADD", &measured.chain, measured.empty_peak));
    let size = |who| measured.size.get(&who).copied().map(megabytes);
    rows.push(Row::new("size of the programs", MB, size).with_goal(Goal::Below(5.0)));
    rows
}

type Group<'a> = (&'a str, &'a BTreeMap<Who, Samples>);

fn one_by_one((name, samples): Group<'_>, add: Option<Goal>) -> Vec<Row> {
    let row = |operation: &str, percent: usize, which: fn(&Samples) -> &Vec<Duration>| {
        let rank = if percent == 50 { "median".to_owned() } else { format!("p{percent}") };
        Row::new(&format!("{name} {operation}, {rank}"), MS, |who| {
            rank_ms(which(samples.get(&who)?), percent)
        })
    };
    let median = row("ADD", 50, |samples| &samples.add);
    let median = match add {
        Some(goal) => median.with_goal(goal),
        None => median,
    };
    vec![
        median,
        row("ADD", 99, |samples| &samples.add),
        row("DEL", 50, |samples| &samples.del),
        row("DEL", 99, |samples| &samples.del),
    ]
}

fn at_once((name, samples): Group<'_>, del: Goal) -> [Row; 2] {
    let row = |operation: &str, which: fn(&Samples) -> &Vec<Duration>| {
        Row::new(&format!("{AT_ONCE} {name} {operation}s at once, median"), MS, |who| {
            rank_ms(which(samples.get(&who)?), 50)
        })
    };
    [
        row("ADD", |samples| &samples.adds_at_once),
        row("DEL", |samples| &samples.dels_at_once).with_goal(del),
    ]
}

fn peaks(operation: &str, samples: &BTreeMap<Who, Samples>, empty: Option<u64>) -> Row {
    let peak = |who| match who {
        Who::Empty => empty.map(megabytes),
        _ => samples.get(&who)?.peak.map(megabytes),
    };
    Row::new(operation, MB, peak).with_goal(Goal::Below(6.0))
}

/// Millions of bytes.
fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1e6
}

#[cfg(test)]
pub(super) mod example {
    //! Rows for tests.

    use super::*;

    fn samples(ms: u64) -> Samples {
        let all = vec![Duration::from_millis(ms); 3];
        Samples {
            add: all.clone(),
            del: all.clone(),
            adds_at_once: all.clone(),
            dels_at_once: all,
            peak: Some(ms * 1_000_000),
        }
    }

    /// Go takes 60 ms for the bridge and 600 for the chain, ours 10, and 30 as a chain; each has as many megabytes.
    pub(in super::super) fn measured(with_go: bool) -> Measured {
        let mut measured = Measured {
            bridge: BTreeMap::from([(Who::PodnetCni, samples(10))]),
            chain: BTreeMap::from([(Who::PodnetCni, samples(30)), (Who::Kubenet, samples(10))]),
            empty_peak: Some(500_000),
            ..Measured::default()
        };
        if with_go {
            measured.bridge.insert(Who::Go, samples(60));
            measured.chain.insert(Who::Go, samples(600));
        }
        let start = [(Who::PodnetCni, 900), (Who::Kubenet, 1000), (Who::Empty, 400)];
        for (who, us) in start {
            measured.start.insert(who, vec![Duration::from_micros(us)]);
            measured.size.insert(who, us * 1000);
        }
        measured
    }
}

#[cfg(test)]
mod tests {
    use super::example::measured;
    use super::*;

    fn verdicts(with_go: bool) -> Vec<(String, Option<bool>)> {
        let rows = rows(&measured(with_go)).into_iter();
        rows.filter_map(|row| Some((row.operation, row.goal?.met))).collect()
    }

    #[test]
    fn each_goal_is_judged_by_its_row() {
        let expected = [
            ("loopback + bridge ADD, median", true),
            ("whole chain ADD, median", true),
            ("32 loopback + bridge DELs at once, median", true),
            ("32 whole chain DELs at once, median", true),
            ("start (VERSION), median", false),
            ("peak memory, loopback + bridge ADD", false),
            ("peak memory, whole chain ADD", false),
            ("size of the programs", true),
        ];
        let expected = expected.map(|(operation, met)| (operation.to_owned(), Some(met)));
        assert_eq!(verdicts(true), expected);
        let unknown = verdicts(false).into_iter().filter(|(_, met)| met.is_none()).count();
        assert_eq!(unknown, 4, "what is compared with Go is open without it");
    }

    #[test]
    fn ratios_say_how_many_times_less_ours_need() {
        let rows = rows(&measured(true));
        let row = rows.iter().find(|row| row.operation == "whole chain DEL, p99").unwrap();
        assert_eq!((row.podnet_cni_to_go, row.kubenet_to_go), (Some(20.0), Some(60.0)));
        assert_eq!((row.empty, &row.goal), (None, &None));
        let row = rows.last().unwrap();
        assert_eq!((row.podnet_cni, row.empty, row.go), (Some(0.9), Some(0.4), None));
    }
}
