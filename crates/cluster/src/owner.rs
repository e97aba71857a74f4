//! The system user that runs the server and owns its files.
//!
//! A plain user runs it as themselves. Root must not (PostgreSQL refuses), so the server then runs
//! as `postgres`, else `nobody`; data that already belongs to somebody else is served by its owner.
//! Permission is judged by the mode bits only; access control lists are not looked at.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;

/// Users that may run the server when root asks for it, best first.
const SERVER_USERS: [&str; 2] = ["postgres", "nobody"];

/// Who runs the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The user of this program, which is not root.
    Caller,
    /// Another user, because this program runs as root.
    Other {
        /// For messages.
        name: String,
        uid: u32,
        gid: u32,
    },
}

impl Owner {
    /// Who runs a server whose data is yet to be made.
    pub(crate) fn of_new_data() -> Result<Self, Error> {
        if effective_uid()? != 0 {
            return Ok(Self::Caller);
        }
        SERVER_USERS.into_iter().find_map(lookup).ok_or(Error::NoServerUser)
    }

    /// Who runs a server with the data in `data`, if there is any.
    pub(crate) fn of(self, data: &Path) -> Self {
        match (&self, fs::metadata(data)) {
            (Self::Other { uid, .. }, Ok(found)) if found.uid() != 0 && found.uid() != *uid => {
                Self::Other { name: format!("#{}", found.uid()), uid: found.uid(), gid: found.gid() }
            }
            (Self::Caller | Self::Other { .. }, _) => self,
        }
    }

    /// For messages.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Caller => "that runs this program",
            Self::Other { name, .. } => name,
        }
    }

    /// Mode of a folder that holds the owner's data folder: the owner must be able to pass.
    pub(crate) fn outer_mode(&self) -> u32 {
        match self {
            Self::Caller => 0o700,
            Self::Other { .. } => 0o711,
        }
    }

    /// Makes the owner own `path`.
    pub(crate) fn adopt(&self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Caller => Ok(()),
            Self::Other { uid, gid, .. } => chown(path, Some(*uid), Some(*gid)).map_err(Error::at(path)),
        }
    }

    /// Makes `command` run as the owner, without supplementary groups.
    pub(crate) fn run(&self, command: &mut Command) {
        match self {
            Self::Caller => {}
            Self::Other { uid, gid, .. } => {
                command.uid(*uid).gid(*gid);
            }
        }
    }

    /// The outermost folder on the way into the absolute `folder` (itself included) that another
    /// owner may not pass. A caller finds out by the system's own error.
    pub(crate) fn blocked_at(&self, folder: &Path) -> Result<Option<PathBuf>, Error> {
        let Self::Other { uid, gid, .. } = self else {
            return Ok(None);
        };
        let mut ancestors: Vec<&Path> = folder.ancestors().collect();
        ancestors.reverse();
        for ancestor in ancestors {
            let found = fs::metadata(ancestor).map_err(Error::at(ancestor))?;
            if !may_pass(&found, *uid, *gid) {
                return Ok(Some(ancestor.to_path_buf()));
            }
        }
        Ok(None)
    }
}

/// Whether the one class of mode bits that applies to the user holds search permission.
fn may_pass(folder: &Metadata, uid: u32, gid: u32) -> bool {
    let bit = if folder.uid() == uid {
        0o100
    } else if folder.gid() == gid {
        0o010
    } else {
        0o001
    };
    folder.mode() & bit != 0
}

fn effective_uid() -> Result<u32, Error> {
    let from_kernel = fs::read_to_string("/proc/self/status").ok().and_then(|status| status_uid(&status));
    let missing = || Error::Io { path: PathBuf::from("id"), source: io::Error::other("gave no user id") };
    from_kernel.or_else(|| id(&["-u"])).ok_or_else(missing)
}

/// The second of the numbers in `Uid: real effective saved file`.
fn status_uid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A user by name: from the password file, else (directory services) from `id`.
fn lookup(name: &str) -> Option<Owner> {
    let from_file = fs::read_to_string("/etc/passwd").ok().and_then(|passwd| passwd_entry(&passwd, name));
    let (uid, gid) = match from_file {
        Some(ids) => ids,
        None => (id(&["-u", name])?, id(&["-g", name])?),
    };
    (uid != 0).then(|| Owner::Other { name: name.to_owned(), uid, gid })
}

/// User and group id from lines of `name:password:uid:gid:…`.
fn passwd_entry(passwd: &str, name: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        Some((parse_id(fields.nth(1)?)?, parse_id(fields.next()?)?))
    })
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    parse_id(String::from_utf8_lossy(&output.stdout).trim())
}

/// Ids are unsigned, but macOS writes `nobody` as -2.
fn parse_id(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().or_else(|| text.parse::<i32>().ok().map(i32::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_the_password_file() {
        let passwd =
            "# comment\nroot:x:0:0::/:/bin/sh\npostgres:x:101:104:a,b:/:/bin/sh\nnobody:*:-2:-2::/:/x\nbad:x:y\n";
        for (name, expected) in [
            ("postgres", Some((101, 104))),
            ("nobody", Some((4_294_967_294, 4_294_967_294))),
            ("post", None),
            ("bad", None),
        ] {
            assert_eq!(passwd_entry(passwd, name), expected, "{name}");
        }
    }

    #[test]
    fn the_effective_user_is_read_from_the_status_file() {
        assert_eq!(status_uid("Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t1\t2\t3\t4\n"), Some(0));
        assert_eq!(status_uid("Name:\tx\n"), None);
    }

    #[test]
    fn only_the_class_of_bits_that_applies_counts() -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir()?;
        let own = fs::metadata(folder.path())?;
        let (uid, gid) = (own.uid(), own.gid());
        for (mode, [owner, group, other]) in [
            (0o700, [true, false, false]),
            (0o710, [true, true, false]),
            (0o701, [true, false, true]),
            (0o011, [false, true, true]),
        ] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode))?;
            let found = fs::metadata(folder.path())?;
            assert_eq!(may_pass(&found, uid, gid + 1), owner, "owner {mode:o}");
            assert_eq!(may_pass(&found, uid + 1, gid), group, "group {mode:o}");
            assert_eq!(may_pass(&found, uid + 1, gid + 1), other, "other {mode:o}");
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))
    }
}
