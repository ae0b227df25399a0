//! Effective settings of a command: each variable, its value and its source, for `postern config check`.

mod mask;

use std::fmt;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use serde::Serialize;

use super::{ConfigError, PathArg, SecretArg, secret};

/// Effective settings of a command, secrets masked.
///
/// Its text has one line per variable, in the groups of the help: `NAME=value  # source`, or `# NAME is not set`.
#[derive(Debug, Serialize)]
pub struct EffectiveSettings {
    settings: Vec<Setting>,
    faults: Vec<String>,
}

/// A setting and its source.
#[derive(Debug, Serialize)]
struct Setting {
    variable: String,
    /// None if it is not set and has no default.
    value: Option<String>,
    source: Source,
    /// File of a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip)]
    heading: String,
}

/// Source of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Default,
    Environment,
    File,
    Flag,
    Unset,
}

impl EffectiveSettings {
    /// Reads the settings of a command from its matches.
    pub(crate) fn of(command: &Command, matches: &ArgMatches) -> Self {
        let settings = command
            .get_arguments()
            .filter_map(|argument| Setting::of(argument, matches));
        let mut settings: Vec<_> = settings.collect();
        let headings: Vec<_> = settings.iter().map(|setting| setting.heading.clone()).collect();
        // The groups in the order of the help.
        settings.sort_by_key(|setting| headings.iter().position(|heading| *heading == setting.heading));
        Self {
            settings,
            faults: Vec::new(),
        }
    }

    /// Adds the faults of these settings.
    pub(crate) fn report(&mut self, error: &ConfigError) {
        self.faults.extend(error.lines());
    }
}

impl fmt::Display for EffectiveSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut heading = "";
        for setting in &self.settings {
            if setting.heading != heading {
                let separator = if heading.is_empty() { "" } else { "\n" };
                heading = &setting.heading;
                writeln!(f, "{separator}## {heading}")?;
            }
            writeln!(f, "{setting}")?;
        }
        Ok(())
    }
}

impl Setting {
    /// The setting of an argument; none for a flag without a variable.
    fn of(argument: &Arg, matches: &ArgMatches) -> Option<Self> {
        let variable = argument.get_env()?.to_string_lossy();
        let id = argument.get_id().as_str();
        let given = matches.try_get_one::<SecretArg>(id).ok().flatten();
        let file = given.and_then(SecretArg::file);
        let value = if secret::is_secret(argument) {
            given.map(|given| mask::secret(&variable, given))
        } else if let Ok(path) = matches.try_get_one::<PathArg>(id) {
            path.map(mask::path)
        } else {
            plain(id, matches)
        };
        Some(Self {
            // The variable of the file has taken the place of the secret's own.
            variable: match file {
                Some(_) => secret::variable_of_file(&variable).to_owned(),
                None => variable.into_owned(),
            },
            source: match matches.value_source(id) {
                _ if file.is_some() => Source::File,
                Some(ValueSource::CommandLine) => Source::Flag,
                Some(ValueSource::EnvVariable) => Source::Environment,
                Some(_) => Source::Default,
                None => Source::Unset,
            },
            value,
            file: file.map(|file| mask::file(file.path())),
            heading: argument.get_help_heading().unwrap_or_default().to_owned(),
        })
    }
}

fn plain(id: &str, matches: &ArgMatches) -> Option<String> {
    let values = matches.get_raw(id)?;
    let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
    Some(mask::plain(&values.join(",")))
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            variable, value, file, ..
        } = self;
        let value = value.as_deref().unwrap_or_default();
        match self.source {
            Source::Unset => write!(f, "# {variable} is not set"),
            Source::Default => write!(f, "{variable}={value}  # default"),
            Source::Environment => write!(f, "{variable}={value}  # environment"),
            Source::Flag => write!(f, "{variable}={value}  # flag"),
            Source::File => write!(f, "{variable}={value}  # file {}", file.as_deref().unwrap_or_default()),
        }
    }
}
