//! Deleting links, many for the price of one.
//!
//! Deleting a veth costs the kernel about 20 ms, all of it waiting for readers to leave; deleting sixty-four in one
//! message costs hardly more. So every deletion is: mark the link by putting it into the group of the condemned, wait
//! for one's turn, and delete the whole group, unless somebody else's turn took the link along. Whoever dies
//! in between leaves a marked link that the next deletion takes, and nothing else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::LinkUnspec;
use tokio::sync::Mutex;

use crate::error::Error;
use crate::link::Link;
use crate::lock::FileLock;
use crate::netlink::Netlink;

/// The link group of what is about to be deleted: "podn" in ASCII, a number no other program uses.
pub(crate) const CONDEMNED: u32 = 0x706f_646e;
/// Turns make deletions cheap, not right: who does not get one in time deletes all the same.
const TURN_DEADLINE: Duration = Duration::from_secs(2);

const TURN_PAUSE: Duration = Duration::from_millis(1);

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
        if self.is_gone(link).await? {
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
        while begun.elapsed() < TURN_DEADLINE {
            match FileLock::try_acquire(path) {
                Ok(None) => tokio::time::sleep(TURN_PAUSE).await,
                Ok(lock) => {
                    return Ok(if self.is_gone(link).await? {
                        Turn::Needless
                    } else {
                        Turn::Ours(lock)
                    });
                }
                Err(error) => {
                    tracing::warn!("{error}; deleting out of turn");
                    return Ok(Turn::Ours(None));
                }
            }
            if self.is_gone(link).await? {
                return Ok(Turn::Needless);
            }
        }
        tracing::warn!("others delete interfaces all the time; deleting out of turn");
        Ok(Turn::Ours(None))
    }

    /// The group went with all that could be deleted; a link that somebody else put there may have kept ours from it.
    async fn make_sure_of(&self, link: &Link) -> Result<(), Error> {
        if self.is_gone(link).await? {
            return Ok(());
        }
        let message = RouteNetlinkMessage::DelLink(LinkUnspec::new_with_index(link.index).build());
        match self.netlink.request(message, 0, || format!("delete {link}")).await {
            Err(error) if error.is_gone() => Ok(()),
            other => other.map(drop),
        }
    }

    async fn condemn(&self, link: &Link) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(link.index).link_group(CONDEMNED).build();
        self.netlink.change_link(message, || format!("mark {link} for deletion")).await
    }

    async fn is_gone(&self, link: &Link) -> Result<bool, Error> {
        Ok(self.netlink.link_by_index(link.index).await?.is_none())
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
