//! The `postern` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    match postern::run(std::env::args_os()) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Prints why the process did not run, one line per reason.
#[expect(
    clippy::print_stderr,
    reason = "the log may not be initialized yet, and the caller of the command reads stderr"
)]
fn report(error: &postern::RunError) {
    eprintln!("postern: {}", protocol::fault::chain(error));
}
