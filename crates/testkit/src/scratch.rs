//! A folder that goes with its handle, and with the test process when that dies without running a destructor.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::account::Account;
use crate::fail::OrFail as _;

/// A private temporary folder.
///
/// A small shell holds the reading end of a pipe of ours: when the pipe closes, because this was dropped or because
/// the test process is gone, it removes the folder.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    guard: Child,
}

impl Scratch {
    /// Makes a folder whose name begins with `testkit-<name>-`.
    pub fn new(name: &str) -> Self {
        Self::owned(name, None)
    }

    /// As [`Scratch::new`], for a server that runs under `account`.
    pub(crate) fn owned(name: &str, account: Option<Account>) -> Self {
        // It may hold keys and secrets, and machines are shared.
        let private = PermissionsExt::from_mode(0o700);
        let folder = tempfile::Builder::new()
            .prefix(&format!("testkit-{name}-"))
            .permissions(private)
            .tempdir();
        let path = folder.or_fail("make a temporary folder").keep();
        if let Some(account) = account {
            account.own(&path);
        }
        let guard = Command::new("sh")
            .args(["-c", GUARD, "testkit-scratch"])
            .arg(&path)
            // Ctrl-C goes to the whole foreground group, and must not end the guard before it did its work.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .or_fail("start sh");
        Self { path, guard }
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file into the folder and gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(name);
        std::fs::write(&path, content).or_fail("write into the temporary folder");
        path
    }

    /// What the processes started in this folder have written to stdout and stderr, a headed part each.
    pub fn logs(&self) -> String {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "out" || end == "err"))
            .collect();
        files.sort();
        let part = |path: &PathBuf| {
            let text = std::fs::read(path).unwrap_or_default();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("== {name}\n{}\n", String::from_utf8_lossy(&text))
        };
        files.iter().map(part).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Nothing more can be done about a folder that cannot be removed, and a drop during a panic must not panic.
        drop(self.guard.wait());
    }
}

/// A server that is being ended at the same moment may still write, so removing is tried for 20 seconds.
const GUARD: &str = r#"
read -r _
tries=0
until rm -rf "$1" || [ "$tries" -ge 100 ]; do
  tries=$((tries + 1))
  sleep 0.2
done
"#;
