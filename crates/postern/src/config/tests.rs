//! Variables, their help and their documentation: two pages both ways, and every other file that an operator reads or runs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};

use super::secret_variables;
use super::unknown::known_variables;
use crate::cli::Cli;

/// Pages with a row for each variable: our own, and those of OpenTelemetry.
const PAGES: [&str; 2] = ["docs/operations/configuration.md", "docs/operations/telemetry.md"];

const PREFIXES: [&str; 2] = ["POSTERN_", "OTEL_"];

/// Files in which every variable must be known.
const READ_BY_OPERATORS: [&str; 10] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "Dockerfile",
    "docker-compose.yml",
    "compose-init",
    "charts",
    "docs",
    "loadtest/README.md",
];

/// Variables in those files that are none of the binary's: long forms of tests, one that a decision leaves out, and those of
/// OpenTelemetry that have no effect.
const OTHERS: [&str; 12] = [
    "OTEL_CONFIG_FILE",
    "OTEL_LOG_LEVEL",
    "POSTERN_CHAOS_SECONDS",
    "POSTERN_CHAOS_SEED",
    "POSTERN_DEMO_PICTURES",
    "POSTERN_INTERLEAVINGS",
    "POSTERN_REDIS_AWAY_SECONDS",
    "POSTERN_REFRESHES",
    "POSTERN_TEST_BYSTANDER_ROUNDS",
    "POSTERN_TEST_REDIS_SERVER",
    "POSTERN_TEST_ROUNDS",
    "POSTERN_X_TWITTER_BEARER_TOKEN",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Variables of a command and its subcommands with their defaults.
fn defaults(command: &Command, found: &mut BTreeMap<String, Option<String>>) {
    for argument in command.get_arguments() {
        let Some(variable) = argument.get_env() else { continue };
        let values = argument.get_default_values();
        let default = values.first().map(|value| value.to_string_lossy().into_owned());
        let variable = variable.to_string_lossy().into_owned();
        let earlier = found.entry(variable).or_insert_with(|| default.clone());
        // `postern dev` has embedded parts in place of some defaults.
        *earlier = earlier.take().or(default);
    }
    command.get_subcommands().for_each(|command| defaults(command, found));
}

/// Rows of the page: variables of the first column, and the text of the second.
fn rows(page: &str) -> Vec<(Vec<String>, String)> {
    let is_row = |line: &&str| PREFIXES.iter().any(|prefix| line.starts_with(&format!("| `{prefix}")));
    let rows = page.lines().filter(is_row);
    let columns = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    columns
        .map(|columns| (words(columns[0]), columns[1].trim().to_owned()))
        .collect()
}

/// Names of variables in a text. A prefix (`POSTERN_TELEGRAM_*`) is none.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !"_*<".contains(c))
        .filter(|word| {
            PREFIXES
                .iter()
                .filter_map(|prefix| word.strip_prefix(prefix))
                .any(|rest| !rest.is_empty())
        })
        .filter(|word| !word.contains(['*', '<']) && !word.ends_with('_'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn variables_named_like_secrets_are_secrets() {
    let secrets = secret_variables(&Cli::command());
    let known = known_variables(&Cli::command());
    let named = known.iter().filter(|variable| {
        variable.ends_with("_SECRET") || variable.ends_with("_TOKEN") || variable.ends_with("_KEYS")
    });
    for variable in named
        .map(String::as_str)
        .chain(["POSTERN_DATABASE_URL", "POSTERN_REDIS_URL", "POSTERN_SMTP_URL"])
    {
        assert!(secrets.contains(OsStr::new(variable)), "{variable}");
    }
}

#[test]
fn every_variable_has_one_row_with_its_default() {
    let page: String = PAGES
        .iter()
        .map(|page| std::fs::read_to_string(root().join(page)).unwrap())
        .collect();
    let mut known = BTreeMap::new();
    defaults(&Cli::command(), &mut known);
    let mut described = BTreeSet::new();
    let mut findings = Vec::new();
    for (variables, column) in rows(&page) {
        let defaults: Vec<_> = variables
            .iter()
            .map(|variable| known.get(variable).cloned().flatten())
            .collect();
        let expected = match defaults.iter().flatten().map(String::as_str).collect::<Vec<_>>()[..] {
            [] if column.starts_with('`') && !column.starts_with("`POSTERN_") => "no value".to_owned(),
            [] => column.clone(),
            [""] => "none".to_owned(),
            ref values => values
                .iter()
                .map(|value| format!("`{value}`"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        if column != expected {
            findings.push(format!("{variables:?}: default {column}, not {expected}"));
        }
        for variable in variables {
            if !known.contains_key(&variable) {
                findings.push(format!("{variable} is not known to the binary"));
            }
            if !described.insert(variable.clone()) {
                findings.push(format!("{variable} has two rows"));
            }
        }
    }
    let missing = known.keys().filter(|variable| !described.contains(*variable));
    findings.extend(missing.map(|variable| format!("{variable} has no row")));
    assert!(findings.is_empty(), "{PAGES:?}:\n{}", findings.join("\n"));
}

#[test]
fn every_variable_that_operators_read_of_is_known() {
    let known = known_variables(&Cli::command());
    let mut files = Vec::new();
    for path in READ_BY_OPERATORS {
        walk(&root().join(path), &mut files);
    }
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        for word in words(&text) {
            if let Some(other) = OTHERS.iter().find(|other| **other == word) {
                used.insert(*other);
            } else if !known.contains(&word) && !is_service_link(&word) {
                findings.push(format!("{}: {word}", file.display()));
            }
        }
    }
    assert!(findings.is_empty(), "unknown variables:\n{}", findings.join("\n"));
    assert_eq!(used, BTreeSet::from(OTHERS), "an exception is not needed any more");
}

/// Names that the page gives as examples of what Kubernetes sets.
fn is_service_link(name: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "POSTERN_PORT"]
        .iter()
        .any(|part| name.contains(part))
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).unwrap();
        entries.for_each(|entry| walk(&entry.unwrap().path(), files));
    } else if path.extension().is_none_or(|extension| extension != "png") {
        files.push(path.to_owned());
    }
}

#[test]
fn every_argument_of_a_node_is_in_a_group_of_the_help() {
    let mut program = Cli::command();
    program.build();
    for name in ["gateway", "worker"] {
        let node = program.find_subcommand(name).unwrap();
        for argument in node.get_arguments().filter(|argument| argument.get_id() != "help") {
            let id = argument.get_id();
            assert!(
                argument.get_help_heading().is_some(),
                "postern {name}: {id} has no heading"
            );
            assert!(argument.get_env().is_some(), "postern {name}: {id} has no variable");
        }
    }
}

#[test]
fn texts_of_words_are_read_without_prefixes() {
    let text =
        "`POSTERN_LISTEN`, POSTERN_LOG=info ${POSTERN_X:?} POSTERN_TELEGRAM_* `POSTERN_` POSTERN_<P>_ID XPOSTERN_Y";
    assert_eq!(words(text), ["POSTERN_LISTEN", "POSTERN_LOG", "POSTERN_X"]);
}
