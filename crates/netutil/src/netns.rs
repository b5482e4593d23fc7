//! Network namespaces: open by path, make persistent, run something in one.
//!
//! There is no guard that moves a thread into a namespace and back: code runs in another namespace on a thread that
//! ends there, so no thread of a pool is ever found in the wrong one. A process that has one thread only, such as a CNI
//! program, spares the second: that one goes there and comes back, and nothing else can be found in the wrong place.

mod kind;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::Error;

/// The calling thread's own namespace.
const OWN: &str = "/proc/thread-self/ns/net";

/// An open network namespace, known by the path it was opened by.
///
/// The namespace lives at least as long as this value.
#[derive(Debug)]
pub struct Netns {
    file: File,
    path: PathBuf,
}

impl Netns {
    /// Opens the namespace at `path` (`/run/netns/web`, `/proc/4242/ns/net`).
    ///
    /// # Errors
    /// [`Error::Netns`] when there is nothing at `path` or what is there is not a network namespace.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        match open_namespace(&path) {
            Ok(file) => Ok(Self { file, path }),
            Err(error) => Err(failed("open", &path, error)),
        }
    }

    /// Opens the namespace at `path`, which must not be the calling thread's own: a pod's, seen from the host.
    ///
    /// # Errors
    /// [`Error::Netns`] as for [`Netns::open`], and when it is the thread's own.
    pub fn open_other(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let netns = Self::open(path)?;
        if netns.is_own()? {
            let reason = "it is the host's own network namespace: give the pod's";
            return Err(failed(
                "open",
                &netns.path,
                io::Error::new(io::ErrorKind::InvalidInput, reason),
            ));
        }
        Ok(netns)
    }

    /// The calling thread's own namespace.
    ///
    /// # Errors
    /// [`Error::Netns`] when `/proc` is not mounted.
    pub fn current() -> Result<Self, Error> {
        Self::open(OWN)
    }

    /// Makes a new namespace and keeps it at `path`, as `ip netns add` does: it lives until [`Netns::remove`].
    ///
    /// `path` is created as an empty file; its folder must exist.
    ///
    /// # Errors
    /// [`Error::Netns`] when something is at `path`, or without `CAP_SYS_ADMIN`.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        File::create_new(&path).map_err(|error| failed("create", &path, error))?;
        let made = on_own_thread(|| unshare_and_mount(&path));
        let made = made.and_then(|done| done.map_err(io::Error::from));
        if let Err(error) = made {
            // The empty file is ours and nothing is mounted on it; what failed first is what the caller must hear.
            let _ = std::fs::remove_file(&path);
            return Err(failed("create", &path, error));
        }
        Self::open(path)
    }

    /// Unmounts and removes the namespace kept at `path`. It ends when nothing else holds it.
    ///
    /// Nothing at `path` is success.
    ///
    /// # Errors
    /// [`Error::Netns`] when the mount or the file cannot be removed.
    pub fn remove(path: &Path) -> Result<(), Error> {
        match unmount(path, UnmountFlags::DETACH) {
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(failed("remove", path, errno.into())),
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", path, error))
            }
            _ => Ok(()),
        }
    }

    /// Runs `work` in this namespace, on a thread that ends there; on this thread where the process has no other.
    ///
    /// A process whose only thread cannot come back is aborted: it would go on with the pod's network for the host's.
    ///
    /// # Errors
    /// [`Error::Netns`] when the namespace cannot be entered (without `CAP_SYS_ADMIN`) or no thread can be started.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        let entered = if is_only_thread() {
            there_and_back(&self.file, work)
        } else {
            on_own_thread(|| enter(&self.file).map(|()| work())).and_then(|done| done)
        };
        entered.map_err(|error| failed("enter", &self.path, error))
    }

    /// Whether both are the same namespace.
    ///
    /// Both being open, comparing inode numbers is exact: a number is reused only after its namespace has ended.
    ///
    /// # Errors
    /// [`Error::Netns`] when the system cannot tell.
    pub fn is_same_as(&self, other: &Netns) -> Result<bool, Error> {
        Ok(self.identity()? == other.identity()?)
    }

    /// Whether it is the calling thread's own namespace.
    ///
    /// # Errors
    /// [`Error::Netns`] when the system cannot tell: `/proc` is not mounted.
    pub fn is_own(&self) -> Result<bool, Error> {
        let own = rustix::fs::stat(OWN);
        let own = own.map_err(|errno| failed("look at", Path::new(OWN), errno.into()))?;
        Ok(self.identity()? == (own.st_dev, own.st_ino))
    }

    fn identity(&self) -> Result<(u64, u64), Error> {
        let stat = rustix::fs::fstat(&self.file);
        let stat = stat.map_err(|errno| failed("open", &self.path, errno.into()))?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// The path by which the namespace was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Moves this whole process into new namespaces: a network of its own and a private view of the mounts with an empty
/// `/run`, and as an ordinary user first a user namespace in which it is root.
///
/// Everything made afterwards (links, mounts, namespaces kept at a path) vanishes with the process. Must be called
/// before the process starts a thread.
///
/// # Errors
/// [`Error::Isolation`] when the kernel refuses, for example where user namespaces are switched off.
pub fn isolate_process() -> Result<(), Error> {
    kind::isolate().map_err(|(step, source)| Error::Isolation { step, source })
}

fn there_and_back<T>(there: &File, work: impl FnOnce() -> T) -> io::Result<T> {
    // Comes back where the work panics, too.
    let _back = Return(File::open(OWN)?);
    enter(there)?;
    Ok(work())
}

/// Brings the thread back to a namespace.
struct Return(File);

impl Drop for Return {
    fn drop(&mut self) {
        if enter(&self.0).is_err() {
            std::process::abort();
        }
    }
}

fn enter(netns: &File) -> io::Result<()> {
    Ok(move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// Whether this process has no thread but this one. A folder has a link of its own, one from its parent, and one from
/// each folder in it: here a thread's.
fn is_only_thread() -> bool {
    rustix::fs::stat("/proc/self/task").is_ok_and(|folder| folder.st_nlink == 3)
}

/// A file of another kind is not even opened: opening a FIFO may block, and opening a device may do anything.
fn open_namespace(path: &Path) -> io::Result<File> {
    let not_one = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a network namespace");
    if !path.metadata()?.is_file() {
        return Err(not_one());
    }
    let file = File::open(path)?;
    if kind::is_network_namespace(file.as_fd()) { Ok(file) } else { Err(not_one()) }
}

fn unshare_and_mount(path: &Path) -> rustix::io::Result<()> {
    kind::leave_network()?;
    mount_bind(OWN, path)
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("podnet-netns".to_owned())
            .spawn_scoped(scope, work)?;
        thread.join().map_err(|_| io::Error::other("the thread in the namespace panicked"))
    })
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Netns { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;

/// Runs an asynchronous test in a network namespace of its own, on a runtime of its own.
#[cfg(test)]
pub(crate) fn in_own_netns<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send) {
    on_own_thread(|| {
        kind::leave_network().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    })
    .unwrap();
}
