//! Results of small commands on stdout: a text for people, or one JSON object for programs.

use std::fmt::Display;
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::OutputArgs;

/// Prints a report in the requested form. The names in its JSON are stable.
///
/// # Errors
/// The report does not serialize.
pub(crate) fn print_report(
    report: &(impl Serialize + Display),
    output: OutputArgs,
) -> Result<ExitCode, serde_json::Error> {
    let text = if output.json {
        serde_json::to_string(report)?
    } else {
        report.to_string()
    };
    Ok(print(&text))
}

/// Prints the result of a small command.
#[expect(clippy::print_stdout, reason = "the result of a command belongs on stdout")]
pub(crate) fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}
