//! Variables of the process, read once.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Variables of the environment that begin with `POSTERN_`, and those of OpenTelemetry.
#[derive(Debug)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Reads the environment of the process.
    #[expect(
        clippy::disallowed_methods,
        reason = "clap reads single variables; the files of secrets and unknown variables are found in the whole"
    )]
    pub(crate) fn of_process() -> Self {
        Self::from_iter(std::env::vars_os())
    }

    /// Value of a variable, if it is set.
    pub(super) fn get(&self, variable: &OsStr) -> Option<&OsStr> {
        self.0.get(variable).map(OsString::as_os_str)
    }

    /// Names and values of the variables of Postern.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let own = self
            .0
            .iter()
            .filter(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
        own.map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<T: IntoIterator<Item = (OsString, OsString)>>(variables: T) -> Self {
        let variables = variables.into_iter();
        let ours = variables.filter(|(name, _)| {
            let name = name.as_encoded_bytes();
            name.starts_with(PREFIX.as_bytes()) || name.starts_with(OPEN_TELEMETRY.as_bytes())
        });
        Self(ours.collect())
    }
}

/// Prefix of the names of all variables of Postern.
pub(super) const PREFIX: &str = "POSTERN_";
/// Prefix of the names of OpenTelemetry's variables. A process may have more of them than Postern knows, for other programs.
const OPEN_TELEMETRY: &str = "OTEL_";
