//! Reservations of before a reboot: nobody has their addresses any more.
//!
//! A file says neither when nor by which program an address was reserved, and the Go program may have been at work in this
//! boot before us. So an address is reclaimed only at our first use of a store after a boot, which a marker tells by the
//! boot's id, and only where its file is older than the boot. The clock may have been set since the boot; what a folder
//! that is made anew at each boot says of its age then counts too, and where the two differ, the earlier one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use podnet_netutil::files;

use super::note;
use super::position::Position;
use super::store::Store;

/// The kernel notes the times of files by its clock's last tick, and its uptime in hundredths of a second.
const MARGIN: Duration = Duration::from_millis(100);
const MARKER_MODE: u32 = 0o644;
/// A boot's id has 36 characters, and a path at most 4096 bytes.
const LIMIT: u64 = 8192;

/// Where one sees which boot this is, and where it is noted which stores were seen to since.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootSource {
    /// The file with the boot's id.
    pub id: PathBuf,
    /// The file that begins with the seconds since the boot.
    pub uptime: PathBuf,
    /// A folder that is made anew at each boot.
    pub made_at_boot: PathBuf,
    /// The folder for the markers, one for each store; it may vanish at a reboot, and is made where missing.
    pub markers: PathBuf,
}

impl BootSource {
    /// What the system says, with the markers in this folder (usually `/run/podnet`).
    #[must_use]
    pub fn system(markers: impl Into<PathBuf>) -> Self {
        Self {
            id: "/proc/sys/kernel/random/boot_id".into(),
            uptime: "/proc/uptime".into(),
            made_at_boot: "/run".into(),
            markers: markers.into(),
        }
    }

    fn marker(&self, store: &Path) -> PathBuf {
        note::file_for(&self.markers, "boot", store)
    }

    /// When the machine was booted, by its clock as it is now or as it was then, whichever is earlier.
    fn began(&self) -> io::Result<SystemTime> {
        let text = fs::read_to_string(&self.uptime)?;
        let seconds = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
        let uptime = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let now = SystemTime::now();
        let began = uptime.and_then(|uptime| now.checked_sub(uptime));
        let began = began.ok_or(io::ErrorKind::InvalidData)?;
        // Not every file system knows when a folder was made.
        let made = self.made_at_boot.metadata().and_then(|metadata| metadata.created());
        Ok(made.map_or(began, |made| made.min(began)))
    }
}

/// Reclaims what was reserved in a store before this boot, unless that was seen to since. Says of how many addresses.
///
/// What goes wrong leaves addresses reserved, which is what happens without it.
pub(super) fn reclaim(source: &BootSource, store: &mut Store<'_>) -> usize {
    if !store.begin_reclaim() {
        return 0;
    }
    match try_reclaim(source, store) {
        Ok(reclaimed) => reclaimed,
        Err(error) => {
            let store = store.dir().display();
            tracing::warn!("addresses of before the boot stay reserved in {store}: {error}");
            0
        }
    }
}

fn try_reclaim(source: &BootSource, store: &mut Store<'_>) -> io::Result<usize> {
    let id = files::read_bounded(&source.id, LIMIT).map_err(io::Error::other)?;
    if id.trim_ascii().is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the boot has no id"));
    }
    let (marker, content) = (source.marker(store.dir()), content(&id, store.dir()));
    if files::read_bounded(&marker, LIMIT).is_ok_and(|found| found == content) {
        return Ok(0);
    }
    let oldest = source.began()?.checked_sub(MARGIN).ok_or(io::ErrorKind::InvalidData)?;
    store.scan_anew().map_err(io::Error::other)?;
    let old: Vec<(Position, String)> = store
        .index()
        .owned()
        // An operator who keeps an address for himself names no interface.
        .filter(|(_, owner)| owner.interface.is_some())
        .map(|(position, owner)| (position, owner.container.clone()))
        .filter(|(position, _)| is_older(&store.path_of(*position), oldest))
        .collect();
    for (position, container) in &old {
        store.release(*position).map_err(io::Error::other)?;
        tracing::info!("reclaimed {position}, which {container} had before this boot");
    }
    fs::create_dir_all(&source.markers)?;
    files::write_atomically(&marker, &content, MARKER_MODE).map_err(io::Error::other)?;
    Ok(old.len())
}

/// What a marker holds: the boot's id, and for a person the store.
fn content(id: &[u8], store: &Path) -> Vec<u8> {
    [id.trim_ascii(), b"\n", store.as_os_str().as_encoded_bytes(), b"\n"].concat()
}

/// Whether a file was there before, by the time of its last change, which nothing but the kernel sets.
fn is_older(file: &Path, than: SystemTime) -> bool {
    let changed = fs::symlink_metadata(file).ok().and_then(|metadata| {
        let since = u64::try_from(metadata.ctime()).ok()?;
        let fraction = u32::try_from(metadata.ctime_nsec()).ok()?;
        UNIX_EPOCH.checked_add(Duration::new(since, fraction))
    });
    changed.is_some_and(|changed| changed < than)
}

#[cfg(test)]
mod tests;
