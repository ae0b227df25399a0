//! The `postern` command.

use std::process::ExitCode;

use clap::Parser;
use postern::cli::Cli;

fn main() -> ExitCode {
    match postern::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Tells whoever started the process why it did not run: a line per reason.
#[expect(
    clippy::print_stderr,
    reason = "the log may not be up yet, and whoever typed the command looks here"
)]
fn report(error: &postern::RunError) {
    eprintln!("postern: {}", protocol::fault::chain(error));
}
