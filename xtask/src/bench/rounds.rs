//! The rounds: every contender does a thing once before any does it again, each as often behind each other as behind the
//! rest, since what one leaves the kernel to do afterwards costs the next.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result};
use podnet_testkit::Pod;

use super::contender::{Column, Contender, Step, Timed};
use super::field::{AT_ONCE, Field};
use super::samples::{AtOnce, Samples};

/// How often one program is started.
const STARTS: usize = 100;

/// How many rounds of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Pods that stand on each host once it is full.
    pub(super) pods: u32,
    /// Rounds in which several pods come and go at once.
    pub(super) at_once: usize,
}

impl Plan {
    /// As many operations at once as there are one after the other, within limits that keep a run short and its figures
    /// meaningful.
    pub(super) fn new(pods: u32) -> Self {
        let at_once = usize::try_from(pods / AT_ONCE).unwrap_or(usize::MAX).clamp(4, 16);
        Self { pods, at_once }
    }
}

/// A contender and what was measured of it so far.
struct Lane<'a> {
    number: usize,
    contender: Contender<'a>,
    samples: Samples,
    addresses: Vec<IpAddr>,
}

/// Runs all rounds and verifies after each kind that the work was done.
pub(super) async fn run(
    contenders: Vec<Contender<'_>>,
    plan: Plan,
) -> Result<BTreeMap<Column, Samples>> {
    let mut lanes: Vec<_> = contenders.into_iter().enumerate().map(Lane::new).collect();
    warm_up(&mut lanes).await?;
    eprintln!("bench: setting up {} pods one after the other", plan.pods);
    set_up(&mut lanes).await?;
    eprintln!("bench: {AT_ONCE} at once, {} times", plan.at_once);
    at_once(&mut lanes, plan.at_once).await?;
    eprintln!("bench: tearing down {} pods one after the other", plan.pods);
    tear_down(&mut lanes).await?;
    start(&mut lanes)?;
    Ok(lanes.into_iter().map(|lane| (lane.contender.column, lane.samples)).collect())
}

