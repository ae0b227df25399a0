//! Invalid settings: all of them in one report, a line each.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use protocol::secret::Secret;

use super::{PathArg, SecretArg, SecretError};

/// Collector of invalid settings, so that one start reports all of them.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

/// Invalid setting.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    variable: Cow<'static, str>,
    text: String,
}

impl Problems {
    /// Reports an invalid setting. The text names the expected value and never quotes a secret.
    pub fn report(&mut self, variable: impl Into<Cow<'static, str>>, text: impl Into<String>) {
        self.0.push(Problem {
            variable: variable.into(),
            text: text.into(),
        });
    }

    /// Unwraps a value, or reports its error.
    pub fn take<T, E: fmt::Display>(&mut self, variable: &'static str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.report(variable, error.to_string())).ok()
    }

    /// Unwraps a required value, or reports that it is missing.
    pub fn require<T>(&mut self, variable: &'static str, value: Option<T>, what: &str) -> Option<T> {
        if value.is_none() {
            self.report(variable, format!("is required: {what}"));
        }
        value
    }

    /// Unwraps a secret, or reports why it cannot be taken: by the variable of its file if it has one.
    pub fn secret(&mut self, variable: &'static str, secret: &SecretArg) -> Option<Secret> {
        let error = match secret.secret() {
            Ok(secret) => return Some(secret.clone()),
            Err(error) => error,
        };
        match error {
            SecretError::Encoding => self.report(variable, error.to_string()),
            SecretError::Ambiguous => self.report(variable, format!("and {variable}_FILE exclude each other")),
            SecretError::File(error) => self.report(format!("{variable}_FILE"), error.to_string()),
        }
        None
    }

    /// Unwraps a secret that may be missing; see [`Self::secret`].
    pub fn optional_secret(&mut self, variable: &'static str, secret: Option<&SecretArg>) -> Option<Secret> {
        secret.and_then(|secret| self.secret(variable, secret))
    }

    /// Unwraps a path, or reports that the text is none.
    pub fn path(&mut self, variable: &'static str, path: &PathArg) -> Option<PathBuf> {
        self.take(variable, path.path()).map(PathBuf::from)
    }

    /// Checks a secret that is sent or received in a header, alone or in credentials (RFC 9110, section 5.5; RFC 6749, appendix
    /// A.2). One that is not valid in a header would only fail later, at every peer.
    pub fn header(&mut self, variable: &'static str, secret: Option<&SecretArg>) -> Option<Secret> {
        let secret = self.secret(variable, secret?)?;
        let text = secret.expose();
        if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || text.trim() != text {
            self.report(
                variable,
                "cannot be sent in a header: it has a control character, a non-ASCII character, or a space at an end",
            );
            return None;
        }
        Some(secret)
    }

    /// Adds other problems behind these.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Returns the settings if no problem was reported.
    ///
    /// # Errors
    /// All reported problems.
    pub fn finish<T>(self, settings: Option<T>) -> Result<T, ConfigError> {
        match settings {
            Some(settings) if self.0.is_empty() => Ok(settings),
            _ => Err(ConfigError(self.0)),
        }
    }
}

/// All invalid settings, for which the start is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<Problem>);

impl ConfigError {
    /// A line for each invalid setting.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(|problem| format!("{} {}", problem.variable, problem.text))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines().enumerate() {
            let separator = if index == 0 { "" } else { "\npostern: " };
            write!(f, "{separator}{line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn given(secret: &str) -> SecretArg {
        SecretArg::from(OsString::from(secret))
    }

    #[test]
    fn secret_unfit_for_a_header_is_refused_without_quoting_it() {
        let mut problems = Problems::default();
        assert!(problems.header("POSTERN_INTERNAL_TOKEN", None).is_none());
        assert!(
            problems
                .header("POSTERN_INTERNAL_TOKEN", Some(&given("s3 cr~t!")))
                .is_some()
        );
        for text in [
            "s3cret\nmore",
            "s3cret\0",
            "s3cret\u{7f}",
            "s3cr\u{e9}t",
            " s3cret",
            "s3cret ",
            "\ts3cret",
        ] {
            let mut problems = Problems::default();
            assert!(problems.header("POSTERN_INTERNAL_TOKEN", Some(&given(text))).is_none());
            let error = problems.finish::<()>(None).unwrap_err().to_string();
            assert!(
                error.starts_with("POSTERN_INTERNAL_TOKEN ") && !error.contains("s3"),
                "{error}"
            );
        }
    }

    #[test]
    fn every_wrong_variable_has_a_line() {
        let mut problems = Problems::default();
        problems.report("POSTERN_LISTEN", "is not an address");
        assert_eq!(problems.require::<u8>("POSTERN_TLS_CERT", None, "a PEM file"), None);
        let refused = problems.finish(Some(())).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "POSTERN_LISTEN is not an address\npostern: POSTERN_TLS_CERT is required: a PEM file"
        );
    }
}
