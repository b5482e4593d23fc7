//! The rounds: each contender does a thing once before any does it again, in an order in which each follows each other
//! equally often. What was not done as it should have been ends the run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::lane::{Lane, Samples};
use super::programs::{Contender, Programs};
use super::setting::{AT_ONCE, Setting};
use super::stage::Stage;
use super::who::Who;
use crate::bench::rounds::turn;

/// Everything that was measured.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// `loopback` and `bridge`.
    pub(super) bridge: BTreeMap<Who, Samples>,
    /// The whole chain.
    pub(super) chain: BTreeMap<Who, Samples>,
    /// Starts of one program that only says its versions.
    pub(super) start: BTreeMap<Who, Vec<Duration>>,
    /// The most memory of a program that does nothing, in bytes.
    pub(super) empty_peak: Option<u64>,
    /// The sizes of the programs' files, in bytes.
    pub(super) size: BTreeMap<Who, u64>,
}

/// Measures everything on hosts below `folder`.
pub(super) fn run(folder: &Path, programs: &Programs, setting: Setting) -> Result<Measured> {
    let (start, empty_peak, size) =
        (programs.starts(setting.starts)?, programs.empty_peak()?, programs.sizes()?);
    let weigh = empty_peak.is_some();
    eprintln!("bench: loopback and bridge");
    let bridge = race(folder, &programs.bridges(), setting, weigh)?;
    eprintln!("bench: loopback, bridge, portmap and bandwidth, or kubenet");
    let chain = race(folder, &programs.wholes(), setting, weigh)?;
    Ok(Measured { bridge, chain, start, empty_peak, size })
}

/// Has the contenders take turns, each on a host of its own.
fn race(
    folder: &Path,
    contenders: &[Contender<'_>],
    setting: Setting,
    weigh: bool,
) -> Result<BTreeMap<Who, Samples>> {
    eprintln!("bench: making {} hosts for {} pods each", contenders.len(), setting.pods);
    let stages = contenders.iter().map(|_| Stage::new_in(folder, setting.pods));
    let stages: Vec<_> = stages.collect::<Result<_>>()?;
    let lane = |(number, ((who, installed, make), stage)): (_, (&Contender<'_>, _))| {
        let stage: &Stage = stage;
        let chain = make(installed, setting, &stage.field.host.networks_dir());
        Lane::new(number, *who, chain, stage)
    };
    let mut lanes: Vec<_> = contenders.iter().zip(&stages).enumerate().map(lane).collect();
    let pods = usize::try_from(setting.pods)?;
    each(&mut lanes, 1, |lane, _| lane.warm_up(weigh))?;
    eprintln!("bench: attaching {pods} pods one after the other");
    each(&mut lanes, pods, |lane, _| lane.stand())?;
    each(&mut lanes, 1, |lane, _| lane.verify_standing())?;
    eprintln!("bench: {AT_ONCE} at once, {} times", setting.rounds);
    each(&mut lanes, setting.rounds, |lane, _| lane.pass())?;
    eprintln!("bench: detaching {pods} pods one after the other");
    each(&mut lanes, pods, Lane::fall)?;
    each(&mut lanes, 1, |lane, _| lane.verify_empty())?;
    Ok(lanes.into_iter().map(|lane| (lane.who, lane.samples)).collect())
}

/// So many rounds of the same; an error says whose it is.
fn each<'a>(
    lanes: &mut [Lane<'a>],
    rounds: usize,
    work: impl Fn(&mut Lane<'a>, usize) -> Result<()>,
) -> Result<()> {
    let count = lanes.len();
    for round in 0..rounds {
        lanes.sort_unstable_by_key(|lane| turn(lane.number, round, count));
        for lane in lanes.iter_mut() {
            work(lane, round).with_context(|| lane.who.title())?;
        }
    }
    Ok(())
}
