//! The account that servers run under when the tests run as root: Postgres refuses to be root, and nothing needs to be.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Uid, User};

use crate::fail::OrFail as _;

/// A user and its main group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account to lower a server to; none when the tests are not run by root.
    pub(crate) fn unprivileged() -> Option<Self> {
        if !Uid::effective().is_root() {
            return None;
        }
        let user = ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten());
        let user = user.or_fail("find the user postgres or nobody");
        Some(Self {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        })
    }

    /// Makes `path` this account's.
    pub(crate) fn own(self, path: &Path) {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).or_fail("give a folder to the server's user");
    }

    /// Makes `command` run under this account.
    pub(crate) fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}
