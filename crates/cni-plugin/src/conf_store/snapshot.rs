//! What the folder offered when it was last read, and what it offered before that still counts.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use podnet_cni_spec::NetworkName;

use crate::conf_dir::{Loaded, Scan, SkipReason, Skipped};

#[cfg(test)]
mod tests;

/// How long a network outlives the file that was good and is broken, while the folder has others.
///
/// A file that is written in place is broken for a moment; without this, pods set up in that moment would get the
/// network of the next file.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// A network to attach pods to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Served {
    /// The network, whole: no later change of its file changes it.
    pub network: Arc<Loaded>,
    /// Why this is the last good configuration and not what the folder says now.
    pub stale: Option<String>,
    since: Option<Instant>,
}

impl Served {
    fn fresh(network: &Arc<Loaded>) -> Self {
        Self { network: Arc::clone(network), stale: None, since: None }
    }

    fn kept(&self, why: String, now: Instant) -> Self {
        let network = Arc::clone(&self.network);
        Self { network, stale: Some(why), since: self.since.or(Some(now)) }
    }

    fn in_grace(&self, now: Instant) -> bool {
        self.since.is_none_or(|since| now.saturating_duration_since(since) < GRACE)
    }
}

/// The folder's networks at one moment. It never changes; a [`ConfStore`](super::ConfStore) replaces it by another.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// Counts the changes that were seen. 0: the folder has not been read yet.
    pub generation: u64,
    /// What was read.
    pub scan: Arc<Scan>,
    offers: Vec<Served>,
}

impl Snapshot {
    /// The networks that can be had now, in the order of their files.
    pub fn networks(&self) -> impl Iterator<Item = &Served> {
        self.networks_at(Instant::now())
    }

    pub(super) fn networks_at(&self, now: Instant) -> impl Iterator<Item = &Served> {
        let nothing_else = self.scan.networks.is_empty();
        self.offers.iter().filter(move |offer| nothing_else || offer.in_grace(now))
    }

    /// The snapshot after this one. The generation is another if the folder's content is.
    pub(super) fn next(&self, scan: Scan, now: Instant) -> Self {
        let offers = self.offers_after(&scan, now);
        let changed = self.generation == 0 || !same(self, &scan, &offers);
        let generation = self.generation.saturating_add(u64::from(changed));
        Self { generation, scan: Arc::new(scan), offers }
    }

    fn offers_after(&self, scan: &Scan, now: Instant) -> Vec<Served> {
        let mut offers: Vec<Served> = scan.networks.iter().map(Served::fresh).collect();
        let names: HashSet<&NetworkName> = scan.networks.iter().map(|new| new.name()).collect();
        let files: HashSet<&Path> = scan.networks.iter().map(|new| new.file.as_path()).collect();
        let broken = broken(scan);
        let replaced = |old: &Served| {
            names.contains(old.network.name()) || files.contains(old.network.file.as_path())
        };
        let kept = self.networks_at(now).filter(|old| !replaced(old)).filter_map(|old| {
            reason_to_keep(&old.network, scan, &broken).map(|why| old.kept(why, now))
        });
        offers.extend(kept);
        offers.sort_by(|one, other| one.network.file.cmp(&other.network.file));
        offers
    }
}

/// A file that gives way to another one of the same name is not broken.
fn broken(scan: &Scan) -> HashMap<&Path, &Skipped> {
    let broken = scan
        .skipped
        .iter()
        .filter(|skipped| !matches!(skipped.reason, SkipReason::DuplicateName { .. }));
    broken.map(|skipped| (skipped.file.as_path(), skipped)).collect()
}

fn reason_to_keep(old: &Loaded, scan: &Scan, broken: &HashMap<&Path, &Skipped>) -> Option<String> {
    let folder = scan.folder.display();
    match (broken.get(old.file.as_path()), &scan.folder_problem) {
        (Some(skipped), _) => Some(skipped.to_string()),
        (None, Some(problem)) if scan.networks.is_empty() => Some(format!("{folder}: {problem}")),
        (None, None) if scan.networks.is_empty() => {
            Some(format!("{folder}: {} is gone, and no other network is there", old.file.display()))
        }
        _ => None,
    }
}

fn same(old: &Snapshot, scan: &Scan, offers: &[Served]) -> bool {
    let served =
        |one: &Served, other: &Served| one.network == other.network && one.stale == other.stale;
    let skipped = |scan: &Scan| -> Vec<String> {
        let problem = scan.folder_problem.iter().map(ToString::to_string);
        problem.chain(scan.skipped.iter().map(ToString::to_string)).collect()
    };
    old.offers.len() == offers.len()
        && old.offers.iter().zip(offers).all(|(one, other)| served(one, other))
        && skipped(&old.scan) == skipped(scan)
}
