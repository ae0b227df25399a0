//! Variables of the process, read once.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Environment of the process.
#[derive(Debug)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Reads the environment of the process.
    #[expect(
        clippy::disallowed_methods,
        reason = "clap reads single variables; the files of secrets and unknown variables are found in the whole"
    )]
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// Value of a variable, if it is set.
    pub(crate) fn get(&self, variable: &OsStr) -> Option<&OsStr> {
        self.0.get(variable).map(OsString::as_os_str)
    }
}
