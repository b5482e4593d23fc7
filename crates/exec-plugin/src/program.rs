//! A plugin's program: where it is, and whether it may be executed.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::process::geteuid;

use crate::error::Error;

const ROOT: u32 = 0;
const WRITABLE_BY_EVERYBODY: u32 = 0o002;

/// A program and the folders that decide which file it is.
#[derive(Debug)]
pub(crate) struct Program {
    dir: PathBuf,
    folder: PathBuf,
    path: PathBuf,
}

impl Program {
    /// The program `name` in `folder`, which is in `dir`.
    pub(crate) fn new(dir: PathBuf, folder: PathBuf, name: &str) -> Self {
        let path = folder.join(name);
        Self { dir, folder, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let program = || self.path.clone();
        match stat(&self.path) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(Error::NotAFile { program: program() }),
            Err(Error::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Err(Error::NoProgram { program: program() });
            }
            Err(error) => return Err(error),
        }
        access(&self.path, Access::EXEC_OK)
            .map_err(|errno| Error::NotExecutable { program: program(), source: errno.into() })?;
        self.check_trust()
    }

    /// Whoever may write to one of these could have the program do what he likes.
    fn check_trust(&self) -> Result<(), Error> {
        let real = fs::canonicalize(&self.path)
            .map_err(|source| Error::Unreadable { path: self.path.clone(), source })?;
        let folders = [Some(self.dir.as_path()), Some(&self.folder), real.parent(), Some(&real)];
        let user = geteuid().as_raw();
        folders.into_iter().flatten().try_for_each(|path| {
            let found = stat(path)?;
            trust(path, found.uid(), found.permissions().mode(), user)
        })
    }
}

fn stat(path: &Path) -> Result<Metadata, Error> {
    fs::metadata(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })
}

/// Whether what belongs to `owner` and has this mode does what root or `user` wants.
fn trust(path: &Path, owner: u32, mode: u32, user: u32) -> Result<(), Error> {
    let path = || path.to_owned();
    if owner != ROOT && owner != user {
        return Err(Error::ForeignOwner { path: path(), owner, user });
    }
    if mode & WRITABLE_BY_EVERYBODY != 0 {
        return Err(Error::WorldWritable { path: path(), mode: mode & 0o7777 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_can_change_is_not_trusted() {
        let cases = [
            (0, 0o100_755, None),
            (1000, 0o100_755, None),
            (1000, 0o040_775, None),
            (1001, 0o100_755, Some("/x belongs to user 1001: ")),
            (1000, 0o100_757, Some("/x (mode 0757) is writable by everybody: ")),
            (0, 0o041_777, Some("/x (mode 1777) is writable by everybody: ")),
        ];
        for (owner, mode, refusal) in cases {
            let trusted = trust(Path::new("/x"), owner, mode, 1000);
            let message = trusted.err().map(|error| error.to_string());
            let fits = match (&message, refusal) {
                (Some(message), Some(refusal)) => message.starts_with(refusal),
                (message, refusal) => message.is_none() && refusal.is_none(),
            };
            assert!(fits, "{owner} {mode:o}: {message:?}");
        }
    }
}
