//! The machine on which the figures came about, and how much of it something else had: without that they mean nothing.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

/// The machine during a run.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// Processors that this process may use.
    cpus: usize,
    /// Their model, as the kernel names it.
    cpu_model: String,
    /// The kernel's release.
    kernel: String,
    /// The share of the processors' time, in percent, that went neither to this process and what it started nor idle.
    others_percent: u64,
}

/// What the processors did since the machine was started, in the kernel's ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticks {
    /// All of it.
    all: u64,
    /// Without idleness.
    busy: u64,
    /// By this process and those it started that have ended.
    own: u64,
}

impl Machine {
    /// This machine, from `begin` until now.
    pub(super) fn since(begin: Ticks) -> Result<Self> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(Self {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            cpu_model: cpu_model(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            kernel: release.trim().to_owned(),
            others_percent: begin.others_percent(Ticks::now()?),
        })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cpus, cpu_model, kernel, others_percent } = self;
        write!(
            f,
            "{cpus} CPUs ({cpu_model}), of which others had {others_percent} %; Linux {kernel}"
        )
    }
}

impl Ticks {
    /// The ticks so far.
    pub(super) fn now() -> Result<Self> {
        let read = |path| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
        let ticks = Self::parse(&read("/proc/stat")?, &read("/proc/self/stat")?);
        ticks.context("cannot tell from /proc/stat what the processors do")
    }

    /// Fields as in `proc_stat(5)` (the first line) and `proc_pid_stat(5)` (14 to 17, behind a name in brackets).
    fn parse(machine: &str, process: &str) -> Option<Self> {
        let cpu: Option<Vec<u64>> = machine.lines().next().map(|line| numbers(line).collect());
        // The last two count guests, whose time is in the first two already.
        let cpu: Vec<u64> = cpu?.into_iter().take(8).collect();
        let all = cpu.iter().sum();
        let idle: u64 = cpu.get(3..5)?.iter().sum();
        let (_, fields) = process.rsplit_once(')')?;
        let own: Vec<u64> = fields.split_whitespace().skip(11).take(4).map_while(number).collect();
        (own.len() == 4).then(|| Self { all, busy: all - idle, own: own.iter().sum() })
    }

    fn others_percent(self, end: Self) -> u64 {
        let all = end.all.saturating_sub(self.all).max(1);
        let busy = end.busy.saturating_sub(self.busy);
        busy.saturating_sub(end.own.saturating_sub(self.own)) * 100 / all
    }
}

fn numbers(line: &str) -> impl Iterator<Item = u64> {
    line.split_whitespace().filter_map(number)
}

fn number(word: &str) -> Option<u64> {
    word.parse().ok()
}

fn cpu_model(cpuinfo: &str) -> String {
    let mut fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let model = fields.find(|(key, _)| key.trim() == "model name");
    model.map_or_else(|| "of unknown model".to_owned(), |(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_found_among_the_other_fields() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n";
        assert_eq!(cpu_model(cpuinfo), "AMD EPYC");
        assert_eq!(cpu_model(""), "of unknown model");
    }

    #[test]
    fn what_others_had_is_neither_idle_nor_ours() {
        let process = "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 10 20 30 40 20 0 1";
        let begin = Ticks::parse("cpu  100 0 50 800 50 0 0 0 99 99\ncpu0 1", process).unwrap();
        assert_eq!(begin, Ticks { all: 1000, busy: 150, own: 100 });
        let end = Ticks { all: 2000, busy: 650, own: 300 };
        assert_eq!(begin.others_percent(end), 30);
        assert_eq!(begin.others_percent(begin), 0);
        assert_eq!(Ticks::parse("", process), None);
        assert_eq!(Ticks::parse("cpu 1 2 3 4 5 6 7 8", "7 (a) S 1"), None);
    }
}
