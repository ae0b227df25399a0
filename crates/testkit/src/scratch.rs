//! Folder that is removed with its handle, and after the death of the test process without destructors.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::account::Account;
use crate::fail::OrFail as _;

/// Private temporary folder.
///
/// A small shell has the reading end of a pipe of ours: when the pipe closes, because this value was dropped or because the test
/// process died, it removes the folder.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    guard: Child,
}

impl Scratch {
    /// Creates a folder whose name begins with `testkit-<name>-`.
    pub fn new(name: &str) -> Self {
        Self::owned(name, None)
    }

    /// Creates a folder for a server that runs under `account`.
    pub(crate) fn owned(name: &str, account: Option<Account>) -> Self {
        // The folder may contain keys and secrets, and machines are shared.
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
            // Ctrl-C goes to the whole foreground group, and must not end the guard before it has removed the folder.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .or_fail("start sh");
        Self { path, guard }
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file into the folder and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(name);
        std::fs::write(&path, content).or_fail("write into the temporary folder");
        path
    }

    /// Output of the processes started in this folder, each part with a heading.
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
        // A folder that cannot be removed stays, and a drop during a panic must not panic.
        drop(self.guard.wait());
    }
}

/// Shell script of the guard: a server that ends at the same time may still write, so removal is tried for 20 seconds.
const GUARD: &str = r#"
read -r _
tries=0
until rm -rf "$1" || [ "$tries" -ge 100 ]; do
  tries=$((tries + 1))
  sleep 0.2
done
"#;
