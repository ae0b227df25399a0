//! Counters of servers, such as commands of Redis or WAL bytes of Postgres, read by commands of the user.

use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, bail};

/// Counter that only grows, with the shell command that prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    /// Name, such as `wal_bytes`.
    pub(crate) name: String,
    command: String,
}

impl Counter {
    /// Runs the command and reads the number that it prints.
    pub(crate) fn read(&self) -> anyhow::Result<f64> {
        let output = Command::new("sh").args(["-c", &self.command]).output();
        let output = output.with_context(|| format!("run the command of the counter {}", self.name))?;
        let (text, errors) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        if !output.status.success() {
            bail!("the command of the counter {} has failed: {}", self.name, errors.trim());
        }
        text.trim()
            .parse()
            .with_context(|| format!("the counter {} is no number: {:?}", self.name, text.trim()))
    }
}

impl FromStr for Counter {
    type Err = anyhow::Error;

    /// Parses `name=command`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, command) = text
            .split_once('=')
            .context("give a name and a command: wal_bytes='psql ...'")?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            bail!("the name {name:?} is not of letters, digits and _");
        }
        Ok(Self {
            name: name.to_owned(),
            command: command.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_is_the_number_that_its_command_prints() {
        let counter: Counter = "sum=echo $((40 + 2))".parse().unwrap();
        assert!((counter.read().unwrap() - 42.0).abs() < f64::EPSILON);
    }

    #[test]
    fn failing_command_and_text_that_is_no_number_are_errors_with_the_name() {
        for (command, reason) in [("echo no >&2; exit 3", "has failed: no"), ("echo many", "is no number")] {
            let counter: Counter = format!("rows={command}").parse().unwrap();
            let error = format!("{:#}", counter.read().unwrap_err());
            assert!(error.contains("counter rows") && error.contains(reason), "{error}");
        }
        assert!("a b=true".parse::<Counter>().is_err());
    }
}
