//! Which addresses an attachment gets. Pure: what is taken comes in, a choice for each range set goes out.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::position::Position;
use super::range::{Pools, Range, RangeSet};
use super::taken::Taken;

/// What the choice depends on besides the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation<'a> {
    /// Every address that bears a file.
    pub(super) taken: &'a Taken,
    /// Those of them whose file is empty: its writer died. They are free, but the last to be given.
    pub(super) stale: &'a BTreeSet<Position>,
    /// What was given last from each set, by its number.
    pub(super) last_reserved: &'a [Option<Position>],
    /// What this attachment holds already.
    pub(super) held: &'a [Position],
}

/// The address chosen from one range set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice<'a> {
    pub(super) address: Position,
    /// The range it is from.
    pub(super) range: &'a Range,
    /// Whether an empty file stands in its place.
    pub(super) is_stale: bool,
}

/// Why no address can be given.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocationError {
    /// Every address of a set is taken. The words up to the ranges are the Go program's: people search for them.
    #[error(
        "failed to allocate for range {set}: no IP addresses available in range set: {ranges} ({size} of {size} taken)"
    )]
    Exhausted {
        /// The set's number.
        set: usize,
        /// Its ranges, `first-last` each, separated by commas.
        ranges: String,
        /// How many addresses it has for containers, all of them taken.
        size: u128,
    },
    /// The attachment has an address of the set.
    #[error(
        "failed to allocate for range {set}: {address} has been allocated to {holder}, duplicate allocation is not allowed"
    )]
    Duplicate {
        /// The set's number.
        set: usize,
        /// What it has.
        address: IpAddr,
        /// The attachment.
        holder: String,
    },
    /// The requested address is a gateway's.
    #[error("failed to allocate for range {set}: requested ip {address} is subnet's gateway")]
    RequestedGateway {
        /// The set's number.
        set: usize,
        /// What was requested.
        address: IpAddr,
    },
    /// The requested address is taken.
    #[error(
        "failed to allocate for range {set}: requested IP address {address} is not available in range set {ranges}"
    )]
    RequestedTaken {
        /// The set's number.
        set: usize,
        /// What was requested.
        address: IpAddr,
        /// The set's ranges.
        ranges: String,
    },
    /// Requested addresses that no set contains, or a second one of a set.
    #[error("failed to allocate all requested IPs: {0}")]
    RequestedElsewhere(String),
}

/// Chooses an address from every set, or says why one of them has none to give.
///
/// A requested address serves the set that contains it. Otherwise addresses go round: the first free one after the one
/// given last, so that a container which restarts again and again does not meet its own old connections.
pub(super) fn choose<'a>(
    pools: &'a Pools,
    requested: &[Position],
    holder: &str,
    situation: Situation<'_>,
) -> Result<Vec<Choice<'a>>, AllocationError> {
    let mut open = requested.to_vec();
    let mut choices = Vec::with_capacity(pools.sets().len());
    for (number, set) in pools.sets().iter().enumerate() {
        refuse_second(number, set, holder, situation.held)?;
        let wish =
            open.iter().position(|address| set.contains(*address)).map(|index| open.remove(index));
        let chooser = Chooser { pools, number, set, situation };
        choices.push(match wish {
            Some(address) => chooser.requested(address)?,
            None => chooser.next()?,
        });
    }
    refuse_leftover(&open)?;
    Ok(choices)
}

fn refuse_second(
    set: usize,
    ranges: &RangeSet,
    holder: &str,
    held: &[Position],
) -> Result<(), AllocationError> {
    match held.iter().find(|address| ranges.contains(**address)) {
        None => Ok(()),
        Some(held) => Err(AllocationError::Duplicate {
            set,
            address: held.address(),
            holder: holder.to_owned(),
        }),
    }
}

fn refuse_leftover(open: &[Position]) -> Result<(), AllocationError> {
    if open.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = open.iter().map(Position::to_string).collect();
    Err(AllocationError::RequestedElsewhere(texts.join(" ")))
}

struct Chooser<'a, 's> {
    pools: &'a Pools,
    number: usize,
    set: &'a RangeSet,
    situation: Situation<'s>,
}

impl<'a> Chooser<'a, '_> {
    fn requested(&self, address: Position) -> Result<Choice<'a>, AllocationError> {
        let (set, ip) = (self.number, address.address());
        if self.pools.is_gateway(address) {
            return Err(AllocationError::RequestedGateway { set, address: ip });
        }
        let is_stale = self.situation.stale.contains(&address);
        match self.set.range_of(address) {
            Some(range) if is_stale || !self.situation.taken.contains(address) => {
                Ok(Choice { address, range, is_stale })
            }
            _ => Err(AllocationError::RequestedTaken {
                set,
                address: ip,
                ranges: self.set.to_string(),
            }),
        }
    }

    fn next(&self) -> Result<Choice<'a>, AllocationError> {
        let last = self.situation.last_reserved.get(self.number).copied().flatten();
        let segments = segments(self.set, last);
        let free = segments.iter().find_map(|segment| self.first_free(segment));
        free.or_else(|| segments.iter().find_map(|segment| self.first_stale(segment)))
            .ok_or_else(|| self.exhausted())
    }

    fn first_free(&self, segment: &Segment<'a>) -> Option<Choice<'a>> {
        let mut from = segment.first;
        loop {
            let address =
                self.situation.taken.next_free(from).filter(|free| *free <= segment.last)?;
            if !self.pools.is_gateway(address) {
                return Some(Choice { address, range: segment.range, is_stale: false });
            }
            from = address.next()?;
        }
    }

    fn first_stale(&self, segment: &Segment<'a>) -> Option<Choice<'a>> {
        let mut stale = self.situation.stale.range(segment.first..=segment.last);
        let address = stale.find(|address| !self.pools.is_gateway(**address))?;
        Some(Choice { address: *address, range: segment.range, is_stale: true })
    }

    fn exhausted(&self) -> AllocationError {
        let size = self.pools.size_of(self.set);
        AllocationError::Exhausted { set: self.number, ranges: self.set.to_string(), size }
    }
}

/// A stretch of one range.
#[derive(Debug, Clone, Copy)]
struct Segment<'a> {
    first: Position,
    last: Position,
    range: &'a Range,
}

impl<'a> Segment<'a> {
    fn whole(range: &'a Range) -> Self {
        Self { first: range.first, last: range.last, range }
    }
}

/// The set's addresses in the order in which they are tried: from the one after the last given to the end of its range,
/// through the other ranges, and the beginning of that range at the end.
fn segments(set: &RangeSet, last_reserved: Option<Position>) -> Vec<Segment<'_>> {
    let ranges = set.ranges();
    let found = last_reserved
        .and_then(|last| ranges.iter().position(|range| range.contains(last)).map(|n| (last, n)));
    let Some((last, start)) = found else { return ranges.iter().map(Segment::whole).collect() };
    let (before, from) = ranges.split_at(start);
    let Some((current, after)) = from.split_first() else { return Vec::new() };
    let rest = last.next().filter(|next| *next <= current.last);
    let rest = rest.map(|first| Segment { first, last: current.last, range: current });
    let others = after.iter().chain(before).map(Segment::whole);
    let beginning = Segment { first: current.first, last, range: current };
    rest.into_iter().chain(others).chain([beginning]).collect()
}

#[cfg(test)]
mod tests;
