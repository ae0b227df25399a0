//! Programs of `clients/`, each of which uses a client library of its language, in the version that is pinned there.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::fail::fail;
use crate::process::{Launch, Process};
use crate::scratch::Scratch;

/// Program to run.
#[derive(Debug)]
pub struct Program {
    name: String,
    command: Command,
}

impl Program {
    /// Module of `clients/python`.
    pub fn python(module: &str) -> Self {
        let mut command = Command::new(installed("python/bin/python"));
        command.arg(clients().join("python").join(module).with_extension("py"));
        Self::new(module, command)
    }

    /// Command that a library of Python installs.
    pub fn python_command(name: &str) -> Self {
        Self::new(name, Command::new(installed(&format!("python/bin/{name}"))))
    }

    /// Class of `clients/java`.
    pub fn java(class: &str) -> Self {
        let (classes, libraries) = (installed("java/classes"), installed("java/lib"));
        let mut command = Command::new("java");
        command
            .arg("-cp")
            .arg(format!("{}:{}/*", classes.display(), libraries.display()));
        command.arg(class);
        Self::new(class, command)
    }

    /// Command of `clients/go`.
    pub fn go(name: &str) -> Self {
        Self::new(name, Command::new(installed(&format!("go/{name}"))))
    }

    fn new(name: &str, command: Command) -> Self {
        Self {
            name: name.to_owned(),
            command,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl Into<OsString>) -> Self {
        self.command.env(key, value.into());
        self
    }

    /// Starts the program, which ends with the handle.
    pub fn start(self) -> Process {
        Launch::new(self.name, &Arc::new(Scratch::new("library")), self.command).start()
    }
}

/// Path below the installation of `clients/install`; fails the test with the command to run where it is missing.
fn installed(path: &str) -> PathBuf {
    let path = clients().join("target").join(path);
    if !path.exists() {
        fail(
            "run a client library",
            format_args!(
                "{} is not installed: run cargo xtask long clients first",
                path.display()
            ),
        );
    }
    path
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}