/// Everything once, untimed: the bridge is made, the programs are read from disk.
async fn warm_up(lanes: &mut [Lane<'_>]) -> Result<()> {
    for lane in lanes {
        for step in [Step::SetUp, Step::TearDown] {
            lane.timed(step, lane.field().passing.first()).await?;
        }
    }
    Ok(())
}

async fn set_up(lanes: &mut [Lane<'_>]) -> Result<()> {
    for number in 0..rounds(lanes) {
        take_turns(lanes, number);
        for lane in lanes.iter_mut() {
            let timed = lane.timed(Step::SetUp, lane.field().standing.get(number)).await?;
            lane.samples.set_up.push(timed.took);
            lane.addresses.extend(timed.address);
        }
    }
    for lane in lanes {
        let field = lane.field();
        lane.verified(field.verify_attached(&field.standing, &lane.addresses).await)?;
        lane.verified(field.verify_traffic())?;
    }
    Ok(())
}

async fn at_once(lanes: &mut [Lane<'_>], rounds: usize) -> Result<()> {
    for round in 0..rounds {
        take_turns(lanes, round);
        for lane in lanes.iter_mut() {
            lane.pass().await?;
        }
    }
    Ok(())
}

async fn tear_down(lanes: &mut [Lane<'_>]) -> Result<()> {
    for number in 0..rounds(lanes) {
        take_turns(lanes, number);
        for lane in lanes.iter_mut() {
            let timed = lane.timed(Step::TearDown, lane.field().standing.get(number)).await?;
            lane.samples.tear_down.push(timed.took);
        }
    }
    for lane in lanes {
        let field = lane.field();
        lane.verified(field.verify_detached(&field.standing).await)?;
        lane.verified(field.verify_empty().await)?;
    }
    Ok(())
}

fn start(lanes: &mut [Lane<'_>]) -> Result<()> {
    for round in 0..STARTS {
        take_turns(lanes, round);
        for lane in lanes.iter_mut() {
            let started = lane.verified(lane.contender.start_program())?;
            lane.samples.start.extend(started);
        }
    }
    Ok(())
}

/// One round for each pod that is to stand.
fn rounds(lanes: &[Lane<'_>]) -> usize {
    lanes.first().map_or(0, |lane| lane.field().standing.len())
}

/// Puts the lanes into the order of this round.
fn take_turns(lanes: &mut [Lane<'_>], round: usize) {
    let count = lanes.len();
    lanes.sort_unstable_by_key(|lane| turn(lane.number, round, count));
}

/// Whose turn it is in which round: 0 1 3 2, then 1 2 0 3 and so on, where each follows each other equally often (a
/// Williams design). Of an odd number that is so only when each order is followed by its mirror image.
pub(super) fn turn(number: usize, round: usize, count: usize) -> usize {
    let place = match (number + count - round % count) % count {
        0 => 0,
        offset if offset <= count / 2 => 2 * offset - 1,
        offset => 2 * (count - offset),
    };
    let mirrored = count % 2 == 1 && (round / count) % 2 == 1;
    if mirrored { count - 1 - place } else { place }
}

impl<'a> Lane<'a> {
    fn new((number, contender): (usize, Contender<'a>)) -> Self {
        Self { number, contender, samples: Samples::default(), addresses: Vec::new() }
    }

    fn field(&self) -> &'a Field {
        self.contender.field
    }

    async fn timed(&self, step: Step, pod: Option<&Pod>) -> Result<Timed> {
        let pod = pod.context("every host has as many pods")?;
        self.verified(self.contender.timed(step, pod).await)
    }

    /// Several pods come at once and go at once; both are verified, untimed.
    async fn pass(&mut self) -> Result<()> {
        let pods = &self.field().passing;
        let (timed, took) = self.verified(self.contender.at_once(Step::SetUp, pods).await)?;
        self.samples.set_up_at_once.add(&timed, took);
        let addresses: Vec<_> = timed.iter().filter_map(|timed| timed.address).collect();
        self.verified(self.field().verify_attached(pods, &addresses).await)?;
        let new = !addresses.iter().any(|address| self.addresses.contains(address));
        self.verified(new.then_some(()).context("an address was given twice"))?;
        let (timed, took) = self.verified(self.contender.at_once(Step::TearDown, pods).await)?;
        self.samples.tear_down_at_once.add(&timed, took);
        self.verified(self.field().verify_detached(pods).await)
    }

    /// Whatever goes wrong, it says to whom.
    fn verified<T>(&self, done: Result<T>) -> Result<T> {
        done.with_context(|| self.contender.column.title())
    }
}

impl AtOnce {
    fn add(&mut self, timed: &[Timed], took: std::time::Duration) {
        self.each.extend(timed.iter().map(|timed| timed.took));
        self.rounds.push(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_follows_each_other_equally_often() {
        for (count, rounds) in [(2, 2), (3, 6), (4, 4), (5, 10)] {
            let mut followed = BTreeMap::new();
            for round in 0..rounds {
                let mut order: Vec<_> = (0..count).collect();
                order.sort_unstable_by_key(|number| turn(*number, round, count));
                for pair in order.windows(2) {
                    *followed.entry((pair[0], pair[1])).or_insert(0) += 1;
                }
            }
            assert_eq!(followed.len(), count * (count - 1), "of {count}");
            assert!(followed.values().all(|times| *times == rounds / count), "{followed:?}");
        }
    }

    #[test]
    fn each_has_a_turn() {
        for count in 1..6 {
            let mut turns: Vec<_> = (0..count).map(|number| turn(number, 7, count)).collect();
            turns.sort_unstable();
            assert!(turns.into_iter().eq(0..count), "of {count} each has a turn");
        }
    }

    #[test]
    fn rounds_at_once_stay_within_their_limits() {
        let cases = [(1, 4), (200, 12), (1000, 16)];
        for (pods, at_once) in cases {
            assert_eq!(Plan::new(pods), Plan { pods, at_once });
        }
    }
}
