//! Results of small commands on stdout: a text for people, or one JSON object for programs.

use std::fmt::{self, Display};
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

/// Writes rows as columns of equal width, two spaces apart. Control characters, which a client may have chosen, are replaced, so that
/// none reaches the terminal.
pub(crate) fn write_table<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    header: Option<[&str; N]>,
    rows: impl IntoIterator<Item = [String; N]>,
) -> fmt::Result {
    let header = header.map(|header| header.map(str::to_owned));
    let rows: Vec<_> = header.into_iter().chain(rows).map(|row| row.map(printable)).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let separator = if number == 0 { "" } else { "\n" };
        write!(f, "{separator}{}", line.trim_end())?;
    }
    Ok(())
}

/// Text without control characters.
pub(crate) fn printable(text: String) -> String {
    if text.contains(char::is_control) {
        text.replace(char::is_control, "\u{fffd}")
    } else {
        text
    }
}

/// Prints the result of a small command.
#[expect(clippy::print_stdout, reason = "the result of a command belongs on stdout")]
pub(crate) fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Table;

    impl Display for Table {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let rows = [["1", "caf\u{e9}", ""], ["22", "\u{1b}[2Jx\n", "end"]];
            write_table(f, Some(["id", "name", "last"]), rows.map(|row| row.map(str::to_owned)))
        }
    }

    #[test]
    fn table_has_aligned_columns_and_no_control_characters() {
        let expected = "id  name    last\n1   caf\u{e9}\n22  \u{fffd}[2Jx\u{fffd}  end";
        assert_eq!(Table.to_string(), expected);
    }
}
