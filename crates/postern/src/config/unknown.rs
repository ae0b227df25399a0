//! Variables of the environment that no command knows.

mod service_link;

use std::collections::BTreeSet;

use super::environment::PREFIX;
use super::{Environment, Problems, secret};

/// Problems of the environment: a line for each variable that no command of the program knows, with the name that may be meant. One
/// environment may serve all nodes of a deployment, so each node accepts the variables of all.
pub(crate) fn unknown_variables(environment: &Environment, program: &clap::Command) -> Problems {
    let known = known_variables(program);
    let mut problems = Problems::default();
    for (name, value) in environment.iter() {
        let name = name.to_string_lossy();
        if known.contains(name.as_ref()) || service_link::is_service_link(&name, &value.to_string_lossy()) {
            continue;
        }
        let text = match nearest(&name, &known) {
            Some(nearest) => format!("is not a variable of Postern; is {nearest} meant?"),
            None => "is not a variable of Postern".to_owned(),
        };
        problems.report(name.escape_debug().to_string(), text);
    }
    problems
}

/// Variables of a command and its subcommands, with those of the files of secrets.
pub(super) fn known_variables(command: &clap::Command) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for argument in command.get_arguments() {
        let Some(variable) = argument.get_env() else { continue };
        known.insert(variable.to_string_lossy().into_owned());
        if secret::is_secret(argument) {
            known.insert(secret::file_variable(variable).to_string_lossy().into_owned());
        }
    }
    known.extend(command.get_subcommands().flat_map(known_variables));
    known
}

/// Known variable with the most pairs of letters in common: a part of a name that is left out or written twice costs little.
fn nearest<'a>(name: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let similarity = |other: &str| strsim::sorensen_dice(without_prefix(name), without_prefix(other));
    let rated = known.iter().map(|other| (similarity(other), other.as_str()));
    let (similarity, nearest) = rated.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (similarity >= SIMILAR).then_some(nearest)
}

fn without_prefix(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Least similarity of a suggested name.
const SIMILAR: f64 = 0.5;

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn reported(variables: &[(&str, &str)]) -> Vec<String> {
        let variables = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let problems = unknown_variables(&Environment::from_iter(variables), &Cli::command());
        match problems.finish(Some(())) {
            Ok(()) => Vec::new(),
            Err(error) => error.lines().collect(),
        }
    }

    #[test]
    fn unknown_variable_is_reported_with_the_nearest_name_and_without_its_value() {
        for (name, meant) in [
            ("POSTERN_REDIS_UR", "POSTERN_REDIS_URL"),
            ("POSTERN_JWT_SECRET", "POSTERN_JWT_HS256_SECRET"),
            ("POSTERN_TLS_CERTIFICATE", "POSTERN_TLS_CERT"),
            ("POSTERN_TLS_KEY_FILE", "POSTERN_TLS_KEY"),
            ("POSTERN_DATBASE_URL", "POSTERN_DATABASE_URL"),
            ("POSTERN_GITHUB_SECRET", "POSTERN_GITHUB_CLIENT_SECRET"),
            ("POSTERN_SMTP_URL_FLIE", "POSTERN_SMTP_URL_FILE"),
            ("POSTERN_ORIGINS", "POSTERN_ALLOWED_ORIGINS"),
        ] {
            let expected = format!("{name} is not a variable of Postern; is {meant} meant?");
            assert_eq!(reported(&[(name, "s3cret")]), [expected]);
        }
        let expected = ["POSTERN_BANANA", "POSTERN_x\\n"].map(|name| format!("{name} is not a variable of Postern"));
        assert_eq!(reported(&[("POSTERN_BANANA", "s3cret"), ("POSTERN_x\n", "")]), expected);
    }

    #[test]
    fn variables_of_other_nodes_and_programs_are_accepted() {
        let accepted = [
            ("POSTERN_LISTEN", ""),
            ("POSTERN_DATABASE_URL", ""),
            ("POSTERN_DATABASE_URL_FILE", ""),
            ("POSTERN_MIGRATE_DATABASE_URL_FILE", ""),
            ("POSTERN_LOG", ""),
            ("POSTERN", ""),
            ("POSTERNS_X", ""),
            ("OTEL_SERVICE_NAME", ""),
        ];
        assert_eq!(reported(&accepted), Vec::<String>::new());
    }
}
