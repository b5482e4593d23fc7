//! Deleting links, many for the price of one.
//!
//! Deleting a veth costs the kernel about 20 ms, all of it waiting for readers to leave; deleting sixty-four in one
//! message costs hardly more. So every deletion is: take the link off its bridge and mark it by putting it into the group
//! of the condemned, wait for one's turn, and delete the whole group, unless somebody else's turn took the link along.
//! What each port's leaving costs its bridge is so paid for while the others come, not in the turn. Whoever dies
//! in between leaves a marked link that the next deletion takes, and nothing else.
//!
//! Where a node is drained, every pod's deletion comes as a process of its own. The first of them would delete its own link
//! and the others a round later, each round as long as the kernel waits. So whose turn it is holds still where others have
//! [announced](LinkDeleter::announce) themselves, as long as more of them stand in line: each then lengthens the lock file
//! by one byte.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::LinkUnspec;
use rustix::fs::{FlockOperation, Mode, OFlags, fcntl_lock};
use rustix::io::Errno;
use tokio::sync::Mutex;

use crate::error::Error;
use crate::link::Link;
use crate::lock::FileLock;
use crate::netlink::Netlink;

/// The link group of what is about to be deleted: "podn" in ASCII, a number no other program uses.
pub(crate) const CONDEMNED: u32 = 0x706f_646e;
/// Turns make deletions cheap, not right: who does not get one in time deletes all the same.
const TURN_DEADLINE: Duration = Duration::from_secs(2);

/// The pause between two looks at whether the link went or the turn is free: many at once may be waiting.
const LINE_PAUSE: Duration = Duration::from_millis(2);
/// How long a turn's holder holds still at a time, and how often at most: together as long as one deletion takes.
const TURN_PAUSE: Duration = Duration::from_millis(1);
const MOST_PAUSES: u32 = 16;

/// A deletion that is about to come ([`LinkDeleter::announce`]).
#[derive(Debug)]
pub struct Announcement {
    _file: Option<File>,
}

/// How a wait for one's turn ended.
enum Turn {
    /// It is this process's, for as long as the lock is held where there is one.
    Ours(Option<FileLock>),
    /// The link went in another's.
    Needless,
}

/// Deletes links of one namespace, collecting what any number of callers want gone.
///
/// Cloning shares the queue.
#[derive(Debug, Clone)]
pub struct LinkDeleter {
    netlink: Netlink,
    turn: Arc<Mutex<()>>,
    lock: Option<PathBuf>,
}

impl LinkDeleter {
    /// A deleter over `netlink`'s namespace.
    ///
    /// `lock` is a file by which several processes take turns; its folder must exist. Without it they work side by
    /// side, each waiting for the kernel on its own.
    #[must_use]
    pub fn new(netlink: Netlink, lock: Option<PathBuf>) -> Self {
        Self { netlink, turn: Arc::default(), lock }
    }

    /// Says to other processes that a deletion will come, as long as the announcement is held, so that theirs and this one are
    /// made together. Of use where several begin at about the same time and this one has something to do first.
    ///
    /// Of several that a process holds, the first to end, and every deletion, ends all: then others only wait less for each
    /// other.
    #[must_use = "it counts as long as it is held"]
    pub fn announce(&self) -> Announcement {
        Announcement { _file: self.lock.as_deref().and_then(|turn| announce(turn).ok()) }
    }

