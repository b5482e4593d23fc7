//! Which addresses are taken, kept so that the next free one is found in logarithmic time.

use std::collections::BTreeMap;

use super::position::Position;

/// A set of addresses as maximal runs: each key is a run's first address, its value the last. Runs never touch.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Taken {
    runs: BTreeMap<Position, Position>,
}

impl Taken {
    pub(super) fn contains(&self, position: Position) -> bool {
        self.run_of(position).is_some()
    }

    /// The first address at or after `from` that is not taken.
    pub(super) fn next_free(&self, from: Position) -> Option<Position> {
        match self.run_of(from) {
            Some((_, last)) => last.next(),
            None => Some(from),
        }
    }

    pub(super) fn insert(&mut self, position: Position) {
        if self.contains(position) {
            return;
        }
        let before = position.previous().and_then(|previous| self.run_of(previous));
        let after = position.next().and_then(|next| self.run_of(next));
        if let Some((first, _)) = after {
            self.runs.remove(&first);
        }
        let first = before.map_or(position, |(first, _)| first);
        let last = after.map_or(position, |(_, last)| last);
        self.runs.insert(first, last);
    }

    pub(super) fn remove(&mut self, position: Position) {
        let Some((first, last)) = self.run_of(position) else { return };
        self.runs.remove(&first);
        if let Some(previous) = position.previous().filter(|previous| *previous >= first) {
            self.runs.insert(first, previous);
        }
        if let Some(next) = position.next().filter(|next| *next <= last) {
            self.runs.insert(next, last);
        }
    }

    fn run_of(&self, position: Position) -> Option<(Position, Position)> {
        let (first, last) = self.runs.range(..=position).next_back()?;
        (position <= *last).then_some((*first, *last))
    }
}

impl FromIterator<Position> for Taken {
    fn from_iter<I: IntoIterator<Item = Position>>(positions: I) -> Self {
        let mut taken = Self::default();
        positions.into_iter().for_each(|position| taken.insert(position));
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;

    fn at(host: u8) -> Position {
        IpAddr::from(Ipv4Addr::new(10, 0, 0, host)).into()
    }

    proptest! {
        #[test]
        fn it_is_a_set_with_a_fast_search(changes in prop::collection::vec((any::<bool>(), 0_u8..40), 0..120)) {
            let (mut taken, mut model) = (Taken::default(), BTreeSet::new());
            for (insert, host) in changes {
                if insert {
                    taken.insert(at(host));
                    model.insert(at(host));
                } else {
                    taken.remove(at(host));
                    model.remove(&at(host));
                }
            }
            for host in 0..41 {
                prop_assert_eq!(taken.contains(at(host)), model.contains(&at(host)));
                let free = (host..=41).map(at).find(|position| !model.contains(position));
                prop_assert_eq!(taken.next_free(at(host)), free);
            }
            prop_assert_eq!(taken, model.into_iter().collect());
        }
    }
}
