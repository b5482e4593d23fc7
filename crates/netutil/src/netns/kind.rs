//! The two namespace calls that have no safe wrapper: asking what kind one is, and leaving all of one's own.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// `CLONE_NEWNET`, which is what `NS_GET_NSTYPE` answers for a network namespace (`ioctl_ns(2)`).
const CLONE_NEWNET: i32 = 0x4000_0000;

/// `statfs` type of the file system that holds namespaces (`include/uapi/linux/magic.h`).
const NSFS_MAGIC: rustix::fs::FsWord = 0x6e73_6673;

struct GetNamespaceType;

// SAFETY: NS_GET_NSTYPE takes no argument and returns a number; it reads and writes no memory of the caller.
#[allow(unsafe_code)]
unsafe impl Ioctl for GetNamespaceType {
    type Output = IoctlOutput;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        opcode::none(0xb7, 3)
    }

    fn as_ptr(&mut self) -> *mut core::ffi::c_void {
        core::ptr::null_mut()
    }

    unsafe fn output_from_ptr(
        output: IoctlOutput,
        _: *mut core::ffi::c_void,
    ) -> rustix::io::Result<IoctlOutput> {
        Ok(output)
    }
}

/// A file of another kind answers the ioctl with an error, or with something else than a namespace type.
pub(super) fn is_network_namespace(file: BorrowedFd<'_>) -> bool {
    let nsfs = rustix::fs::fstatfs(file).is_ok_and(|stat| stat.f_type == NSFS_MAGIC);
    // SAFETY: see the implementation of `Ioctl`; and only a file of nsfs is asked, so that no device driver with the
    // same number is.
    #[allow(unsafe_code)]
    let kind = || unsafe { ioctl(file, GetNamespaceType) };
    nsfs && kind() == Ok(CLONE_NEWNET)
}

/// Puts the calling thread into a new, empty network namespace.
pub(super) fn leave_network() -> rustix::io::Result<()> {
    leave(UnshareFlags::NEWNET)
}

fn leave(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: unshare is unsafe only because CLONE_FILES would give this thread another file table; no caller here
    // passes it.
    #[allow(unsafe_code)]
    unsafe {
        unshare_unsafe(flags)
    }
}

pub(super) fn isolate() -> Result<(), (&'static str, io::Error)> {
    let user = rustix::process::geteuid();
    let group = rustix::process::getegid();
    let mut flags = UnshareFlags::NEWNET | UnshareFlags::NEWNS;
    if !user.is_root() {
        flags |= UnshareFlags::NEWUSER;
    }
    leave(flags).map_err(|errno| ("leave the namespaces of the system", errno.into()))?;
    if !user.is_root() {
        map("give up groups", "setgroups", "deny")?;
        map("become root there", "uid_map", &format!("0 {} 1", user.as_raw()))?;
        map("become root there", "gid_map", &format!("0 {} 1", group.as_raw()))?;
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|errno| ("make the mounts private", errno.into()))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", "/run", "tmpfs", flags, c"mode=0755")
        .map_err(|errno| ("mount an empty /run", errno.into()))
}

fn map(step: &'static str, file: &str, text: &str) -> Result<(), (&'static str, io::Error)> {
    std::fs::write(format!("/proc/self/{file}"), text).map_err(|error| (step, error))
}