    /// Deletes a link. That it is gone already is success.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub async fn delete(&self, link: &Link) -> Result<(), Error> {
        match self.condemn(link).await {
            Err(error) if error.is_gone() => return Ok(()),
            other => other?,
        }
        // Whoever deletes in this thread as well marks his own link first: the kernel's answer is not waited for elsewhere.
        tokio::task::yield_now().await;
        let _turn = tokio::time::timeout(TURN_DEADLINE, self.turn.lock()).await;
        if self.is_gone(link)? {
            return Ok(());
        }
        match self.turn_among_processes(link).await? {
            Turn::Needless => Ok(()),
            Turn::Ours(_lock) => {
                self.delete_condemned().await?;
                self.make_sure_of(link).await
            }
        }
    }

    /// Waits for this process's turn, or until another's took the link along. That shows before its turn ends: a link that
    /// nobody finds any more is gone, though the kernel waits for readers of what it was.
    async fn turn_among_processes(&self, link: &Link) -> Result<Turn, Error> {
        let Some(path) = &self.lock else { return Ok(Turn::Ours(None)) };
        let begun = Instant::now();
        let mut stands_in_line = false;
        while begun.elapsed() < TURN_DEADLINE {
            let lock = match FileLock::try_acquire(path) {
                Ok(lock) => lock,
                Err(error) => {
                    tracing::warn!("{error}; deleting out of turn");
                    return Ok(Turn::Ours(None));
                }
            };
            if self.is_gone(link)? {
                return Ok(Turn::Needless);
            }
            if lock.is_some() {
                if others_are_coming(path) {
                    wait_for_others(path).await;
                }
                return Ok(Turn::Ours(lock));
            }
            if !stands_in_line {
                stands_in_line = true;
                stand_in_line(path);
            }
            tokio::time::sleep(LINE_PAUSE).await;
        }
        tracing::warn!("others delete interfaces all the time; deleting out of turn");
        Ok(Turn::Ours(None))
    }

    /// The group went with all that could be deleted; a link that somebody else put there may have kept ours from it.
    async fn make_sure_of(&self, link: &Link) -> Result<(), Error> {
        if self.is_gone(link)? {
            return Ok(());
        }
        let message = RouteNetlinkMessage::DelLink(LinkUnspec::new_with_index(link.index).build());
        match self.netlink.request(message, 0, || format!("delete {link}")).await {
            Err(error) if error.is_gone() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Marks a link. A port leaves its bridge, which the group's deletion would do for one after the other.
    async fn condemn(&self, link: &Link) -> Result<(), Error> {
        let marked = || LinkUnspec::new_with_index(link.index).link_group(CONDEMNED);
        let action = || format!("mark {link} for deletion");
        match self.netlink.change_link(marked().nocontroller().build(), action).await {
            // What it is a port of does not let it go: it goes with the group all the same.
            Err(error) if !error.is_gone() => {
                self.netlink.change_link(marked().build(), action).await
            }
            other => other,
        }
    }

    fn is_gone(&self, link: &Link) -> Result<bool, Error> {
        Ok(!self.netlink.has_interface(link.index)?)
    }

    async fn delete_condemned(&self) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(0).link_group(CONDEMNED).build();
        let message = RouteNetlinkMessage::DelLink(message);
        match self.netlink.request(message, 0, || "delete interfaces".to_owned()).await {
            Err(error) if error.errno().is_some() => {
                // Gone with another process's turn, or one of the group cannot be deleted: ours is looked at next.
                tracing::debug!(%error, "the group was not deleted");
                Ok(())
            }
            other => other.map(drop),
        }
    }
}

fn announce(turn: &Path) -> Result<File, Errno> {
    let file = open_announcements(turn)?;
    fcntl_lock(&file, FlockOperation::NonBlockingLockShared)?;
    Ok(file)
}

/// Whether another process has announced a deletion. A process's own locks of this kind do not keep it out, and are gone
/// once it has closed any descriptor of the file, as is done here.
fn others_are_coming(turn: &Path) -> bool {
    let tried = open_announcements(turn)
        .and_then(|file| fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive));
    matches!(tried, Err(Errno::ACCESS | Errno::AGAIN))
}

fn open_announcements(turn: &Path) -> Result<File, Errno> {
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::open(turn.with_extension("coming"), flags | OFlags::CLOEXEC, mode).map(File::from)
}

/// Lengthens the lock file. Where that cannot be done, the holder does not wait for us.
fn stand_in_line(turn: &Path) {
    let lengthened =
        OpenOptions::new().append(true).open(turn).and_then(|mut file| file.write_all(b"."));
    if let Err(error) = lengthened {
        tracing::debug!("cannot write to {}: {error}", turn.display());
    }
}

/// Holds still as long as others come. The line begins anew with each turn.
async fn wait_for_others(turn: &Path) {
    let in_line = || fs::symlink_metadata(turn).map_or(0, |found| found.len());
    let mut before = in_line();
    if before > 0 && OpenOptions::new().write(true).truncate(true).open(turn).is_ok() {
        before = 0;
    }
    for _ in 0..MOST_PAUSES {
        tokio::time::sleep(TURN_PAUSE).await;
        let now = in_line();
        if now == before {
            break;
        }
        before = now;
    }
}

#[cfg(test)]
mod tests;
