//! Scripts for Node.js that use the official clients or drive a browser, with the packages that `node/package.json` pins.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::fail::fail;
use crate::process::{Launch, Process};
use crate::scratch::Scratch;
use crate::wait;

/// `CommonJS` script to run; `require("socket.io-client")` finds the pinned version from any folder.
#[derive(Debug)]
pub struct Script {
    command: Command,
}

/// Output of a script that has ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit status, 0 for success.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Script {
    /// Prepares a script; fails the test when the official clients are not installed.
    pub fn new(path: impl AsRef<Path>) -> Self {
        install_check();
        let mut command = Command::new("node");
        command.arg(path.as_ref()).env("NODE_PATH", modules());
        Self { command }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.command.arg(arg.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl Into<OsString>) -> Self {
        self.command.env(key, value.into());
        self
    }

    /// Trusts the authorities of a PEM file beside the usual ones.
    #[must_use]
    pub fn trusting(self, ca_pem_path: &Path) -> Self {
        self.env("NODE_EXTRA_CA_CERTS", ca_pem_path)
    }

    /// Starts the script, which ends with the handle.
    pub fn start(self) -> Process {
        Launch::new("node", &Arc::new(Scratch::new("node")), self.command).start()
    }

    /// Runs the script to its end, within [`wait::deadline`].
    pub async fn run(self) -> Output {
        let process = self.start();
        let status = process.wait(wait::deadline()).await;
        Output {
            status,
            stdout: process.stdout(),
            stderr: process.stderr(),
        }
    }
}

/// Fails the test with one sentence when the official clients are not installed.
fn install_check() {
    if !modules().join("socket.io-client").exists() {
        fail(
            "run a Node script",
            "the official clients are not installed: run .ci/test first",
        );
    }
}

fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("node/node_modules")
}
