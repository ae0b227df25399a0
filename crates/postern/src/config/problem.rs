//! What is wrong with the settings: all of it in one report, a line each.

use std::fmt;

use protocol::secret::Secret;

/// Collects what is wrong, so that one start tells everything.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    variable: &'static str,
    says: String,
}

impl Problems {
    /// Notes a wrong setting. The sentence tells what is expected and never repeats a secret.
    pub fn note(&mut self, variable: &'static str, says: impl Into<String>) {
        self.0.push(Problem {
            variable,
            says: says.into(),
        });
    }

    /// Takes a value, or notes why there is none.
    pub fn take<T, E: fmt::Display>(&mut self, variable: &'static str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.note(variable, error.to_string())).ok()
    }

    /// Takes a value that must be there.
    pub fn require<T>(&mut self, variable: &'static str, value: Option<T>, what: &str) -> Option<T> {
        if value.is_none() {
            self.note(variable, format!("is required: {what}"));
        }
        value
    }

    /// Takes a secret that is sent or received in a header, by itself or in credentials (RFC 9110, section 5.5; RFC 6749, appendix
    /// A.2). One that no header can carry would be refused by everybody, much later.
    pub fn header(&mut self, variable: &'static str, secret: Option<&Secret>) -> Option<Secret> {
        let secret = secret?;
        let text = secret.expose();
        if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || text.trim() != text {
            self.note(
                variable,
                "cannot be sent in a header: it holds a control character, one that is not ASCII, or a space at an end",
            );
            return None;
        }
        Some(secret.clone())
    }

    /// The settings, if nothing was wrong.
    ///
    /// # Errors
    /// Everything that was noted.
    pub fn finish<T>(self, settings: Option<T>) -> Result<T, ConfigError> {
        match settings {
            Some(settings) if self.0.is_empty() => Ok(settings),
            _ => Err(ConfigError(self.0)),
        }
    }
}

/// The start is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\npostern: " };
            write!(f, "{separator}{} {}", problem.variable, problem.says)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_no_header_can_carry_is_refused_and_not_repeated() {
        let mut problems = Problems::default();
        assert!(problems.header("POSTERN_INTERNAL_TOKEN", None).is_none());
        assert!(
            problems
                .header("POSTERN_INTERNAL_TOKEN", Some(&Secret::new("s3 cr~t!")))
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
            assert!(
                problems
                    .header("POSTERN_INTERNAL_TOKEN", Some(&Secret::new(text)))
                    .is_none()
            );
            let said = problems.finish::<()>(None).unwrap_err().to_string();
            assert!(
                said.starts_with("POSTERN_INTERNAL_TOKEN ") && !said.contains("s3"),
                "{said}"
            );
        }
    }

    #[test]
    fn every_wrong_variable_gets_its_line() {
        let mut problems = Problems::default();
        problems.note("POSTERN_LISTEN", "is no address");
        assert_eq!(problems.require::<u8>("POSTERN_TLS_CERT", None, "a PEM file"), None);
        let refused = problems.finish(Some(())).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "POSTERN_LISTEN is no address\npostern: POSTERN_TLS_CERT is required: a PEM file"
        );
    }
}
