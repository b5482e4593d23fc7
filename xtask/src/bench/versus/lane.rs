//! A contender on its host: what it does for a pod, timed, and the proofs that it was done.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::call::{Attachment, Call, Ended};
use super::chain::{Added, Chain, make_all};
use super::setting::host_port;
use super::stage::Stage;
use super::who::Who;

/// How often a contender's memory is taken.
const WEIGHINGS: usize = 5;

/// What was measured of one contender.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples {
    /// Attached one after the other, the host filling up.
    pub(super) add: Vec<Duration>,
    /// Detached one after the other, the host emptying.
    pub(super) del: Vec<Duration>,
    /// Attached several at once on a host that is full: each round from the first's begin to the last's end.
    pub(super) adds_at_once: Vec<Duration>,
    /// Detached likewise.
    pub(super) dels_at_once: Vec<Duration>,
    /// The most memory that one of the programs had while it attached, in bytes.
    pub(super) peak: Option<u64>,
}

/// A contender on its host.
pub(super) struct Lane<'a> {
    pub(super) number: usize,
    pub(super) who: Who,
    chain: Chain,
    stage: &'a Stage,
    /// The results of the pods that stand.
    results: Vec<Value>,
    pub(super) samples: Samples,
}

impl<'a> Lane<'a> {
    /// Nothing is attached yet.
    pub(super) fn new(number: usize, who: Who, chain: Chain, stage: &'a Stage) -> Self {
        Self { number, who, chain, stage, results: Vec::new(), samples: Samples::default() }
    }

    /// Everything once, untimed: the bridge is made, the programs are read from disk. Then, if wanted, their memory is
    /// taken.
    pub(super) fn warm_up(&mut self, weigh: bool) -> Result<()> {
        let place = self.passing().start;
        for round in 0..=if weigh { WEIGHINGS } else { 0 } {
            let make = if round == 0 { Call::make } else { Call::make_and_weigh };
            let added = self.add(place, make)?;
            self.samples.peak = self.samples.peak.max(added.peak);
            self.del(place, &added.result)?;
        }
        Ok(())
    }

    /// Attaches the next pod that is to stand.
    pub(super) fn stand(&mut self) -> Result<()> {
        let added = self.add(self.results.len(), Call::make)?;
        self.samples.add.push(added.took);
        self.results.push(added.result);
        Ok(())
    }

    /// That all pods stand that should.
    pub(super) fn verify_standing(&self) -> Result<()> {
        self.stage.verify_attached(&self.stage.field.standing, &self.results, &[])?;
        self.stage.field.verify_traffic()?;
        self.verify_wanted(0..self.results.len(), &self.results)
    }

    /// Several pods come at once and go at once; both are verified, untimed.
    pub(super) fn pass(&mut self) -> Result<()> {
        let passing = &self.stage.field.passing;
        let attachments: Result<Vec<_>> = self.passing().map(|at| self.attachment(at)).collect();
        let (chain, attachments) = (&self.chain, attachments?);
        let add = |at: &Attachment<'a>| {
            let at = *at;
            move || Ok(chain.add(at, Call::make)?.result)
        };
        let (results, adding) = self.stage.at_once(attachments.iter().map(add).collect())?;
        self.stage.verify_attached(passing, &results, &self.results)?;
        self.verify_wanted(self.passing(), &results)?;
        let del = |(at, result): (&Attachment<'a>, &Value)| {
            let calls = chain.del(*at, result);
            move || make_all(calls)
        };
        let dels = attachments.iter().zip(&results).map(del).collect();
        let (_, deleting) = self.stage.at_once(dels)?;
        self.stage.verify_detached(passing)?;
        self.verify_withdrawn(self.passing())?;
        self.samples.adds_at_once.push(adding);
        self.samples.dels_at_once.push(deleting);
        Ok(())
    }

    /// Detaches the pod that stands at this place.
    pub(super) fn fall(&mut self, place: usize) -> Result<()> {
        let result = self.results.get(place).context("a pod that stands has a result")?;
        let took = self.del(place, result)?;
        self.samples.del.push(took);
        Ok(())
    }

    /// That nothing is left of any pod.
    pub(super) fn verify_empty(&self) -> Result<()> {
        self.stage.verify_detached(&self.stage.field.standing)?;
        self.stage.verify_empty()?;
        self.verify_withdrawn(0..self.results.len())
    }

    fn add(&self, place: usize, make: fn(Call) -> Result<Ended>) -> Result<Added> {
        let attachment = self.attachment(place)?;
        self.stage.inside(|| self.chain.add(attachment, make))
    }

    fn del(&self, place: usize, result: &Value) -> Result<Duration> {
        let calls = self.chain.del(self.attachment(place)?, result);
        self.stage.inside(|| make_all(calls))
    }

    fn attachment(&self, place: usize) -> Result<Attachment<'a>> {
        let pod = self.stage.pods().nth(place).context("every host has as many pods")?;
        let netns = pod.path().to_str().context("the pod's path is no UTF-8")?;
        Ok(Attachment { id: pod.name(), netns, host_port: host_port(place) })
    }

    /// The places of the pods that come and go.
    fn passing(&self) -> Range<usize> {
        let standing = self.stage.field.standing.len();
        standing..standing + self.stage.field.passing.len()
    }

    /// That the pods at these places are published and limited, where the chain does that.
    fn verify_wanted(&self, places: Range<usize>, results: &[Value]) -> Result<()> {
        if !self.chain.limits() {
            return Ok(());
        }
        self.stage.verify_limits(results)?;
        for (place, pod) in places.clone().zip(self.stage.pods().skip(places.start)) {
            self.stage.verify_published(pod, host_port(place))?;
        }
        Ok(())
    }

    fn verify_withdrawn(&self, mut places: Range<usize>) -> Result<()> {
        places.try_for_each(|place| self.stage.verify_withdrawn(host_port(place)))
    }
}
