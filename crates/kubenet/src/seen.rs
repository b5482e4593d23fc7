//! What was seen of the host's interfaces: to list them takes as long as there are pods.
//!
//! A process remembers it for a second. A CNI program ends with its call; the next one finds what this one noted, and holds
//! it for the truth only while the interface that decided is as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use podnet_netutil::{Link, Netlink, files, mtu};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::plugin::BRIDGE;

/// How long what was seen holds.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const NOTE: &str = "interfaces-seen.json";
const NOTE_LIMIT: u64 = 4096;
const NOTE_MODE: u32 = 0o600;

/// What was seen of the host's interfaces.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    at: Instant,
    /// The enabled normal interface with the smallest MTU, if there is any.
    pub(crate) narrowest: Option<Narrowest>,
    /// A port of cbr0 that is no pod's.
    pub(crate) foreign_port: Option<Link>,
    /// Whether cbr0 has ports, which keeps it whose it is.
    pub(crate) has_ports: bool,
}

/// The interface that decides on the pods' MTU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Narrowest {
    index: u32,
    name: String,
    mac: Option<String>,
    pub(crate) mtu: u32,
}

impl Narrowest {
    fn of(link: &Link) -> Self {
        let mac = link.mac.map(|mac| mac.to_string());
        Self { index: link.index, name: link.name.clone(), mac, mtu: link.mtu }
    }
}

impl Seen {
    /// What there is to be seen of all interfaces, which were just listed.
    pub(crate) fn of(links: &[Link]) -> Self {
        let at = Instant::now();
        let narrowest = match mtu::narrowest(links, BRIDGE) {
            Ok(narrowest) => Some(Narrowest::of(narrowest)),
            Err(error) => {
                tracing::debug!("{error}");
                None
            }
        };
        let bridge = links.iter().find(|link| link.name == BRIDGE).map(|bridge| bridge.index);
        let is_port = |link: &&Link| bridge.is_some() && link.master == bridge;
        let foreign_port = links.iter().filter(is_port).find(|link| link.kind != "veth").cloned();
        let has_ports = links.iter().any(|link| is_port(&link));
        Self { at, narrowest, foreign_port, has_ports }
    }

    pub(crate) fn holds(&self) -> bool {
        self.at.elapsed() < LOOK_AGAIN
    }

    /// What another process noted less than a second ago, if the interface that decided is still as it was: in another
    /// network namespace it is not.
    pub(crate) async fn noted(
        runtime_dir: &Path,
        netlink: &Netlink,
    ) -> Result<Option<Self>, Error> {
        let Some((at, narrowest)) = read(&note(runtime_dir)) else { return Ok(None) };
        let link = netlink.link_by_index(narrowest.index).await?;
        let same = link.is_some_and(|link| link.up && Narrowest::of(&link) == narrowest);
        let seen = Self { at, narrowest: Some(narrowest), foreign_port: None, has_ports: false };
        Ok(Some(seen).filter(|seen| same && seen.holds()))
    }

    /// Notes for other processes what there was to be seen. Only what lets pods be attached is noted.
    pub(crate) fn note(&self, runtime_dir: &Path) {
        let (Some(narrowest), None) = (&self.narrowest, &self.foreign_port) else { return };
        let noted = serde_json::to_vec(narrowest).map_err(|error| error.to_string());
        let noted = noted.and_then(|bytes| {
            // A note that is not whole cannot be read, and counts as none.
            let written = files::write_in_place(&note(runtime_dir), &bytes, NOTE_MODE);
            written.map_err(|error| error.to_string())
        });
        if let Err(error) = noted {
            tracing::debug!("the next call looks at all interfaces again: {error}");
        }
    }
}

fn note(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join(NOTE)
}

/// A note and when it was made. One that cannot be read is none.
fn read(path: &Path) -> Option<(Instant, Narrowest)> {
    let made = fs::symlink_metadata(path).and_then(|note| note.modified()).ok()?;
    let age = SystemTime::now().duration_since(made).ok()?;
    let at = Instant::now().checked_sub(age)?;
    let bytes = files::read_bounded(path, NOTE_LIMIT).ok()?;
    Some((at, serde_json::from_slice(&bytes).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        let name = "eth0".to_owned();
        let narrowest = Narrowest { index: 2, name, mac: None, mtu: 1450 };
        Seen {
            at: Instant::now(),
            narrowest: Some(narrowest),
            foreign_port: None,
            has_ports: false,
        }
    }

    #[test]
    fn a_note_is_read_back_with_its_age() {
        let folder = tempfile::tempdir().unwrap();
        seen().note(folder.path());
        let (at, narrowest) = read(&note(folder.path())).unwrap();
        assert_eq!(Some(narrowest), seen().narrowest);
        assert!(at <= Instant::now() && at.elapsed() < Duration::from_secs(600));
    }

    #[test]
    fn what_keeps_pods_from_being_attached_is_not_noted() {
        let folder = tempfile::tempdir().unwrap();
        Seen { narrowest: None, ..seen() }.note(folder.path());
        assert!(read(&note(folder.path())).is_none());
        fs::write(note(folder.path()), "{").unwrap();
        assert!(read(&note(folder.path())).is_none());
    }
}
